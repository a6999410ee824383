//! What the log says, and that nothing else is in it.

mod canaries;
mod caveats;
mod commands;
mod ends;
mod explained;
mod held;
mod losses;
mod reader;
mod sinks;
mod stalled;
mod story;
mod two_sinks;
mod waits;

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The check of docs/audit.md, written again from its text.
fn verify(lines: &[String]) -> u64 {
    let (mut previous, mut seq) = ("0".repeat(64), 0);
    for line in lines {
        let entry: Value = serde_json::from_str(line).unwrap();
        let body = format!("{}}}", &line[..line.rfind(",\"hash\":\"").unwrap()]);
        let digest = Sha256::digest(body.as_bytes());
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(entry["prevHash"], previous, "{line}");
        assert_eq!(entry["seq"], seq + 1, "{line}");
        assert_eq!(entry["hash"], hash, "{line}");
        (previous, seq) = (hash, seq + 1);
    }
    seq
}

/// Each start has exactly one end, and no end comes without a start.
fn assert_every_start_has_its_end(lines: &[Value]) {
    let mut calls: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in lines {
        let Some(id) = line["executionId"].as_str() else {
            continue;
        };
        let (starts, ends) = calls.entry(id).or_default();
        match line["event"].as_str().unwrap() {
            "tool_call_start" => *starts += 1,
            _ => *ends += 1,
        }
    }
    for (id, counts) in calls {
        assert_eq!(counts, (1, 1), "{id}");
    }
}
