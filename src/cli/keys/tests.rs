use super::*;
use crate::setting::folder::Folder;
use clap::Parser as _;
use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    keys: KeysCommand,
}

struct Desk(Folder);

impl Desk {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn store(&self) -> PathBuf {
        self.0.join("keys.json")
    }

    /// What the command prints on standard output and on standard error.
    fn keys(&self, line: &str) -> anyhow::Result<(String, String)> {
        self.keys_at(line, NOW)
    }

    fn keys_at(&self, line: &str, now: Timestamp) -> anyhow::Result<(String, String)> {
        let store = self.store();
        let words = ["keys"].into_iter().chain(line.split(' '));
        let words = words.chain(["--store", store.to_str().unwrap()]);
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let line = Line::try_parse_from(words)?;
        let environment = Environment::new();
        let environment = &environment;
        Scene { environment, now }.perform(line.keys.action, &mut out, &mut notes)?;
        Ok((
            String::from_utf8(out).unwrap(),
            String::from_utf8(notes).unwrap(),
        ))
    }

    fn error(&self, line: &str) -> String {
        format!("{:#}", self.keys(line).unwrap_err())
    }

    /// What an instance that shares the folder has seen.
    fn used(&self, key: &str, hours_ago: i64) {
        let at = NOW
            .checked_sub(SignedDuration::from_hours(hours_ago))
            .unwrap();
        let file = UsageFile::beside(&self.store());
        file.add(vec![(id(key).into(), at)], NOW).unwrap();
    }

    fn works(&self, key: &str) -> bool {
        let set = crate::auth::api_key::KeySet::from_document(&fs::read(self.store()).unwrap());
        set.unwrap().check(key.trim_end(), NOW).is_ok()
    }
}

fn id(key: &str) -> &str {
    key.split('_').nth(2).unwrap()
}

#[test]
fn a_new_key_is_printed_alone_and_stored_as_a_hash() {
    let folder = Desk::new();
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
    let folder = Desk::new();
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
    folder
        .keys(&format!("retire --force --key {}", id(&old)))
        .unwrap();
    assert!(!folder.works(&old) && folder.works(&new));
    folder.keys("rotate --client agent").unwrap();
}

#[test]
fn retiring_the_last_key_is_said() {
    let folder = Desk::new();
    let (key, _) = folder.keys("new --client agent").unwrap();
    let (_, notes) = folder
        .keys(&format!("retire --revoked --key {}", id(&key)))
        .unwrap();
    assert!(notes.contains("is revoked") && notes.contains("no live key left"));
    let (_, notes) = folder.keys(&format!("retire --key {}", id(&key))).unwrap();
    assert!(notes.contains("is revoked"), "a leaked key stays revoked");
    assert!(notes.contains("was revoked before"), "{notes}");
    assert!(
        folder
            .error("rotate --client agent")
            .contains("keys new --client agent")
    );
}

#[test]
fn a_key_that_had_ended_before_is_not_told_as_if_it_ended_now() {
    let folder = Desk::new();
    let (old, _) = folder.keys("new --client agent").unwrap();
    let (new, _) = folder.keys("rotate --client agent").unwrap();
    let retire = format!("retire --key {}", id(&old));
    let (_, first) = folder.keys(&format!("{retire} --force")).unwrap();
    let (told, notes) = folder.keys(&format!("{retire} --revoked --json")).unwrap();
    assert!(told.contains(r#""before":"retired""#), "{told}");
    let live = format!("Live keys of agent: {}.", id(&new));
    assert!(notes.contains("was retired before") && notes.contains(&live));
    assert!(!first.contains("before") && first.contains(&live));
}

#[test]
fn the_list_shows_all_but_hashes() {
    let folder = Desk::new();
    let (key, _) = folder.keys("new --client agent").unwrap();
    let (short, _) = folder.keys("new --client dashboard --expires 1d").unwrap();
    let (list, _) = folder.keys("list").unwrap();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3);
    let made = "2027-01-15T08:00:00Z";
    let head = "CREATED               VALID FROM            EXPIRES               LAST USED";
    assert_eq!(lines[0], format!("ID          CLIENT     STATUS   {head}"));
    let row = format!("agent      active   {made}  {made}  never                 unknown");
    assert_eq!(lines[1], format!("{}  {row}", id(&key)));
    assert!(lines[2].ends_with(&format!(
        "active   {made}  {made}  2027-01-16T08:00:00Z  unknown"
    )));
    folder.used(&key, -2);
    let later = NOW.checked_add(SignedDuration::from_hours(25)).unwrap();
    let (list, _) = folder.keys_at("list", later).unwrap();
    assert!(
        list.contains("never                 2027-01-15T10:00:00Z"),
        "{list}"
    );
    assert!(
        list.contains("expired") && list.ends_with("  never\n"),
        "{list}"
    );
    let (json, _) = folder.keys("list --json").unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["usageKnown"], true);
    assert_eq!(json["keys"][0]["lastUsed"], "2027-01-15T10:00:00Z");
    assert_eq!(json["keys"][1]["id"], id(&short));
    assert_eq!(json["keys"][1]["notAfter"], "2027-01-16T08:00:00Z");
    assert!(!json.to_string().contains("sha256"));
}

#[test]
fn no_key_was_used_before_it_was_made() {
    let folder = Desk::new();
    let (key, _) = folder.keys("new --client agent").unwrap();
    // What the minute of its first use looks like.
    folder.used(&key, 1);
    let (list, _) = folder.keys("list").unwrap();
    assert_eq!(list.matches("2027-01-15T08:00:00Z").count(), 3, "{list}");
}

