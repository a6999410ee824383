//! The log loses nothing, whatever happens to the process or to the disk.

use std::{
    collections::BTreeSet, fs::OpenOptions, io::Write as _, os::unix::process::ExitStatusExt as _,
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zoho_mcp::audit::Redactor;

use crate::{
    house::{House, SUPPORT, eventually},
    log::{
        a_contact, audit, files, lines, lines_of_the_last_file, open_calls, said, signed, stop,
        to_file, verify,
    },
};

/// Writes notes, each known by its text, until the daemon is gone.
async fn write_until_killed(house: &House, contact: &str, round: usize) {
    let writers = (0..4).map(|writer| {
        let (agent, contact) = (house.agent(SUPPORT), contact.to_owned());
        tokio::spawn(async move {
            for n in 0.. {
                let name = format!("r{round}w{writer}n{n}");
                let note =
                    json!({ "record_id": contact, "content": name, "idempotency_key": name });
                agent.call("create_note", note).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let first = eventually("a note", || {
        let text = lines_of_the_last_file(house);
        let of_this_run = text.rsplit("\"log_open\"").next().unwrap();
        of_this_run.contains("\"create_note\"").then_some(())
    });
    first.await;
    // Anywhere in what a write does.
    let pause = uuid::Uuid::new_v4().as_u128() % 60;
    tokio::time::sleep(Duration::from_millis(pause as u64)).await;
    house.signal("-KILL");
    for writer in writers {
        assert!(
            writer.await.is_err(),
            "a call that cannot be made fails the writer"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_kills_the_daemon_a_note_that_zoho_has_was_recorded_before() {
    let rounds = std::env::vars().find(|(name, _)| name == "ZOHO_MCP_TEST_KILLS");
    let rounds = rounds.map_or(20, |(_, rounds)| rounds.parse().unwrap());
    let mut house = signed(|setup| {
        setup.set("audit.pseudonym_key", "file:pseudonyms");
        setup.file("pseudonyms", PSEUDONYMS);
        setup.set("audit.file.max_size", "64KiB");
        setup.set("audit.checkpoint", "{ lines = 20, every = \"1s\" }");
    })
    .await;
    let contact = a_contact(&house).await;
    for round in 0..rounds {
        write_until_killed(&house, &contact, round).await;
        assert_eq!(house.ended().await.signal(), Some(9));
        // Zoho gives ten tokens in ten minutes, and each daemon takes one.
        house.zoho.later("10m").await;
        house.start_again().await;
    }
    let written = house.zoho.notes_of(&contact).await;
    stop(&mut house).await;
    let lines = lines(&house);
    let started = lines
        .iter()
        .filter(|line| line["event"] == "tool_call_start");
    let started: BTreeSet<_> = started
        .filter_map(|line| line["args"]["idempotency_key"].as_str())
        .collect();
    let ours = written
        .iter()
        .filter(|text| text.starts_with('r') && text.contains('w'));
    let redactor = Redactor::new(&PSEUDONYMS.as_bytes().to_vec().into());
    let unrecorded: Vec<_> = ours
        .clone()
        .filter(|text| !started.contains(&*redactor.pseudonym_of(text)))
        .collect();
    assert!(
        unrecorded.is_empty(),
        "in Zoho and not in the log: {unrecorded:?}"
    );
    assert!(ours.count() > rounds, "too few notes to show anything");
    let verified = verify(&house);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    let named = lines.iter().filter(|line| line["previous"] == "named");
    assert_eq!(named.count(), rounds);
}

#[tokio::test]
async fn the_first_line_of_a_run_says_what_the_run_before_left_undone() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.file.max_size", "64KiB");
    })
    .await;
    a_contact(&house).await;
    let slow = json!({ "fault": "latency", "delay": "60s", "path": "/crm", "times": 2 });
    house.zoho.fault(slow).await;
    let agent = house.agent(SUPPORT);
    let hanging = [1, 2].map(|n| {
        let agent = agent.clone();
        tokio::spawn(async move {
            agent
                .try_ask(
                    "tools/call",
                    json!({ "name": "search_contacts",
            "arguments": { "name": format!("Popper {n}") } }),
                )
                .await
        })
    });
    let begun = |line: &Value| line["event"] == "tool_call_start";
    eventually("three calls have begun", || {
        (lines(&house).iter().filter(|line| begun(line)).count() == 3).then_some(())
    })
    .await;
    // What follows them fills more than a file.
    while files(&house).len() == 1 {
        a_contact(&house).await;
    }
    // Who only reads has its answer before the log has the line of it.
    let two_hang = || (open_calls(&house) == 2).then_some(());
    eventually("the ends of the others", two_hang).await;
    house.crash();
    for call in hanging {
        call.abort();
    }
    house.zoho.mend().await;
    house.start_again().await;
    let opened = |house: &House| {
        lines(house)
            .into_iter()
            .rfind(|line| line["event"] == "log_open")
            .unwrap()
    };
    let cut = opened(&house);
    assert_eq!(
        (&cut["previousEnd"], &cut["previousUnended"]),
        (&json!("cut_off"), &json!(2)),
        "{cut}"
    );
    let warned = house.operational_log();
    let warning = "the last run did not close the audit log";
    assert!(warned.contains(warning), "{warned}");
    stop(&mut house).await;
    house.start_again().await;
    let clean = opened(&house);
    assert_eq!(
        (&clean["previousEnd"], &clean["previousUnended"]),
        (&json!("closed"), &Value::Null),
        "{clean}"
    );
}

#[tokio::test]
async fn a_line_that_a_crash_left_unfinished_is_mended_and_told() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.file.fsync", "always");
    })
    .await;
    a_contact(&house).await;
    let log = house.file("audit.jsonl");
    eventually("the call's end", || {
        lines_of_the_last_file(&house)
            .contains("tool_call_success")
            .then_some(())
    })
    .await;
    house.signal("-KILL");
    house.ended().await;
    let mut file = OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"{\"timestamp\":\"2026-").unwrap();
    house.start_again().await;
    stop(&mut house).await;
    let lines = lines(&house);
    let healed = lines
        .iter()
        .find(|line| line["event"] == "log_healed")
        .unwrap();
    assert_eq!(
        healed["reason"],
        "removed 19 bytes, the beginning of a line that a process was killed in the middle of"
    );
    let verified = said(&verify(&house));
    assert!(
        verified.contains(
            "did not close its log (killed, or could not write its end), and named to its last line"
        ),
        "{verified}"
    );
    assert!(verified.contains("PROVEN"), "{verified}");
}

/// Forty calls, four at a time.
async fn many_contacts(house: &House) {
    for _ in 0..10 {
        let four = || a_contact(house);
        tokio::join!(four(), four(), four(), four());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_that_write_at_once_share_a_file() {
    let mut one = House::with(|setup| {
        to_file(setup);
        setup
            .set("audit.instance", "one")
            .set("audit.file.max_size", "2KiB");
    })
    .await;
    let path = format!("[\"file:{}\"]", one.file("audit.jsonl").display());
    let mut other = House::with(|setup| {
        setup
            .set("audit.sinks", &path)
            .set("audit.instance", "other");
        setup.set("audit.file.max_size", "2KiB");
    })
    .await;
    tokio::join!(many_contacts(&one), many_contacts(&other));
    stop(&mut one).await;
    stop(&mut other).await;
    assert!(
        files(&one).len() > 5,
        "the file was put aside again and again"
    );
    let verified = verify(&one);
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(!said(&verified).contains("no whole run is missing"));
    for instance in ["of one: 124 lines", "of other: 124 lines"] {
        assert!(said(&verified).contains(instance), "{}", said(&verified));
    }
}

/// Takes the signatures out after the first line, and computes anew what anyone can.
fn without_checkpoints(text: &str) -> String {
    let (mut hash, mut seq, mut forged) = (String::new(), 0, String::new());
    for line in text.lines().filter(|line| !line.contains("\"checkpoint\"")) {
        seq += 1;
        let line = if seq == 1 {
            line.to_owned()
        } else {
            let (cut, _) = line.split_once(",\"seq\":").unwrap();
            let open = format!("{cut},\"seq\":{seq},\"prevHash\":\"{hash}\"");
            let digest = Sha256::digest(format!("{open}}}"));
            let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{open},\"hash\":\"{hash}\"}}")
        };
        let parsed: Value = serde_json::from_str(&line).unwrap();
        parsed["hash"].as_str().unwrap().clone_into(&mut hash);
        forged.push_str(&line);
        forged.push('\n');
    }
    forged
}

#[tokio::test]
async fn a_run_that_was_written_anew_is_not_vouched_for_by_the_next() {
    let mut house = signed(|setup| {
        setup.set("audit.checkpoint", "{ lines = 1, every = \"60s\" }");
    })
    .await;
    a_contact(&house).await;
    house.signal("-KILL");
    house.ended().await;
    let log = house.file("audit.jsonl");
    let forged = without_checkpoints(&lines_of_the_last_file(&house));
    // Calls that nobody made, more than there can be without a checkpoint.
    let call = forged.lines().last().unwrap().to_owned() + "\n";
    let forged = without_checkpoints(&(forged + &call.repeat(1200)));
    std::fs::write(&log, forged).unwrap();
    house.start_again().await;
    stop(&mut house).await;
    let open = lines(&house)
        .into_iter()
        .rfind(|line| line["event"] == "log_open");
    assert_eq!(open.unwrap()["previous"], "unverified");
    assert!(
        house
            .operational_log()
            .contains("not signed as it should be")
    );
    let verified = verify(&house);
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
}

#[tokio::test]
async fn texts_that_try_to_break_the_log_stay_inside_their_line() {
    let mut house = House::with(to_file).await;
    let agent = house.agent(SUPPORT);
    let nasty = [
        "\r\n{\"event\":\"log_close\"}",
        "\u{2028}\u{2029}\u{85}",
        "\u{1b}[2J\u{7}",
        "\0",
        "\u{202e}",
    ];
    for text in nasty {
        agent
            .call("search_contacts", json!({ "query": text, text: text }))
            .await;
        agent.call(text, json!({})).await;
        agent
            .call("create_note", json!({ "record_id": text, "module": text }))
            .await;
    }
    let long = "x".repeat(200 << 10);
    agent
        .call("create_note", json!({ "record_id": "1", "content": long }))
        .await;
    agent.post(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"\xff\"}}"[..]).await;
    stop(&mut house).await;
    let text = lines_of_the_last_file(&house);
    assert!(text.lines().count() > 10);
    assert!(text.lines().all(|line| line.len() < 16 << 10));
    assert!(text.bytes().all(|byte| byte == b'\n' || byte >= b' '));
    assert!(verify(&house).status.success());
}

#[tokio::test]
async fn a_call_that_the_end_cuts_off_has_its_end_in_the_log() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("server.drain_timeout", "500ms");
    })
    .await;
    a_contact(&house).await;
    let slow = json!({ "fault": "latency", "path": "/crm", "times": 9, "delay": "20s" });
    house.zoho.fault(slow).await;
    let agent = house.agent(SUPPORT);
    let calling = tokio::spawn(async move { agent.search("Giulia").await });
    eventually("the second call", || {
        let text = lines_of_the_last_file(&house);
        (text.matches("tool_call_start").count() == 2).then_some(())
    })
    .await;
    house.signal("-TERM");
    assert_eq!(house.ended().await.code(), Some(1));
    let told = calling.await.unwrap().failure();
    assert!(told.contains("going down"), "{told}");
    let lines = lines(&house);
    let events: Vec<_> = lines
        .iter()
        .rev()
        .take(3)
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["log_close", "drain_end", "tool_call_cancelled"]);
    let told = said(&audit(&["story", "--client", SUPPORT], &house));
    assert!(told.contains("cut off: the daemon went down"), "{told}");
    assert!(verify(&house).status.success());
}

#[tokio::test]
async fn the_log_says_when_zoho_is_given_up_and_found_again() {
    let mut house = House::with(to_file).await;
    let broken = json!({ "fault": "status", "status": 500, "path": "/crm", "times": 100 });
    house.zoho.fault(broken).await;
    let agent = house.agent(SUPPORT);
    for _ in 0..12 {
        agent.search("Giulia").await.failure();
    }
    let state = |wanted: &str| {
        let reason = format!("\"event\":\"breaker_state\",\"reason\":\"{wanted}\"");
        lines_of_the_last_file(&house)
            .contains(&reason)
            .then_some(())
    };
    eventually("the breaker to open", || state("open")).await;
    house.zoho.mend().await;
    for _ in 0..200 {
        agent.search("Giulia").await;
        if state("closed").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(state("closed").is_some());
    stop(&mut house).await;
}

const PSEUDONYMS: &str = "0123456789abcdef0123456789abcdef";
