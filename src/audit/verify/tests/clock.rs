//! What the times of lines say, where no signature vouches for them.

use super::*;

#[test]
fn a_line_long_after_the_last_signature_is_missed_its_checkpoint() {
    let mut killed = log(Some(&key()), 9);
    killed.truncate(4);
    let next = |killed: &[String]| log_after(previous(killed), Some(&key()), 3);
    let untouched = verify(&[&killed[..], &next(&killed)].concat(), signed());
    assert!(untouched.is_good(), "{:?}", untouched.findings);
    let run = untouched.runs.values().find(|run| run.end == End::Named);
    assert_eq!(
        run.unwrap().unsigned,
        3,
        "the next run vouches, no signature"
    );
    let last: serde_json::Value = serde_json::from_str(&killed[3]).unwrap();
    let at = last["timestamp"].as_str().unwrap();
    let later = at.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_hours(2);
    killed[3] = killed[3].replace(at, &format!("{later:.3}"));
    rehash(&mut killed, 3);
    let verdict = verify(&[&killed[..], &next(&killed)].concat(), signed());
    let late = |wrong: &Wrong| matches!(wrong, Wrong::Late { seconds: 7199.. });
    assert_eq!(found(&verdict, late), Some(4), "{:?}", verdict.findings);
    let told = verdict.findings[0].what.to_string();
    assert!(told.ends_with("or the clock was set forward"), "{told}");
}

/// A run that was killed behind its last checkpoint.
fn killed() -> Vec<String> {
    let mut lines = log(Some(&key()), 9);
    let closing = lines.pop().unwrap();
    assert!(closing.contains("\"log_close\""));
    lines
}

/// The line as of so many seconds later, with what anyone can compute computed anew.
fn moved(lines: &mut [String], n: usize, seconds: i64) {
    let line: serde_json::Value = serde_json::from_str(&lines[n]).unwrap();
    let at = line["timestamp"].as_str().unwrap();
    let to = at.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds);
    lines[n] = lines[n].replace(at, &format!("{to:.3}"));
    rehash(lines, n);
}

fn early(verdict: &Verdict) -> Option<u64> {
    found(verdict, |wrong| {
        matches!(wrong, Wrong::Early { seconds: 3599.. })
    })
}

#[test]
fn a_line_that_goes_back_in_time_behind_the_last_signature_is_found() {
    let mut lines = killed();
    let last = lines.len() - 1;
    moved(&mut lines, last, -3600);
    let verdict = verify(&lines, open());
    assert_eq!(
        early(&verdict),
        Some(last as u64 + 1),
        "{:?}",
        verdict.findings
    );
    let mut lines = killed();
    moved(&mut lines, last, -5);
    assert!(verify(&lines, open()).is_good(), "clocks are set");
}

#[test]
fn a_line_right_behind_a_signature_cannot_go_back_either() {
    let mut lines = killed();
    let signed = lines
        .iter()
        .rposition(|line| line.contains("\"signature\""));
    let first = signed.unwrap() + 1;
    for n in first..lines.len() {
        moved(&mut lines, n, -3600);
    }
    assert_eq!(early(&verify(&lines, open())), Some(first as u64 + 1));
}

#[test]
fn what_waited_for_a_disk_may_be_older_than_the_checkpoint_before_it() {
    let mut lines = killed();
    let checkpoint = lines
        .iter()
        .rposition(|line| line.contains("\"checkpoint\""));
    let checkpoint = checkpoint.unwrap();
    let line: serde_json::Value = serde_json::from_str(&lines[checkpoint]).unwrap();
    let at = line["timestamp"].as_str().unwrap();
    let later = at.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_hours(1);
    // Signed an hour after what stands around it was recorded.
    let (open_line, _) = lines[checkpoint].split_once(",\"signature\"").unwrap();
    let message = format!("{}}}", open_line.replace(at, &format!("{later:.3}")));
    let signature = key().sign(message.as_bytes());
    let open_line = message.strip_suffix('}').unwrap();
    lines[checkpoint] = format!("{open_line},\"signature\":\"{signature}\",\"hash\":\"\"}}");
    rehash(&mut lines, checkpoint);
    let verdict = verify(&lines, open());
    assert!(verdict.is_good(), "{:?}", verdict.findings);
}
