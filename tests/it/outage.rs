//! When the log takes no lines: what is refused, what goes on, and that nothing is lost.

use std::{
    fs::{self, OpenOptions},
    io::Read as _,
    os::unix::fs::symlink,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    house::{House, SUPPORT, command, eventually},
    log::{a_contact, lines, lines_of_the_last_file, stop, to_file, verify},
};

#[tokio::test]
async fn a_full_disk_refuses_writes_loses_nothing_and_passes() {
    let mut house = House::with(to_file).await;
    let contact = a_contact(&house).await;
    let (log, kept) = (house.file("audit.jsonl"), house.file("kept"));
    fs::rename(&log, &kept).unwrap();
    symlink("/dev/full", &log).unwrap();
    let agent = house.agent(SUPPORT);
    let note = |content: &str| json!({ "record_id": contact, "content": content });
    let refused = agent.call("create_note", note("refused")).await.failure();
    assert!(refused.contains("cannot record"), "{refused}");
    agent.search("Giulia").await.content();
    let sick = house.stranger(None).get("/health").await;
    let checks = &sick.json()["checks"];
    assert_eq!(
        (sick.status.as_u16(), &checks["audit_log"]["status"]),
        (503, &json!("down"))
    );
    assert_eq!(house.stranger(None).get("/readyz").await.status, 503);
    fs::remove_file(&log).unwrap();
    fs::rename(&kept, &log).unwrap();
    let note = note("written");
    for _ in 0..100 {
        if house.stranger(None).get("/health").await.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    agent.call("create_note", note).await.content();
    assert_eq!(house.zoho.notes_written().await, 1);
    stop(&mut house).await;
    let lines = lines(&house);
    let ends = lines
        .iter()
        .filter(|line| line["error"] == "audit_unavailable");
    assert_eq!(ends.count(), 1);
    let searches = lines
        .iter()
        .filter(|line| line["toolName"] == "search_contacts");
    assert_eq!(
        searches.count(),
        4,
        "no line of a call that went on was lost"
    );
    assert!(verify(&house).status.success());
}

#[tokio::test]
async fn sigterm_ends_the_daemon_although_nobody_reads_standard_output() {
    // The daemon holds the other end of the pipe itself, and does not read.
    let mut house = House::with(|setup| {
        setup.through("mkfifo \"$4.out\" && exec 3<>\"$4.out\" && exec \"$@\" >\"$4.out\"");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let (mut asked, search) = (0, json!({ "name": "Giulia" }));
    while health(&house) {
        asked += 1;
        assert!(asked < 1000, "the pipe takes everything");
        agent
            .ask(
                "tools/call",
                json!({ "name": "search_contacts", "arguments": search }),
            )
            .await;
    }
    house.signal("-TERM");
    let status = house.ended().await;
    assert_eq!(status.code(), Some(1), "{}", house.operational_log());
    let told = || {
        house
            .operational_log()
            .contains("did not take its last lines")
    };
    eventually("what it could not write", || told().then_some(())).await;
}

#[tokio::test]
async fn a_sink_that_takes_nothing_costs_no_memory_and_no_line() {
    let mut house = House::with(|setup| {
        setup.set("audit.sinks", "[\"file:audit.pipe\", \"file:audit.jsonl\"]");
        setup.set("limits.in_flight", "64");
    })
    .await;
    // The pipe takes the place of a file that was put there first.
    let pipe = house.file("audit.pipe");
    let begun = fs::read_to_string(&pipe).unwrap();
    fs::remove_file(&pipe).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let agent = house.agent(SUPPORT);
    let before = resident(house.pid());
    for _ in 0..200 {
        agent
            .call("get_contact_history", json!({ "contact_id": "1" }))
            .await;
    }
    eventually("the log to be stuck", || (!health(&house)).then_some(())).await;
    let note = json!({ "record_id": "1", "content": "x" });
    assert!(
        agent
            .call("create_note", note)
            .await
            .failure()
            .contains("cannot record")
    );
    assert!(resident(house.pid()) < before + (64 << 20));
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let (mut text, mut block) = (begun, vec![0; 1 << 16]);
        while !text.contains("\"log_close\"") {
            let read = reader.read(&mut block).unwrap();
            text.push_str(&String::from_utf8_lossy(&block[..read]));
        }
        text
    });
    eventually("the log to go on", || health(&house).then_some(())).await;
    stop(&mut house).await;
    let piped = reading.await.unwrap();
    fs::remove_file(house.file("audit.pipe")).unwrap();
    assert_eq!(
        said_in(&piped),
        said_in(&lines_of_the_last_file(&house)),
        "both sinks have every line"
    );
    assert_eq!(piped.matches("\"tool_call_error\"").count(), 201);
    assert!(verify(&house).status.success());
}

/// The events of a log in their order. Each sink has a chain of its own, begun in its own moment.
fn said_in(log: &str) -> Vec<(u64, String)> {
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| (line["seq"].as_u64().unwrap(), line["event"].to_string()))
        .collect()
}

fn health(house: &House) -> bool {
    let url = format!("{}/health", house.url);
    command(&["healthcheck", "--url", &url]).status.success()
}

/// Bytes of resident memory.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

/// A house whose disk is full, with that policy.
async fn full(policy: &str) -> (House, String) {
    let house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.on_failure", policy);
    })
    .await;
    let contact = a_contact(&house).await;
    let log = house.file("audit.jsonl");
    fs::rename(&log, house.file("kept")).unwrap();
    symlink("/dev/full", &log).unwrap();
    (house, contact)
}

#[tokio::test]
async fn where_everything_has_to_be_recorded_everything_is_refused() {
    let (house, _) = full("refuse_all").await;
    let search = json!({ "name": "Giulia" });
    let refused = house
        .agent(SUPPORT)
        .call("search_contacts", search)
        .await
        .failure();
    assert!(refused.contains("cannot record"), "{refused}");
    assert!(!health(&house));
}

#[tokio::test]
async fn where_service_goes_first_everything_goes_on_and_is_written_later() {
    let (mut house, contact) = full("continue").await;
    for n in 0..3 {
        let note =
            json!({ "record_id": contact, "content": "x", "idempotency_key": format!("k{n}") });
        house
            .agent(SUPPORT)
            .call("create_note", note)
            .await
            .content();
    }
    assert!(health(&house));
    let log = house.file("audit.jsonl");
    fs::remove_file(&log).unwrap();
    fs::rename(house.file("kept"), &log).unwrap();
    stop(&mut house).await;
    let starts = lines(&house)
        .into_iter()
        .filter(|line| line["event"] == "tool_call_start");
    assert_eq!(
        starts
            .filter(|line| line["toolName"] == "create_note")
            .count(),
        3
    );
    assert!(verify(&house).status.success());
}

#[tokio::test]
async fn an_end_that_cannot_be_written_is_no_success() {
    let (mut house, _) = full("refuse_writes").await;
    house.signal("-TERM");
    assert_eq!(house.ended().await.code(), Some(1));
    let said = house.operational_log();
    assert!(said.contains("did not take its last lines"), "{said}");
}
