//! What is left of the calls: lines in the log, notes in the CRM.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
};

use serde_json::Value;

use super::{
    agent::Seen,
    role::{Outcome, Role},
};

/// How many lines tell of those calls. Each has to have its own: what was answered, denied or over
/// a limit by the id of its request; and what was begun has to have ended, once.
pub(crate) fn of_calls<'a>(logs: &[PathBuf], seen: impl Iterator<Item = &'a Seen>) -> usize {
    let lines: Vec<Value> = logs.iter().flat_map(lines).collect();
    let mut of_request = HashMap::<&str, Vec<&str>>::new();
    let mut of_call = BTreeMap::<&str, Vec<&str>>::new();
    for line in &lines {
        let event = line["event"].as_str().unwrap();
        if let Some(request) = line["requestId"].as_str() {
            of_request.entry(request).or_default().push(event);
        }
        if let Some(call) = line["executionId"].as_str() {
            of_call.entry(call).or_default().push(event);
        }
    }
    let mut told = 0;
    for seen in seen {
        let Some(expected) = expected(seen) else {
            continue;
        };
        let request = seen.request.as_deref().expect("an id of the request");
        let mut events = of_request.remove(request).unwrap_or_default();
        // Comes with the first request of a connection.
        events.retain(|event| *event != "auth_success");
        assert_eq!(events, expected, "{request} of {}", seen.role.name());
        told += events.len();
    }
    for (call, events) in of_call {
        let begun = events.iter().filter(|event| **event == START).count();
        let is_whole = begun == 1 && events.len() == 2;
        assert!(is_whole || begun == 0, "{call}: {events:?}");
    }
    told
}

fn lines(log: &PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    let line = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(line).collect()
}

/// The events of a call. None for those that have no line of their own: whoever has tried too many
/// keys is written down once, a body that is too large is never read, and whoever left was not told
/// which request it was.
fn expected(seen: &Seen) -> Option<&'static [&'static str]> {
    match (seen.role, seen.outcome) {
        (_, Outcome::Answered) => Some(&[START, "tool_call_success"]),
        (_, Outcome::Failed) => Some(&[START, "tool_call_error"]),
        (_, Outcome::Denied) => Some(&["tool_access_denied"]),
        (Role::Stranger, Outcome::Limited) => None,
        (_, Outcome::Limited) => Some(&["rate_limit_exceeded"]),
        (_, Outcome::Unauthorized) => Some(&["auth_failed"]),
        _ => None,
    }
}

/// How many of the texts that agents were told are written are in the CRM. Each has to be there
/// once, and nothing that nobody was told of.
pub(crate) fn of_notes<'a>(notes: Vec<String>, told: impl Iterator<Item = &'a String>) -> usize {
    let mut found = BTreeMap::<String, usize>::new();
    for note in notes {
        *found.entry(note).or_default() += 1;
    }
    let told: Vec<_> = told.collect();
    for text in &told {
        let times = found.remove(*text).unwrap_or(0);
        assert_eq!(times, 1, "the note {text}");
    }
    // What is left was there before: none is of an agent.
    let of_agents = |text: &&String| text.starts_with("0-") || text.starts_with("1-");
    let untold: Vec<_> = found.keys().filter(of_agents).collect();
    assert!(untold.is_empty(), "nobody was told of {untold:?}");
    for text in ["forbidden", "I was here"] {
        assert!(!found.contains_key(text), "a note that may not be written");
    }
    told.len()
}

const START: &str = "tool_call_start";
