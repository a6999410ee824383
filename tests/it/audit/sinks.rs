//! A log that cannot be written.

use std::{fs::File, io::Read as _, process::Command};

use serde_json::{Value, json};

use super::{assert_every_start_has_its_end, verify};
use crate::house::{House, SUPPORT, eventually};

/// Standard output is a full disk from the beginning.
const FULL: &str = r#"exec "$@" >/dev/full"#;
/// Standard output is a pipe whose reader goes away with the first byte.
const CLOSED: &str =
    r#"log="${4%/*}/audit"; mkfifo "$log"; head -c 1 "$log" >/dev/null & exec "$@" >"$log""#;
/// Standard output is a pipe that nobody reads, though somebody could.
const UNREAD: &str = r#"log="${4%/*}/audit"; mkfifo "$log"; exec 3<>"$log"; exec "$@" >"$log""#;
/// Standard output is a file on a disk with 6 KiB left.
const FILLING: &str = r#"ulimit -S -f 12; exec "$@" >"${4%/*}/audit""#;

async fn house_with(script: &str, on_failure: &str) -> House {
    House::with(|setup| {
        setup.through(script);
        setup.set("audit.on_failure", on_failure);
    })
    .await
}

async fn search(house: &House) -> Value {
    house.agent(SUPPORT).search("Popper").await.result()
}

async fn write(house: &House) -> Value {
    let id = house.zoho.ids("Contacts", "id is not null").await.remove(0);
    let note = json!({ "record_id": id, "content": "x" });
    house
        .agent(SUPPORT)
        .call("create_note", note)
        .await
        .result()
}

fn refused(result: &Value) -> bool {
    let told = result["content"][0]["text"].as_str().unwrap();
    result["isError"] == true && told.contains("cannot record this call")
}

async fn health(house: &House) -> u16 {
    house.agent(SUPPORT).get("/health").await.status.as_u16()
}

#[tokio::test]
async fn a_full_disk_refuses_what_the_configuration_says() {
    for (on_failure, reads, writes, status) in [
        ("refuse_writes", true, false, 503),
        ("refuse_all", false, false, 503),
        ("continue", true, true, 200),
    ] {
        let house = house_with(FULL, on_failure).await;
        assert_eq!(refused(&search(&house).await), !reads, "{on_failure}");
        assert_eq!(refused(&write(&house).await), !writes, "{on_failure}");
        assert_eq!(health(&house).await, status, "{on_failure}");
        assert_eq!(
            house.zoho.notes_written().await,
            usize::from(writes),
            "{on_failure}"
        );
        let log = house.operational_log();
        assert_eq!(
            log.matches("the audit log cannot be written").count(),
            1,
            "{log}"
        );
    }
}

