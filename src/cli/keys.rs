//! `zoho-mcp keys`: the life of an API key. A key is printed once; the store holds hashes only.

mod aws;
mod list;
mod store;

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::{
    auth::api_key::{
        ApiKey, CannotGenerate, KeyDocument, KeyRecord, Status, Usage, UsageFile, is_client_name,
    },
    cli::output::{self, Heard},
    config::Environment,
    setting::Span,
};
use store::Store;

/// Make, list, rotate and retire API keys. To change a key without a break: `rotate` makes a second
/// one, the agent changes over, `list` shows when the old one was last used, `retire` ends it.
#[derive(Debug, clap::Args)]
pub(super) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key for a client and print it, this once
    New(NewKey),
    /// Show all keys: whose they are, since when, until when, and when they were last used
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        seen: Seen,
    },
    /// Make a second key for a client that has one, so that it can change over without a break
    Rotate(NewKey),
    /// End a key; refused while it is in use, or may be
    Retire(Retire),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The key document, as under [auth.api_keys] in the configuration: file:PATH (or just PATH), or
    /// aws:NAME_OR_ARN in AWS Secrets Manager
    #[arg(long, value_name = "STORE")]
    store: Store,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Seen {
    /// What tells when keys were last used: a usage file or an audit log of an instance; can be
    /// given several times [default: the usage file beside a store that is a file]
    #[arg(long, value_name = "FILE")]
    usage: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct NewKey {
    /// The client's name, as under [clients] in the configuration
    #[arg(long, value_name = "NAME")]
    client: Arc<str>,
    /// Becomes a part of the key, for people to tell keys apart: 2 to 8 letters a-z
    #[arg(long, default_value = "live")]
    env: String,
    /// How long the key lives, such as 90d; for ever when left out
    #[arg(long, value_name = "SPAN")]
    expires: Option<Span>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Retire {
    /// The key's id, as `list` shows it; never the key itself
    #[arg(long = "key", value_name = "ID")]
    id: String,
    /// Mark it as revoked, because it was lost or leaked: ends it even while it is in use
    #[arg(long)]
    revoked: bool,
    /// End it even though it was used within the last 24 hours, or nobody knows whether it was
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    seen: Seen,
}

/// The command was used with arguments that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadArgument {
    #[error(transparent)]
    Environment(CannotGenerate),
    #[error("--expires is too far away")]
    Expires,
    #[error("--client is empty, longer than 128 bytes or has control characters")]
    Client,
    #[error("--key takes the id of a key, 10 characters, as `zoho-mcp keys list` shows it")]
    KeyId,
}

/// A key that somebody may need.
#[derive(Debug, thiserror::Error)]
enum InUse {
    #[error(
        "key {id} of {client} was used at {used:.0}, within the last 24 hours; change the agent over first, or end it all the same with --force"
    )]
    Lately {
        id: Arc<str>,
        client: Arc<str>,
        used: Timestamp,
    },
    #[error(
        "it is not known whether key {id} of {client} was used within the last 24 hours; name what tells it with --usage FILE (a usage file that has been written for that long and still is, or an audit log that covers it), or end the key all the same with --force"
    )]
    Unknown { id: Arc<str>, client: Arc<str> },
}

/// Where and when a command is run.
struct Scene<'a> {
    environment: &'a Environment,
    now: Timestamp,
}

/// Runs the command. A new key stands alone on its line of `out`; what there is to say about it
/// goes to standard error.
pub(super) fn run(
    command: KeysCommand,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let scene = Scene {
        environment,
        now: Timestamp::now(),
    };
    scene.perform(command.action, out, &mut output::notes())
}

