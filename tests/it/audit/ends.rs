//! Logs whose end, or whose place, is not what it should be.

use std::{fs, fs::File, io::Read as _, os::unix::fs::symlink, time::Duration};

use serde_json::{Value, json};

use super::verify;
use crate::{
    house::{House, SUPPORT, command, eventually},
    log::{a_contact, audit, lines, said, stop, to_file},
};

/// Standard output is a pipe that nobody reads, though somebody could.
const UNREAD: &str = r#"log="${4%/*}/audit"; mkfifo "$log"; exec 3<>"$log"; exec "$@" >"$log""#;

/// Reads a little at a time until the daemon is gone: a log driver that has just been let go.
fn read_slowly(house: &House) -> std::thread::JoinHandle<Vec<u8>> {
    let mut pipe = File::open(house.file("audit")).unwrap();
    std::thread::spawn(move || {
        let (mut buffer, mut all) = ([0; 4096], Vec::new());
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            all.extend_from_slice(&buffer[..read]);
            std::thread::park_timeout(Duration::from_millis(200));
        }
        all
    })
}

#[tokio::test]
async fn a_pipe_that_is_freed_slowly_at_the_end_has_every_line() {
    let mut house = House::with(|setup| {
        setup.through(UNREAD);
    })
    .await;
    let agent = house.agent(SUPPORT);
    // 64 KiB fit into the pipe, and more than as much again waits.
    for _ in 0..130 {
        let search = json!({ "name": "Popper" });
        agent.call("search_contacts", search).await.result();
    }
    house.signal("-TERM");
    let reader = read_slowly(&house);
    let ended = house.ended().await;
    assert!(ended.success(), "{}", house.operational_log());
    let text = String::from_utf8(reader.join().unwrap()).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    verify(&lines);
    assert!(lines.last().unwrap().contains("\"log_close\""));
    let ends = lines.iter().filter(|it| it.contains("tool_call_success"));
    assert_eq!(ends.count(), 130);
}

#[tokio::test]
async fn a_log_behind_a_link_stays_on_the_disk_that_the_link_names() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.file.max_size", "4KiB");
        setup.through(r#"f="${4%/*}"; mkdir "$f/disk"; ln -s disk/audit.jsonl "$f/audit.jsonl"; : >"$f/disk/audit.jsonl"; exec "$@""#);
    })
    .await;
    for _ in 0..12 {
        a_contact(&house).await;
    }
    stop(&mut house).await;
    let link = house.file("audit.jsonl");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let files: Vec<_> = fs::read_dir(house.file("disk")).unwrap().collect();
    assert!(files.len() > 2, "{files:?}");
    let paths = files.into_iter().map(|file| file.unwrap().path());
    let paths: Vec<_> = paths
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    let names = paths.iter().map(String::as_str);
    let arguments: Vec<_> = ["audit", "verify"].into_iter().chain(names).collect();
    let verified = command(&arguments);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[tokio::test]
async fn a_log_that_is_moved_or_removed_from_outside_goes_on_in_a_new_file() {
    let mut house = House::with(to_file).await;
    a_contact(&house).await;
    let (log, moved) = (house.file("audit.jsonl"), house.file("audit.jsonl.1"));
    fs::rename(&log, &moved).unwrap();
    a_contact(&house).await;
    eventually("a new file", || log.exists().then_some(())).await;
    symlink(&log, house.file("audit.jsonl.link")).unwrap();
    a_contact(&house).await;
    stop(&mut house).await;
    let verified = audit(&["verify"], &house);
    assert!(verified.status.success(), "{}", said(&verified));
    fs::remove_file(&moved).unwrap();
    let verified = audit(&["verify"], &house);
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
    assert!(
        lines(&house)
            .iter()
            .any(|line| line["event"] == "log_close")
    );
}

#[tokio::test]
async fn a_write_that_a_kill_cut_off_is_told_to_be_in_doubt() {
    let mut house = House::with(to_file).await;
    let contact = a_contact(&house).await;
    let slow = json!({ "fault": "latency", "path": "/crm/v8/Notes", "delay": "20s" });
    house.zoho.fault(slow).await;
    let note = json!({ "record_id": contact, "content": "x", "idempotency_key": "k" });
    let note = json!({ "name": "create_note", "arguments": note });
    let agent = house.agent(SUPPORT);
    let call = tokio::spawn(async move { agent.try_ask("tools/call", note).await });
    let start = eventually("the start of the write", || {
        let mut lines = lines(&house).into_iter();
        lines.find(|line| line["toolName"] == "create_note")
    })
    .await;
    house.signal("-KILL");
    assert!(call.await.unwrap().is_none(), "nobody was answered");
    house.ended().await;
    let execution = start["executionId"].as_str().unwrap();
    for what in ["story", "explain"] {
        let told = said(&audit(&[what, "--execution", execution], &house));
        assert!(told.contains("the daemon was killed"), "{told}");
        let place = format!("look first in Zoho at record {contact}");
        assert_eq!(told.matches(&place).count(), 1, "{told}");
        assert!(
            told.contains("without it is forgotten when the process ends"),
            "{told}"
        );
    }
    house.zoho.mend().await;
    house.start_again().await;
    eventually("the next run's first line", || {
        let is_next = |line: &Value| line["previousEnd"] == "cut_off";
        lines(&house).iter().any(is_next).then_some(())
    })
    .await;
    assert_the_next_run_tells(&house, &start);
}

/// That the run of the call ended without closing its log.
fn assert_the_next_run_tells(house: &House, start: &Value) {
    let execution = start["executionId"].as_str().unwrap();
    for what in ["story", "explain"] {
        let told = said(&audit(&[what, "--execution", execution], house));
        let settled = "the daemon ended without closing its log during it";
        assert!(told.contains(settled), "{told}");
        assert!(!told.contains("had not ended it yet"), "{told}");
    }
    let verified = said(&audit(&["verify", "--open"], house));
    let unended = format!("        1 call without an end: {execution}\n");
    assert_eq!(verified.matches(" without an end").count(), 1, "{verified}");
    assert!(verified.contains(&unended), "{verified}");
    let day = &start["timestamp"].as_str().unwrap()[..10];
    let told = audit(&["story", "--day", day], house);
    assert!(told.status.success(), "{}", said(&told));
    let told = said(&told);
    for wanted in ["the run before did not close its log", "called create_note"] {
        assert!(told.contains(wanted), "{told}");
    }
    assert_eq!(audit(&["story"], house).status.code(), Some(64));
}
