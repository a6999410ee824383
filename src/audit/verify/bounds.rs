//! What is kept of a log has its bounds, whatever somebody has written there.

use super::*;
use crate::audit::chain::Chain;

/// The lines of a run, closed by its chain.
fn take(verifier: &mut Verifier, boot: usize, lines: &[String]) {
    let (mut chain, mut text) = (Chain::new(), Vec::new());
    for line in lines {
        let open = format!(
            "{{\"timestamp\":\"2026-03-31T00:00:00.000Z\",{line},\
             \"instance\":\"i\",\"boot\":\"{boot:016x}\""
        );
        chain.close(&mut text, open.as_bytes(), None);
    }
    let lines = text.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        verifier.line(Place { file: 0, line: 0 }, line);
    }
}

fn verifier() -> Verifier {
    Verifier::new(Expectations {
        open: true,
        ..Expectations::default()
    })
}

#[test]
fn runs_beyond_those_that_are_told_apart_are_not_vouched_for() {
    let mut verifier = verifier();
    let open = ["\"event\":\"log_open\"".to_owned()];
    for boot in 0..MOST_RUNS {
        take(&mut verifier, boot, &open);
    }
    assert!(verifier.findings.is_empty(), "{:?}", verifier.findings);
    take(&mut verifier, MOST_RUNS, &open);
    let verdict = verifier.finish();
    assert_eq!(verdict.runs.len(), MOST_RUNS);
    assert_eq!(verdict.findings[0].what, Wrong::TooManyRuns);
}

#[test]
fn calls_without_an_end_are_kept_up_to_a_bound_and_counted_as_more() {
    let mut verifier = verifier();
    verifier.calls = MOST_CALLS - 2;
    let mut lines = vec!["\"event\":\"log_open\"".to_owned()];
    let call = |event: &str, n: usize| format!("\"event\":\"{event}\",\"executionId\":\"{n}\"");
    lines.extend((0..3).map(|n| call("tool_call_start", n)));
    take(&mut verifier, 1, &lines);
    let run = verifier.runs.values().next().unwrap();
    assert_eq!((run.calls.count(), verifier.calls), ((2, true), MOST_CALLS));
    lines.push(call("tool_call_success", 0));
    let mut verifier = self::verifier();
    take(&mut verifier, 1, &lines);
    assert_eq!(verifier.calls, 2, "what has ended makes room");
}

#[test]
fn no_text_is_kept_that_is_longer_than_any_of_ours() {
    let mut verifier = verifier();
    let long = "\u{e9}".repeat(5000);
    let open = format!("\"event\":\"log_open\",\"signer\":\"{long}\",\"pseudonymKey\":\"{long}\"");
    take(&mut verifier, 1, &[open]);
    let run = verifier.runs.values().next().unwrap();
    let lengths = [&run.signer, &run.pseudonym_key].map(|text| text.as_ref().unwrap().len());
    assert_eq!(lengths, [64, 64]);
}