impl Scene<'_> {
    fn perform(
        &self,
        action: Action,
        out: &mut impl Write,
        notes: &mut impl Write,
    ) -> anyhow::Result<()> {
        match action {
            // A new key that nobody has read is a failure.
            Action::New(args) => self.add(&args, out, notes, room_for_first),
            Action::Rotate(args) => self.add(&args, out, notes, room_for_second),
            Action::List { place, seen } => self.list(&place, &seen, &mut Heard::new(out), notes),
            Action::Retire(args) => self.retire(&args, &mut Heard::new(out), notes),
        }
    }

    fn add(
        &self,
        args: &NewKey,
        out: &mut impl Write,
        notes: &mut impl Write,
        check: fn(&NewKey, &[Arc<str>]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (key, record) = generate(args, self.now)?;
        let (id, client, store) = (&record.id, &args.client, &args.place.store);
        let document = store.update(self.environment, &|document| {
            let is_there = |document: &KeyDocument| document.keys().contains(&record);
            if let Some(document) = document.as_ref().filter(|document| is_there(document)) {
                return Ok(document.clone());
            }
            check(args, &live(document.as_ref(), client, self.now))?;
            Ok(match document {
                Some(mut document) => {
                    document.push(record.clone());
                    document
                }
                None => KeyDocument::of(record.clone()),
            })
        })?;
        let text = key.expose_secret();
        let shown = match args.place.json {
            false => text.to_owned(),
            true => json!({ "id": id, "client": client, "key": text }).to_string(),
        };
        writeln!(out, "{shown}")
            .and_then(|()| out.flush())
            .with_context(|| format!("the key {id} was stored but not printed: retire it"))?;
        writeln!(
            notes,
            "Key {id} of {client} is in {store}. This is the only time it is shown."
        )?;
        for old in document.live(client, self.now).filter(|key| key.id != *id) {
            writeln!(
                notes,
                "Once {client} uses it, end the old one: zoho-mcp keys retire --key {} --store {store}",
                old.id
            )?;
        }
        Ok(())
    }

    fn list(
        &self,
        place: &Place,
        seen: &Seen,
        out: &mut impl Write,
        notes: &mut impl Write,
    ) -> anyhow::Result<()> {
        let document = place.store.read(self.environment)?;
        let document = document.with_context(|| place.store.none_yet())?;
        let usage = seen.read(&place.store)?;
        list::write(&document, usage.as_ref(), self.now, place.json, out)?;
        if usage.is_none() && matches!(place.store, Store::Aws(_)) {
            writeln!(
                notes,
                "LAST USED is not kept in AWS: name the daemons' audit logs, or their [auth.api_keys] \
                 usage_file, with --usage."
            )?;
        }
        Ok(())
    }

    fn retire(
        &self,
        args: &Retire,
        out: &mut impl Write,
        notes: &mut impl Write,
    ) -> anyhow::Result<()> {
        // Whoever pastes a whole key here shall not read it again in an error.
        ensure!(args.id.len() <= 10, BadArgument::KeyId);
        let (id, store) = (&*args.id, &args.place.store);
        let usage = args.seen.read(store)?;
        // A store may be asked again after it has taken the change: what counts is the first look.
        let before = OnceLock::new();
        let document = store.update(self.environment, &|document| {
            let mut document = document.with_context(|| store.none_yet())?;
            let Some(key) = document.key_mut(id) else {
                bail!("no key {id} is in {store}; `zoho-mcp keys list --store {store}` shows all");
            };
            if !args.force && !args.revoked && key.is_usable(self.now) {
                self.is_idle(key, usage.as_ref())?;
            }
            before.get_or_init(|| list::standing(key, self.now));
            // What is known to have leaked does not become harmless again.
            key.status = match (key.status, args.revoked) {
                (Status::Revoked, _) | (_, true) => Status::Revoked,
                (_, false) => Status::Retired,
            };
            Ok(document)
        })?;
        let key = document.keys().iter().find(|key| &*key.id == id);
        let key = key.context("the key is gone from the store")?;
        let (client, status) = (&key.client, key.status.name());
        let left = live(Some(&document), client, self.now);
        let before = before.into_inner().unwrap_or(status);
        if args.place.json {
            let done = json!({
                "id": id, "client": client, "status": status, "before": before,
                "liveKeysLeft": left.len(),
            });
            writeln!(out, "{done}")?;
        }
        writeln!(notes, "Key {id} of {client} is {status}.")?;
        if let "retired" | "revoked" | "expired" = before {
            writeln!(notes, "It was {before} before: this has ended nothing.")?;
        }
        match &*left {
            [] => writeln!(notes, "{client} has no live key left.")?,
            left => writeln!(notes, "Live keys of {client}: {}.", left.join(", "))?,
        }
        Ok(())
    }

    /// Refuses a key that was used lately, and one of which that is not known.
    fn is_idle(&self, key: &KeyRecord, usage: Option<&Usage>) -> Result<(), InUse> {
        let (id, client) = (key.id.clone(), key.client.clone());
        let used = usage.and_then(|usage| usage.of(&id));
        if let Some(used) = used.filter(|used| self.now.duration_since(*used) < RECENT) {
            return Err(InUse::Lately { id, client, used });
        }
        let recent = self.now.checked_sub(RECENT).unwrap_or(Timestamp::MIN);
        // What is read while the daemon runs ends a moment ago at best.
        let end = self.now.checked_sub(FRESH).unwrap_or(Timestamp::MIN);
        let start = recent.max(key.created);
        match usage.is_some_and(|usage| usage.covers(start, end)) {
            true => Ok(()),
            false => Err(InUse::Unknown { id, client }),
        }
    }
}