#[test]
fn a_key_in_use_is_not_retired_by_mistake() {
    let folder = Desk::new();
    let (old, _) = folder.keys("new --client agent").unwrap();
    let (new, _) = folder.keys("rotate --client agent").unwrap();
    folder.used(&old, 23);
    let retire = format!("retire --key {}", id(&old));
    let refused = folder.error(&retire);
    assert!(
        refused.contains("last 24 hours") && refused.contains("--force"),
        "{refused}"
    );
    assert!(folder.works(&old));
    let tomorrow = NOW.checked_add(SignedDuration::from_hours(2)).unwrap();
    let file = UsageFile::beside(&folder.store());
    file.add(Vec::new(), tomorrow).unwrap();
    folder.keys_at(&retire, tomorrow).unwrap();
    assert!(!folder.works(&old) && folder.works(&new));
    folder.used(&new, 0);
    let (done, _) = folder
        .keys(&format!("retire --revoked --json --key {}", id(&new)))
        .unwrap();
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["status"], "revoked", "a leaked key ends at once");
    assert_eq!(done["liveKeysLeft"], 0);
    let (third, _) = folder.keys("new --client agent").unwrap();
    folder.used(&third, 0);
    folder
        .keys(&format!("retire --force --key {}", id(&third)))
        .unwrap();
}

#[test]
fn a_key_of_which_nobody_knows_is_not_retired() {
    let folder = Desk::new();
    let (key, _) = folder.keys("new --client agent").unwrap();
    let (other, _) = folder.keys("rotate --client agent").unwrap();
    let retire = format!("retire --key {}", id(&key));
    let refused = folder.error(&retire);
    assert!(
        refused.contains("not known") && refused.contains("--usage FILE"),
        "{refused}"
    );
    let hours = |hours| NOW.checked_add(SignedDuration::from_hours(hours)).unwrap();
    let file = UsageFile::beside(&folder.store());
    file.add(Vec::new(), hours(1)).unwrap();
    let early = folder.keys_at(&retire, hours(24));
    assert!(
        early.is_err(),
        "it may have been used before it was watched"
    );
    // An old log knows nothing of today.
    let log = folder.0.join("audit.jsonl");
    fs::write(&log, "{\"timestamp\":\"2027-01-15T08:00:00Z\"}").unwrap();
    let by_log = format!("{retire} --usage {}", log.display());
    assert!(folder.keys_at(&by_log, hours(25)).is_err());
    let stale = folder.keys_at(&retire, hours(25));
    assert!(stale.is_err(), "nobody has written into it for a day");
    file.add(Vec::new(), hours(25)).unwrap();
    folder.keys_at(&retire, hours(25)).unwrap();
    assert!(!folder.works(&key) && folder.works(&other));
}

#[test]
fn when_a_key_was_used_may_come_from_several_instances() {
    let folder = Desk::new();
    let (key, _) = folder
        .keys_at("new --client agent", NOW - SignedDuration::from_hours(72))
        .unwrap();
    let log = folder.0.join("audit.jsonl");
    let line = format!(
        r#"{{"timestamp":"2027-01-15T07:00:00.000Z","clientId":"agent","keyId":"{}"}}"#,
        id(&key)
    );
    fs::write(&log, line).unwrap();
    folder.used(&key, 48);
    let beside = UsageFile::beside(&folder.store());
    let (log, beside) = (log.display(), beside.path().display());
    let (list, _) = folder
        .keys(&format!("list --usage {beside} --usage {log}"))
        .unwrap();
    assert!(list.contains("2027-01-15T07:00:00Z"), "{list}");
    fs::write(UsageFile::beside(&folder.store()).path(), "garbage").unwrap();
    let (list, _) = folder.keys("list").unwrap();
    assert!(
        list.trim_end().ends_with("unknown"),
        "nobody named that file: {list}"
    );
    let nowhere = folder.error("list --usage /nowhere");
    assert!(nowhere.contains("/nowhere"), "{nowhere}");
}

#[test]
fn a_new_key_can_be_printed_as_json() {
    let folder = Desk::new();
    let (made, _) = folder.keys("new --client agent --json").unwrap();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let key = made["key"].as_str().unwrap();
    assert!(folder.works(key));
    assert_eq!(
        (&made["id"], &made["client"]),
        (&json!(id(key)), &json!("agent"))
    );
}

#[test]
fn a_store_is_a_file_or_a_secret_in_aws() {
    let store = |text: &str| text.parse::<Store>().map(|store| store.to_string());
    assert_eq!(store("keys.json").unwrap(), "keys.json");
    assert_eq!(store("file:a:b.json").unwrap(), "a:b.json");
    assert_eq!(store("a:b.json").unwrap(), "a:b.json");
    assert_eq!(store("aws:prod/keys").unwrap(), "aws:prod/keys");
    for bad in ["", "file:", "env:KEYS", "aws:", "aws:keys#field"] {
        assert!(store(bad).is_err(), "{bad}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let folder = Desk::new();
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
    let missing = Store::File(folder.0.join("no/keys.json"));
    let refused = missing.update(&Environment::new(), &|document| Ok(document.unwrap()));
    assert!(format!("{:#}", refused.unwrap_err()).contains("is its folder there"));
}

#[test]
fn a_damaged_store_is_never_overwritten() {
    let folder = Desk::new();
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
    let folder = Desk::new();
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
    let folder = Desk::new();
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
    let folder = Desk::new();
    fs::create_dir(folder.0.join("real")).unwrap();
    let real = folder.0.join("real/keys.json");
    fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, folder.store()).unwrap();
    folder.keys("new --client agent").unwrap();
    assert!(fs::symlink_metadata(folder.store()).unwrap().is_symlink());
    assert!(fs::read_to_string(real).unwrap().contains("agent"));
}
