//! Sessions that all instances know: kept in Redis, sealed, under names that tell nothing of them.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::SecretSlice;
use uuid::Uuid;

use super::{
    ask_each,
    kept::{Bounds, EXPIRED, Ender, Kept, Look, Lookup, NotKept, reason},
};
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
    at: Script,
    forget: Script,
    end: Script,
    look: Script,
    lost: Script,
    due: Script,
    expire: Script,
    /// The mark of this process where it ends what nobody used: it does so one time after the other.
    mark: Uuid,
    /// Sessions of which it is not known whether this process has ended them.
    unanswered: Mutex<Vec<String>>,
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
            at: Script::new(include_str!("script/at.lua")),
            forget: Script::new(include_str!("script/forget.lua")),
            end: Script::new(include_str!("script/end.lua")),
            look: Script::new(include_str!("script/look.lua")),
            lost: Script::new(include_str!("script/lost.lua")),
            due: Script::new(include_str!("script/due.lua")),
            expire: Script::new(include_str!("script/expire.lua")),
            mark: Uuid::new_v4(),
            unanswered: Mutex::default(),
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
            UNTOLD_MS,
        ];
        arguments.extend(numbers.map(number));
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
            number(millis(bounds.idle)),
            self.instance.as_bytes().to_vec(),
            number(UNTOLD_MS),
        ];
        let sealed = self
            .store
            .run_script::<Option<Vec<u8>>>(&self.lookup, &names.keys(), &arguments)
            .await?;
        let kept = sealed.and_then(|sealed| self.unsealed(&names.keys[0], &sealed));
        Ok(Lookup::of(kept.map(Into::into), caller))
    }

    /// The other instances that answered a message of the session lately.
    pub(super) async fn elsewhere(&self, id: &str) -> Result<Vec<Box<str>>, Unavailable> {
        let key = self.key(id).1;
        let at = self
            .store
            .run_script::<String>(&self.at, &[&key], &[])
            .await?;
        let others = at.split(' ').filter(|at| **at != *self.instance);
        // Who can write to Redis may have put anything there.
        let others = others.filter_map(|at| Uuid::try_parse(at).ok());
        Ok(others.map(|at| at.simple().to_string().into()).collect())
    }

    /// Forgets instances that are gone.
    pub(super) async fn forget(&self, id: &str, gone: &[Box<str>]) -> Result<(), Unavailable> {
        let key = self.key(id).1;
        let gone: Vec<Vec<u8>> = gone.iter().map(|at| at.as_bytes().to_vec()).collect();
        self.store
            .run_script::<u8>(&self.forget, &[&key], &gone)
            .await?;
        Ok(())
    }

    pub(super) fn reachable(&self) -> Result<(), Unavailable> {
        self.store
            .down()
            .map_or(Ok(()), |why| Err(Unavailable(why)))
    }

    /// Whether it was this that ended it.
    pub(super) async fn end(
        &self,
        id: &str,
        owner: &Caller,
        reason: &str,
        mark: Uuid,
    ) -> Result<bool, Unavailable> {
        let names = self.names(id, owner);
        let arguments = [
            names.session.clone().into_bytes(),
            reason.into(),
            number(UNTOLD_MS),
            text(mark),
        ];
        let keys = names.keys();
        let ended = self.store.run_script::<u8>(&self.end, &keys, &arguments);
        Ok(ended.await? == 1)
    }

    pub(super) async fn ender(&self, id: &str, mark: Uuid) -> Result<Ender, Unavailable> {
        let key = self.key(id).1;
        let name = key.as_str();
        let by = |mut link| async move {
            let mut fields = redis::cmd("HMGET");
            fields.arg(name).arg("ended").arg("by");
            fields.query_async::<[Option<Vec<u8>>; 2]>(&mut link).await
        };
        Ok(match self.store.run(by).await? {
            [_, Some(by)] if by == text(mark) => Ender::This,
            [None, None] => Ender::Nobody,
            _ => Ender::Another,
        })
    }

    /// What has become of each.
    pub(super) async fn look(&self, ids: &[Box<str>]) -> Result<Vec<Look>, Unavailable> {
        let keys: Vec<String> = ids.iter().map(|id| self.key(id).1).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found = self.store.run_script::<Vec<String>>(&self.look, &keys, &[]);
        Ok(found.await?.iter().map(|word| Look::of(word)).collect())
    }

    /// Whether nobody has found before that Redis has lost it.
    pub(super) async fn is_first_to_miss(&self, id: &str, mark: Uuid) -> Result<bool, Unavailable> {
        let key = self.key(id).1;
        let arguments = [EXPIRED.into(), number(UNTOLD_MS), text(mark)];
        let first = self
            .store
            .run_script::<u8>(&self.lost, &[&key], &arguments)
            .await?;
        Ok(first == 1)
    }

    /// Ends sessions that nobody used in time, and says which and why: to one instance of all.
    pub(super) async fn expire(&self) -> Vec<(Kept, &'static str)> {
        let most = [number(MOST_DUE)];
        let due = self
            .store
            .run_script::<Vec<String>>(&self.due, &[ALL], &most);
        let mut names = due.await.unwrap_or_default();
        names.append(&mut *self.unanswered());
        names.sort_unstable();
        names.dedup();
        let answers = ask_each(&names, |name| self.expire_one(name)).await;
        let mut ended = Vec::new();
        for (name, answer) in names.into_iter().zip(answers) {
            match answer {
                Ok(expired) => ended.extend(expired),
                Err(_) => self.unanswered().push(name),
            }
        }
        ended
    }

    async fn expire_one(&self, name: &str) -> Result<Option<(Kept, &'static str)>, Unavailable> {
        let key = key_of(name);
        let (keys, arguments) = (
            [&*key, ALL],
            [name.into(), number(UNTOLD_MS), text(self.mark)],
        );
        let expired = self
            .store
            .run_script::<Option<(Vec<u8>, String)>>(&self.expire, &keys, &arguments)
            .await?;
        Ok(expired.and_then(|(sealed, why)| Some((self.unsealed(&key, &sealed)?, reason(&why)))))
    }

    fn unanswered(&self) -> MutexGuard<'_, Vec<String>> {
        let names = self.unanswered.lock();
        names.unwrap_or_else(PoisonError::into_inner)
    }

    /// None for what another key sealed, or what an earlier version wrote.
    fn unsealed(&self, key: &str, sealed: &[u8]) -> Option<Kept> {
        let text = self.seal.open(key, sealed)?;
        serde_json::from_slice(&text).ok()
    }

    fn key(&self, id: &str) -> (String, String) {
        let name = self.seal.name(&["session", id]);
        let key = key_of(&name);
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
                ALL.to_owned(),
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

fn text(mark: Uuid) -> Vec<u8> {
    mark.simple().to_string().into_bytes()
}

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// One hash tag for all, so that a script may count them on a cluster too.
fn key_of(name: &str) -> String {
    format!("zm:sess:{{mcp}}:{name}")
}

const ALL: &str = "zm:sess:{mcp}:all";
/// For how long the end of a session waits for an instance that tells it; and who made it, for those
/// that are cut off meanwhile.
const UNTOLD_MS: u64 = 3_600_000;
/// Sessions whose end one look tells.
const MOST_DUE: u64 = 1_000;
