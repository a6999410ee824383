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
