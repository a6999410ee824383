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
mod tests {
    use super::*;
    use clap::Parser as _;
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        keys: KeysCommand,
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn store(&self) -> PathBuf {
            self.0.join("keys.json")
        }

        /// What the command prints on standard output and on standard error.
        fn keys(&self, line: &str) -> anyhow::Result<(String, String)> {
            let store = self.store();
            let words = ["keys"].into_iter().chain(line.split(' '));
            let words = words.chain(["--store", store.to_str().unwrap()]);
            let (mut out, mut notes) = (Vec::new(), Vec::new());
            let line = Line::try_parse_from(words)?;
            perform(line.keys.action, NOW, &mut out, &mut notes)?;
            Ok((
                String::from_utf8(out).unwrap(),
                String::from_utf8(notes).unwrap(),
            ))
        }

        fn error(&self, line: &str) -> String {
            format!("{:#}", self.keys(line).unwrap_err())
        }

        fn works(&self, key: &str) -> bool {
            let set = crate::auth::api_key::KeySet::from_document(&fs::read(self.store()).unwrap());
            set.unwrap().check(key.trim_end(), NOW).is_ok()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn id(key: &str) -> &str {
        key.split('_').nth(2).unwrap()
    }

    #[test]
    fn a_new_key_is_printed_alone_and_stored_as_a_hash() {
        let folder = Folder::new();
        let (key, notes) = folder
            .keys("new --client agent --env test --expires 90d")
            .unwrap();
        assert!(key.starts_with("zmcp_test_") && key.lines().count() == 1);
        assert!(folder.works(&key));
        let stored = fs::read_to_string(folder.store()).unwrap();
        let secret = key.split('_').nth(3).unwrap();
        assert!(!stored.contains(secret) && !notes.contains(secret));
        assert!(
            stored.contains("\"notAfter\": \"2027-04-15T08:00:00Z\""),
            "{stored}"
        );
        let mode = fs::metadata(folder.store()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!folder.0.join(".keys.json.tmp").exists());
    }

    #[test]
    fn a_rotation_lets_both_keys_work_until_the_old_one_is_retired() {
        let folder = Folder::new();
        let (old, _) = folder.keys("new --client agent").unwrap();
        let (new, notes) = folder.keys("rotate --client agent").unwrap();
        assert!(folder.works(&old) && folder.works(&new));
        assert!(notes.contains(&format!("retire --key {}", id(&old))));
        let full = folder.error("rotate --client agent");
        assert!(
            full.contains("2 live keys already") && full.contains("keys retire"),
            "{full}"
        );
        assert!(
            folder
                .error("new --client agent")
                .contains("2 live keys already")
        );
        folder.keys(&format!("retire --key {}", id(&old))).unwrap();
        assert!(!folder.works(&old) && folder.works(&new));
        folder.keys("rotate --client agent").unwrap();
    }

    #[test]
    fn retiring_the_last_key_is_said() {
        let folder = Folder::new();
        let (key, _) = folder.keys("new --client agent").unwrap();
        let (_, notes) = folder
            .keys(&format!("retire --revoked --key {}", id(&key)))
            .unwrap();
        assert!(notes.contains("is revoked") && notes.contains("no live key left"));
        let (_, notes) = folder.keys(&format!("retire --key {}", id(&key))).unwrap();
        assert!(notes.contains("is revoked"), "a leaked key stays revoked");
        assert!(
            folder
                .error("rotate --client agent")
                .contains("keys new --client agent")
        );
    }

    #[test]
    fn the_list_shows_all_but_hashes() {
        let folder = Folder::new();
        let (key, _) = folder.keys("new --client agent").unwrap();
        folder.keys("new --client dashboard --expires 1d").unwrap();
        let (list, _) = folder.keys("list").unwrap();
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            "ID          CLIENT     STATUS   CREATED               EXPIRES"
        );
        let expected = "agent      active   2027-01-15T08:00:00Z  never";
        assert_eq!(lines[1], format!("{}  {expected}", id(&key)));
        assert!(lines[2].ends_with("active   2027-01-15T08:00:00Z  2027-01-16T08:00:00Z"));
    }

    #[test]
    fn errors_say_what_to_do() {
        let folder = Folder::new();
        assert!(folder.error("list").contains("keys new --client NAME"));
        assert!(
            folder
                .error("rotate --client agent")
                .contains("keys new --client agent")
        );
        assert!(
            folder
                .error("new --client agent --env PROD")
                .contains("2 to 8 letters")
        );
        assert!(
            folder
                .error("new --client agent --expires soon")
                .contains("span of time")
        );
        let (key, _) = folder.keys("new --client agent").unwrap();
        assert!(
            folder
                .error("retire --key AAAAAAAAAA")
                .contains("keys list")
        );
        let pasted = folder.error(&format!("retire --key {}", key.trim_end()));
        assert!(pasted.contains("10 characters") && !pasted.contains(key.trim_end()));
        let missing = Store {
            path: folder.0.join("no/keys.json"),
        };
        assert!(format!("{:#}", missing.lock().unwrap_err()).contains("is its folder there"));
    }

    #[test]
    fn a_damaged_store_is_never_overwritten() {
        let folder = Folder::new();
        fs::write(folder.store(), "{\"version\":1,").unwrap();
        assert!(folder.error("new --client agent").contains("left as it is"));
        assert_eq!(
            fs::read_to_string(folder.store()).unwrap(),
            "{\"version\":1,"
        );
        fs::write(folder.store(), "").unwrap();
        assert!(folder.keys("new --client agent").is_ok());
    }

    #[test]
    fn commands_at_once_lose_no_key() {
        let folder = Folder::new();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let folder = &folder;
                scope.spawn(move || folder.keys(&format!("new --client agent-{n}")).unwrap());
            }
        });
        let (list, _) = folder.keys("list").unwrap();
        assert_eq!(list.lines().count(), 9);
    }

    #[test]
    fn a_group_that_may_read_the_store_still_may_after_a_change_and_nobody_else() {
        let folder = Folder::new();
        folder.keys("new --client agent").unwrap();
        for (before, after) in [
            (0o640, 0o640),
            (0o666, 0o640),
            (0o600, 0o600),
            (0o400, 0o600),
        ] {
            fs::set_permissions(folder.store(), fs::Permissions::from_mode(before)).unwrap();
            folder
                .keys(&format!("new --client agent-{before}"))
                .unwrap();
            let mode = fs::metadata(folder.store()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, after, "{before:o}");
        }
    }

    #[test]
    fn a_link_to_the_store_stays_a_link() {
        let folder = Folder::new();
        fs::create_dir(folder.0.join("real")).unwrap();
        let real = folder.0.join("real/keys.json");
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, folder.store()).unwrap();
        folder.keys("new --client agent").unwrap();
        assert!(fs::symlink_metadata(folder.store()).unwrap().is_symlink());
        assert!(fs::read_to_string(real).unwrap().contains("agent"));
    }
}