impl Seen {
    /// `None` when nothing tells it. A file that was not named may be the daemon's alone to read.
    fn read(&self, store: &Store) -> anyhow::Result<Option<Usage>> {
        match (&*self.usage, store) {
            ([], Store::File(path)) => Ok(Usage::read(UsageFile::beside(path).path()).ok()),
            ([], Store::Aws(_)) => Ok(None),
            (named, _) => {
                let mut known = None::<Usage>;
                for path in named {
                    let usage = Usage::read(path)?;
                    known = Some(match known {
                        Some(known) => known.with(usage),
                        None => usage,
                    });
                }
                Ok(known)
            }
        }
    }
}

fn room_for_first(args: &NewKey, live: &[Arc<str>]) -> anyhow::Result<()> {
    ensure!(live.len() < MAX_LIVE, too_many(args, live));
    Ok(())
}

fn room_for_second(args: &NewKey, live: &[Arc<str>]) -> anyhow::Result<()> {
    ensure!(
        !live.is_empty(),
        "{client} has no live key in {store}; make one with: zoho-mcp keys new --client {client} --store {store}",
        client = args.client,
        store = args.place.store,
    );
    ensure!(live.len() < MAX_LIVE, too_many(args, live));
    Ok(())
}

fn live(document: Option<&KeyDocument>, client: &str, now: Timestamp) -> Vec<Arc<str>> {
    let live = document
        .into_iter()
        .flat_map(|document| document.live(client, now));
    live.map(|key| Arc::clone(&key.id)).collect()
}

fn too_many(args: &NewKey, live: &[Arc<str>]) -> String {
    format!(
        "{} has {} live keys already ({}); end one with: zoho-mcp keys retire --key ID --store {}",
        args.client,
        live.len(),
        live.join(", "),
        args.place.store,
    )
}

fn generate(args: &NewKey, now: Timestamp) -> anyhow::Result<(SecretString, KeyRecord)> {
    ensure!(is_client_name(&args.client), BadArgument::Client);
    let not_after = match args.expires {
        None => None,
        Some(span) => {
            let span = SignedDuration::try_from(span.duration()).ok();
            let end = span.and_then(|span| now.checked_add(span).ok());
            Some(end.ok_or(BadArgument::Expires)?)
        }
    };
    match ApiKey::generate(&args.env, Arc::clone(&args.client), now, not_after) {
        Err(bad @ CannotGenerate::Environment) => Err(BadArgument::Environment(bad).into()),
        made => Ok(made?),
    }
}

const MAX_LIVE: usize = 2;
/// A key that was used this lately is still needed.
const RECENT: SignedDuration = SignedDuration::from_hours(24);
/// A usage file or an audit log that ends longer ago than this says nothing of the time since.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

#[cfg(test)]
mod tests;
