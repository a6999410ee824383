//! What a log does not prove, said by every command that reads one.

use std::fs;

use crate::{
    house::{SUPPORT, command},
    log::{a_contact, audit, said, signed, stop},
};

const PSEUDONYMS: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn every_command_says_what_a_whole_and_signed_log_does_not_prove() {
    let mut house = signed(|setup| {
        setup.set("audit.instance", "one");
        setup.set("audit.pseudonym_key", "file:pseudonyms");
        setup.file("pseudonyms", PSEUDONYMS);
    })
    .await;
    a_contact(&house).await;
    stop(&mut house).await;
    let public = house.file("public.pem");
    let with_key = ["--public-key", public.to_str().unwrap()];
    let pseudonyms = format!("file:{}", house.file("pseudonyms").display());
    let log = fs::read_to_string(house.file("audit.jsonl")).unwrap();
    let execution = log.split("\"executionId\":\"").nth(1).unwrap();
    let execution = execution.split('"').next().unwrap();
    for what in [
        &["verify"][..],
        &["story", "--client", SUPPORT],
        &["explain", "--execution", execution],
        &[
            "search",
            "--value",
            "Giulia",
            "--pseudonym-key",
            &pseudonyms,
        ],
    ] {
        let output = audit(&[what, &with_key].concat(), &house);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{what:?}: {told}");
        for caveat in [
            "but not that no run came after the last of these\n",
            "but not that no other instance wrote anything: these lines are of one\n",
        ] {
            assert!(told.contains(caveat), "{what:?} {caveat}: {told}");
        }
    }
}

#[tokio::test]
async fn a_file_without_a_line_is_verified_by_no_command() {
    let folder = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
    fs::create_dir(&folder).unwrap();
    let (log, key) = (folder.join("empty.jsonl"), folder.join("pseudonyms"));
    fs::write(&log, "").unwrap();
    fs::write(&key, PSEUDONYMS).unwrap();
    let (log, key) = (log.to_str().unwrap(), format!("file:{}", key.display()));
    for what in [
        &["verify", "--open", "--partial"][..],
        &["story", "--client", SUPPORT],
        &["explain", "--request", "x"],
        &["search", "--value", "x", "--pseudonym-key", &key],
    ] {
        let output = command(&[&["audit"], what, &[log]].concat());
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{what:?}: {told}");
        assert!(!told.contains("erified"), "{what:?}: {told}");
        assert!(!told.contains("PROVEN"), "{what:?}: {told}");
        assert!(told.contains("no line of an audit log"), "{what:?}: {told}");
    }
    fs::remove_dir_all(folder).unwrap();
}
