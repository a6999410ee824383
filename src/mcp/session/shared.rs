//! Sessions that all instances know: kept in Redis, sealed, under names that tell nothing of them.

use std::time::Duration;

use secrecy::SecretSlice;

use super::kept::{Bounds, Kept, Lookup, NotKept};
use crate::{
    auth::Caller,
    store::{BadKey, Script, Seal, Store, Unavailable},
};

/// Keeps sessions in Redis.
pub(super) struct Shared {
    store: Store,
    seal: Seal,
    /// What the relay calls this instance; empty where there is none.
    instance: Box<str>,
    open: Script,
    lookup: Script,
    end: Script,
    look: Script,
}

/// The keys that a session of some caller's has to do with.
struct Names {
    /// What the sets call it.
    session: String,
    owner: String,
    keys: [String; 4],
}

impl Names {
    fn keys(&self) -> [&str; 4] {
        self.keys.each_ref().map(String::as_str)
    }
}

impl Shared {
    /// All instances have to have the same key.
    pub(super) fn new(store: Store, key: &SecretSlice<u8>, instance: &str) -> Result<Self, BadKey> {
        Ok(Self {
            store,
            instance: instance.into(),
            seal: Seal::new(key, "zoho-mcp session", "zoho-mcp session names")?,
            open: Script::new(include_str!("script/open.lua")),
            lookup: Script::new(include_str!("script/use.lua")),
            end: Script::new(include_str!("script/end.lua")),
            look: Script::new(include_str!("script/look.lua")),
        })
    }

    pub(super) async fn open(&self, id: &str, kept: &Kept, bounds: &Bounds) -> Result<(), NotKept> {
        let names = self.names(id, &kept.caller);
        let text = serde_json::to_vec(kept).ok();
        let sealed = text.and_then(|text| self.seal.seal(&names.keys[0], text));
        let mut arguments = vec![
            names.session.clone().into_bytes(),
            names.owner.clone().into_bytes(),
            sealed.ok_or(NotKept::Away)?,
        ];
        let numbers = [
            millis(bounds.idle),
            millis(bounds.age),
            bounds.total as u64,
            bounds.per_client as u64,
            bounds.per_user as u64,
        ];
        arguments.extend(numbers.map(|number| number.to_string().into_bytes()));
        let keys = names.keys();
        let opened = self.store.run_script::<u64>(&self.open, &keys, &arguments);
        match opened.await {
            Ok(0) => Ok(()),
            Ok(wait) => Err(NotKept::Full {
                wait: Duration::from_millis(wait),
            }),
            Err(_) => Err(NotKept::Away),
        }
    }

    /// What is kept of a session, for somebody who may not be its owner.
    pub(super) async fn find(
        &self,
        id: &str,
        caller: &Caller,
        bounds: &Bounds,
    ) -> Result<Lookup, Unavailable> {
        let names = self.names(id, caller);
        let arguments = [
            names.session.clone().into_bytes(),
            names.owner.clone().into_bytes(),
            millis(bounds.idle).to_string().into_bytes(),
            self.instance.as_bytes().to_vec(),
        ];
        let sealed = self
            .store
            .run_script::<Option<Vec<u8>>>(&self.lookup, &names.keys(), &arguments)
            .await?;
        let opened = sealed.and_then(|sealed| self.seal.open(&names.keys[0], &sealed));
        let kept = opened.and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        Ok(Lookup::of(kept.map(Into::into), caller))
    }

    /// The other instances that answered a message of the session lately.
    pub(super) async fn elsewhere(&self, id: &str) -> Result<Vec<Box<str>>, Unavailable> {
        let key = self.key(id).1;
        let name = key.as_str();
        let at = |mut link| async move {
            let mut at = redis::cmd("HGET");
            at.arg(name).arg("at");
            at.query_async::<Option<String>>(&mut link).await
        };
        let at = self.store.run(at).await?.unwrap_or_default();
        let others = at.split_whitespace().filter(|at| **at != *self.instance);
        Ok(others.map(Into::into).collect())
    }

    pub(super) async fn end(
        &self,
        id: &str,
        owner: &Caller,
        reason: &str,
    ) -> Result<(), Unavailable> {
        let names = self.names(id, owner);
        let arguments = [
            names.session.clone().into_bytes(),
            reason.into(),
            TOLD_MS.to_string().into_bytes(),
        ];
        let keys = names.keys();
        let ended = self.store.run_script::<u8>(&self.end, &keys, &arguments);
        ended.await.map(|_| ())
    }

    /// Why each has ended; empty while it lasts.
    pub(super) async fn look(&self, ids: &[Box<str>]) -> Result<Vec<String>, Unavailable> {
        let keys: Vec<String> = ids.iter().map(|id| self.key(id).1).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.store.run_script(&self.look, &keys, &[]).await
    }

    /// One hash tag for all, so that a script may count them on a cluster too.
    fn key(&self, id: &str) -> (String, String) {
        let name = self.seal.name(&["session", id]);
        let key = format!("zm:sess:{{mcp}}:{name}");
        (name, key)
    }

    fn names(&self, id: &str, caller: &Caller) -> Names {
        let (session, key) = self.key(id);
        let user = caller.user.as_ref();
        let (issuer, subject) = user.map_or(("", ""), |user| (&user.issuer, &user.subject));
        let client = self.seal.name(&["client", &caller.client]);
        let owner = self.seal.name(&["owner", &caller.client, issuer, subject]);
        Names {
            keys: [
                key,
                "zm:sess:{mcp}:all".to_owned(),
                format!("zm:sess:{{mcp}}:of:{client}"),
                format!("zm:sess:{{mcp}}:of:{owner}"),
            ],
            session,
            owner,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// By then every instance has looked.
const TOLD_MS: u64 = 60_000;
