//! `zoho-mcp keys`: the life of an API key. A key is printed once; the store holds hashes only.

mod store;

use std::{
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    auth::api_key::{ApiKey, KeyDocument, KeyRecord, Status},
    setting::Span,
};
use store::Store;

/// Make, list, rotate and retire API keys.
#[derive(Debug, clap::Args)]
pub(super) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key for a client and print it, this once
    New(NewKey),
    /// Show all keys: whose they are, since when, until when
    List {
        #[command(flatten)]
        store: Store,
    },
    /// Make a second key for a client that has one, so that it can change over without a break
    Rotate(NewKey),
    /// End a key
    Retire {
        /// The key's id, as `list` shows it; never the key itself
        #[arg(long = "key", value_name = "ID")]
        id: String,
        /// Mark it as revoked, because it was lost or leaked
        #[arg(long)]
        revoked: bool,
        #[command(flatten)]
        store: Store,
    },
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
    store: Store,
}

/// Runs the command. A new key stands alone on its line of `out`; what there is to say about it
/// goes to standard error.
pub(super) fn run(command: KeysCommand, out: &mut impl Write) -> anyhow::Result<()> {
    perform(command.action, Timestamp::now(), out, &mut io::stderr())
}

fn perform(
    action: Action,
    now: Timestamp,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<()> {
    match action {
        Action::New(args) => add(&args, now, out, notes, room_for_first),
        Action::Rotate(args) => add(&args, now, out, notes, room_for_second),
        Action::List { store } => list(&store, out),
        Action::Retire { id, revoked, store } => {
            let status = match revoked {
                true => Status::Revoked,
                false => Status::Retired,
            };
            retire(&store, &id, status, now, notes)
        }
    }
}

fn add(
    args: &NewKey,
    now: Timestamp,
    out: &mut impl Write,
    notes: &mut impl Write,
    check: fn(Option<&KeyDocument>, &NewKey, Timestamp) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let _lock = args.store.lock()?;
    let document = args.store.read()?;
    check(document.as_ref(), args, now)?;
    let (key, record) = generate(args, now)?;
    let id = Arc::clone(&record.id);
    let document = match document {
        Some(mut document) => {
            document.push(record);
            document
        }
        None => KeyDocument::of(record),
    };
    args.store.write(&document)?;
    writeln!(out, "{}", key.expose_secret())
        .and_then(|()| out.flush())
        .with_context(|| format!("the key {id} was stored but not printed: retire it"))?;
    let (client, store) = (&args.client, args.store.path.display());
    writeln!(
        notes,
        "Key {id} of {client} is in {store}. This is the only time it is shown."
    )?;
    for old in document.live(client, now).filter(|key| key.id != id) {
        writeln!(
            notes,
            "Once {client} uses it, end the old one: zoho-mcp keys retire --key {} --store {store}",
            old.id
        )?;
    }
    Ok(())
}

fn room_for_first(
    document: Option<&KeyDocument>,
    args: &NewKey,
    now: Timestamp,
) -> anyhow::Result<()> {
    let live = live(document, args, now);
    ensure!(live.len() < MAX_LIVE, too_many(args, &live));
    Ok(())
}

fn room_for_second(
    document: Option<&KeyDocument>,
    args: &NewKey,
    now: Timestamp,
) -> anyhow::Result<()> {
    let live = live(document, args, now);
    ensure!(
        !live.is_empty(),
        "{client} has no live key in {store}; make one with: zoho-mcp keys new --client {client} --store {store}",
        client = args.client,
        store = args.store.path.display(),
    );
    ensure!(live.len() < MAX_LIVE, too_many(args, &live));
    Ok(())
}

fn live(document: Option<&KeyDocument>, args: &NewKey, now: Timestamp) -> Vec<Arc<str>> {
    document
        .into_iter()
        .flat_map(|document| document.live(&args.client, now))
        .map(|key| Arc::clone(&key.id))
        .collect()
}

fn too_many(args: &NewKey, live: &[Arc<str>]) -> String {
    format!(
        "{} has {} live keys already ({}); end one with: zoho-mcp keys retire --key ID --store {}",
        args.client,
        live.len(),
        live.join(", "),
        args.store.path.display(),
    )
}

fn generate(args: &NewKey, now: Timestamp) -> anyhow::Result<(SecretString, KeyRecord)> {
    let not_after = match args.expires {
        None => None,
        Some(span) => {
            let span = SignedDuration::try_from(span.duration());
            let end = span.map(|span| now.checked_add(span));
            Some(
                end.ok()
                    .and_then(Result::ok)
                    .context("--expires is too far away")?,
            )
        }
    };
    Ok(ApiKey::generate(
        &args.env,
        Arc::clone(&args.client),
        now,
        not_after,
    )?)
}

fn list(store: &Store, out: &mut impl Write) -> anyhow::Result<()> {
    let document = store.read_existing()?;
    let client = |key: &KeyRecord| key.client.chars().count();
    let width = document.keys().iter().map(client).max().unwrap_or(0).max(6);
    writeln!(
        out,
        "{:<10}  {:<width$}  {:<7}  {:<20}  EXPIRES",
        "ID", "CLIENT", "STATUS", "CREATED"
    )?;
    for key in document.keys() {
        let KeyRecord {
            id,
            client,
            created,
            ..
        } = key;
        let status = key.status.name();
        let created = format!("{created:.0}");
        let expires = key
            .not_after
            .map_or_else(|| "never".into(), |end| format!("{end:.0}"));
        writeln!(
            out,
            "{id:<10}  {client:<width$}  {status:<7}  {created:<20}  {expires}"
        )?;
    }
    Ok(())
}

fn retire(
    store: &Store,
    id: &str,
    status: Status,
    now: Timestamp,
    notes: &mut impl Write,
) -> anyhow::Result<()> {
    // Whoever pastes a whole key here shall not read it again in an error.
    ensure!(
        id.len() <= 10,
        "--key takes the id of a key, 10 characters, as `zoho-mcp keys list` shows it"
    );
    let _lock = store.lock()?;
    let mut document = store.read_existing()?;
    let shown = store.path.display();
    let Some(key) = document.key_mut(id) else {
        bail!("no key {id} is in {shown}; `zoho-mcp keys list --store {shown}` shows all");
    };
    // What is known to have leaked does not become harmless again.
    if key.status != Status::Revoked {
        key.status = status;
    }
    let (client, status) = (Arc::clone(&key.client), key.status.name());
    store.write(&document)?;
    writeln!(notes, "Key {id} of {client} is {status}.")?;
    if document.live(&client, now).next().is_none() {
        writeln!(notes, "{client} has no live key left.")?;
    }
    Ok(())
}

const MAX_LIVE: usize = 2;

#[cfg(test)]
mod tests;
