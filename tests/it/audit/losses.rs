//! What found no room while nobody read the log, and how the log says so.

use std::{fs::File, io::Read as _, sync::Arc};

use serde_json::{Value, json};

use super::verify;
use crate::{
    house::{House, REPORTING, SUPPORT, command, eventually},
    log::said,
};

/// Standard output is a pipe that nobody reads, though somebody could.
const UNREAD: &str = r#"log="${4%/*}/audit"; mkfifo "$log"; exec 3<>"$log"; exec "$@" >"$log""#;

/// Denied calls, each of which is a line, until a call that is permitted is refused.
async fn fill(house: &Arc<House>) {
    let writers = (0..12).map(|_| {
        let house = house.clone();
        tokio::spawn(async move {
            let agent = house.agent(SUPPORT);
            while !house.operational_log().contains("has no room") {
                agent.call("get_revenue_report", json!({})).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Reads what waits, for as long as the daemon lives.
fn read(house: &House) {
    let (mut pipe, copy) = (
        File::open(house.file("audit")).unwrap(),
        house.file("audit.copy"),
    );
    std::thread::spawn(move || {
        let (mut buffer, mut all) = ([0; 65536], Vec::new());
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            all.extend_from_slice(&buffer[..read]);
            std::fs::write(&copy, &all).unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_found_no_room_is_counted_and_told_where_it_was_lost() {
    let house = House::with(|setup| {
        setup.through(UNREAD);
        setup.set("server.ops_listen", "127.0.0.1:0");
    })
    .await;
    let house = Arc::new(house);
    fill(&house).await;
    let search = json!({ "name": "Popper" });
    for _ in 0..3 {
        let agent = house.agent(SUPPORT);
        let result = agent.call("search_contacts", search.clone()).await.result();
        assert_eq!(result["isError"], true, "{result}");
    }
    let counted = house.operator().get("/metrics").await.text;
    let refused = format!("zoho_mcp_audit_calls_refused_total{{client=\"{SUPPORT}\"}} 3");
    assert!(counted.contains(&refused), "{counted}");
    read(&house);
    let text = eventually("the line that tells of it", || {
        let text = std::fs::read_to_string(house.file("audit.copy")).unwrap_or_default();
        (text.contains("\"lines_lost\"") && text.ends_with('\n')).then_some(text)
    })
    .await;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    verify(&lines);
    let parsed = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    let parsed: Vec<Value> = parsed.collect();
    let at = parsed.iter().position(|line| line["event"] == "lines_lost");
    let lost = &parsed[at.unwrap()];
    assert_eq!(lost["refusedCalls"], json!({ SUPPORT: 3 }), "{lost}");
    let reason = lost["reason"].as_str().unwrap();
    assert!(reason.contains("tool_call_refused 3"), "{reason}");
    assert!(reason.contains("tool_access_denied"), "{reason}");
    let time = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let (from, until) = (time(lost, "lostFrom"), time(lost, "lostUntil"));
    assert!(from < until, "{lost}");
    let before = &parsed[at.unwrap() - 1];
    assert!(time(before, "timestamp") <= from, "{before}");
    assert!(at.unwrap() > 8000, "everything that had room is before it");
    assert_told(&house, &text, lost);
    let log = house.operational_log();
    for (once, what) in [
        (1, "a sink neither takes nor refuses"),
        (1, "the audit log is written again"),
        (1, "the audit log has no room"),
        (1, "says what it lacks"),
    ] {
        assert_eq!(log.matches(what).count(), once, "{what}: {log}");
    }
    assert!(log.lines().count() < 30, "one line for each loss: {log}");
}

/// Lines of the file that tell of losses, and how much each of them tells of.
fn told(house: &House) -> Vec<u64> {
    let text = std::fs::read_to_string(house.file("audit.jsonl")).unwrap();
    let reasons = text.lines().filter_map(|line| {
        line.split_once("\"reason\":\"found no room: ")?
            .1
            .split_once('"')
    });
    let sum = |(reason, _): (&str, &str)| {
        let counts = reason
            .split(' ')
            .filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok());
        counts.sum::<u64>()
    };
    reasons.map(sum).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_telling_what_is_lost_while_standard_output_takes_nothing() {
    let house = House::with(|setup| {
        setup.through(UNREAD);
        setup.set("audit.sinks", r#"["stdout", "file:audit.jsonl"]"#);
    })
    .await;
    let house = Arc::new(house);
    fill(&house).await;
    let callers = (0..8).map(|_| {
        let house = house.clone();
        tokio::spawn(async move {
            let agent = house.agent(SUPPORT);
            while told(&house).len() < 4 {
                agent.call("get_revenue_report", json!({})).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let told = self::told(&house);
    let are_few = told
        .iter()
        .zip(&told[1..])
        .all(|(before, next)| *next >= 2 * before);
    assert!(are_few, "{told:?}");
    let file = house.file("audit.jsonl");
    let file = file.to_str().unwrap();
    for what in [
        &["verify", "--open"][..],
        &["search", "--value", "x", "--pseudonym-key", &key(&house)],
    ] {
        let output = said(&command(&[&["audit"], what, &[file]].concat()));
        let lacks = output
            .lines()
            .filter(|line| line.contains("said that found no room"));
        let least: Vec<bool> = lacks.map(|line| line.contains("at least ")).collect();
        let (last, others) = least.split_last().unwrap();
        assert!(*last && !others.contains(&true), "{what:?}: {output}");
    }
    let story = said(&command(&["audit", "story", "--client", SUPPORT, file]));
    assert_eq!(
        story.matches("  lost     lines: at least ").count(),
        1,
        "{story}"
    );
    assert_eq!(story.matches("Z or later\n").count(), 1, "{story}");
}

/// A key that pseudonyms could be of.
fn key(house: &House) -> String {
    let path = house.file("pseudonyms");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef").unwrap();
    format!("file:{}", path.display())
}

/// Whoever asks the log hears what it lacks, whomever they ask about.
fn assert_told(house: &House, text: &str, lost: &Value) {
    let copy = house.file("told");
    std::fs::write(&copy, text).unwrap();
    let (from, until) = (&lost["lostFrom"], &lost["lostUntil"]);
    let between = format!("{from} and {until}").replace('"', "");
    for (what, code) in [
        (&["verify", "--open"][..], 0),
        (&["story", "--client", SUPPORT], 0),
        (&["story", "--client", REPORTING], 1),
        (&["explain", "--request", "x"], 1),
    ] {
        let output = command(&[&["audit"], what, &[copy.to_str().unwrap()]].concat());
        let told = said(&output);
        let last = told.get(told.len().saturating_sub(4000)..).unwrap_or(&told);
        let lack = told
            .lines()
            .find(|line| line.contains("said that found no room"));
        let lack = lack.unwrap_or_else(|| panic!("{what:?}: {last}"));
        assert!(lack.contains(&between), "{what:?}: {lack}");
        assert!(lack.contains("3 refused calls"), "{what:?}: {lack}");
        let is_told = told.contains(&format!("between  {between}"));
        // The line names whose they were.
        let is_whose = what.contains(&SUPPORT);
        assert_eq!(is_told, is_whose, "{what:?}: {last}");
        let own = &lost["lostLines"][SUPPORT];
        let is_own = told.contains(&format!("  lost     of {SUPPORT} at least {own} lines"));
        assert_eq!(is_own, is_whose, "{what:?}: {last}");
        let is_nothing = told.contains("in what is left of the log");
        assert_eq!(is_nothing, code == 1, "{what:?}: {last}");
        assert_eq!(output.status.code(), Some(code), "{what:?}: {last}");
    }
    // Nothing is said above of a log that was changed.
    std::fs::write(&copy, text.replacen("\"warn\"", "\"info\"", 1)).unwrap();
    let story = [
        "audit",
        "story",
        "--client",
        REPORTING,
        copy.to_str().unwrap(),
    ];
    let told = said(&command(&story));
    let nothing = "nothing of that is in the log";
    assert!(
        told.contains("NOT VERIFIED") && told.contains(nothing),
        "{told}"
    );
}