#[tokio::test]
async fn lines_that_a_stuck_sink_never_took_are_counted_at_the_end() {
    let mut house = house_with(FULL, "refuse_writes").await;
    search(&house).await;
    house.signal("-TERM");
    assert_ne!(house.ended().await.code(), Some(0));
    let told = house.operational_log();
    let (before, _) = told
        .split_once(" lines, and the closing line, are not in the audit log")
        .expect(&told);
    let lines: u32 = before.rsplit(' ').next().unwrap().parse().unwrap();
    // The login, and the beginning and the end of the call.
    assert!((3..10).contains(&lines), "{told}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_a_log_that_cannot_be_written() {
    let mut house = house_with(CLOSED, "refuse_writes").await;
    search(&house).await;
    eventually("the reader to be gone", || {
        let log = house.operational_log();
        log.contains("the audit log cannot be written")
            .then_some(())
    })
    .await;
    let log = house.operational_log();
    let named = "standard output: Broken pipe (os error 32): start again what reads it";
    assert!(log.contains(named), "{log}");
    assert!(refused(&write(&house).await));
    assert_eq!(
        (health(&house).await, house.zoho.notes_written().await),
        (503, 0)
    );
    // It can still be ended.
    house.signal("-TERM");
    house.ended().await;
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_refuses_writes_and_loses_no_line() {
    let house = house_with(UNREAD, "refuse_writes").await;
    write(&house).await;
    // 64 KiB fit into the pipe, two lines of each call.
    for _ in 0..100 {
        search(&house).await;
    }
    assert!(refused(&write(&house).await));
    assert_ne!(search(&house).await["isError"], true);
    assert_eq!(health(&house).await, 503);
    assert_eq!(house.zoho.notes_written().await, 1);
    let mut pipe = File::open(house.file("audit")).unwrap();
    std::thread::spawn({
        let copy = house.file("audit.copy");
        move || {
            let (mut buffer, mut all) = ([0; 65536], Vec::new());
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                all.extend_from_slice(&buffer[..read]);
                std::fs::write(&copy, &all).unwrap();
            }
        }
    });
    recovered(&house, "audit.copy").await;
}

#[tokio::test]
async fn a_disk_that_fills_up_and_is_cleared_has_every_line_once() {
    let house = filled("refuse_writes").await;
    assert!(refused(&write(&house).await));
    assert_eq!(health(&house).await, 503);
    clear_disk(&house);
    recovered(&house, "audit").await;
}

#[tokio::test]
async fn a_call_that_went_on_without_the_log_is_in_it_afterwards() {
    let house = filled("continue").await;
    for _ in 0..2 {
        assert_ne!(write(&house).await["isError"], true);
    }
    assert_eq!(health(&house).await, 200);
    clear_disk(&house);
    let lines = eventually("both writes in the log", || {
        let text = std::fs::read_to_string(house.file("audit")).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let writes = lines
            .iter()
            .filter(|line| line.contains("create_note"))
            .count();
        (writes == 4 && text.ends_with('\n')).then_some(lines)
    })
    .await;
    verify(&lines);
    let parsed: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_every_start_has_its_end(&parsed);
}

/// A house whose log has no more room.
async fn filled(on_failure: &str) -> House {
    let house = house_with(FILLING, on_failure).await;
    for _ in 0..20 {
        search(&house).await;
    }
    eventually("the disk to be full", || {
        let log = house.operational_log();
        log.contains("the audit log cannot be written")
            .then_some(())
    })
    .await;
    house
}

fn clear_disk(house: &House) {
    let pid = house.pid().to_string();
    let more = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited:unlimited"])
        .status();
    assert!(more.unwrap().success());
}

/// Writes go on, and the log is whole.
async fn recovered(house: &House, log: &str) {
    let mut healthy = false;
    for _ in 0..200 {
        healthy = health(house).await == 200;
        if healthy {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(healthy, "{}", house.operational_log());
    let before = house.zoho.notes_written().await;
    assert_ne!(write(house).await["isError"], true);
    assert_eq!(house.zoho.notes_written().await, before + 1);
    let lines = eventually("the last line", || {
        let text = std::fs::read_to_string(house.file(log)).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let last: Value = serde_json::from_str(lines.last()?).ok()?;
        let ended = last["event"] == "tool_call_success" && last["toolName"] == "create_note";
        (ended && text.ends_with('\n')).then_some(lines)
    })
    .await;
    verify(&lines);
    let parsed: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let unavailable = |line: &&Value| line["error"] == "audit_unavailable";
    assert!(
        parsed.iter().any(|line| unavailable(&line)),
        "the refused write is not told"
    );
    assert!(parsed.iter().all(|line| line["event"] != "lines_lost"));
    let told: Vec<Value> = parsed
        .iter()
        .filter(|line| !unavailable(line))
        .cloned()
        .collect();
    let refused: Vec<&Value> = parsed.iter().filter(unavailable).collect();
    let others = |line: &&Value| {
        refused
            .iter()
            .all(|end| end["executionId"] != line["executionId"])
    };
    assert_every_start_has_its_end(&told.iter().filter(others).cloned().collect::<Vec<_>>());
}
