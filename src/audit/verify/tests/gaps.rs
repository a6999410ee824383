//! Logs of which a part is not there: as `--partial` and `--open` allow, and as they do not.

use super::*;

fn partial() -> Expectations {
    Expectations {
        partial: true,
        ..signed()
    }
}

/// Runs of one instance, each of which names the one before it.
fn runs(count: usize) -> Vec<Vec<String>> {
    let mut runs = vec![log(Some(&key()), 9)];
    for _ in 1..count {
        let previous = previous(&runs[runs.len() - 1]);
        runs.push(log_after(previous, Some(&key()), 9));
    }
    runs
}

fn gaps(verdict: &Verdict) -> usize {
    verdict.runs.values().filter(|run| run.after_gap).count()
}

#[test]
fn older_files_may_be_gone_up_to_any_line() {
    let whole = runs(3).concat();
    for first in 1..whole.len() - 5 {
        let verdict = verify(&whole[first..], partial());
        assert!(verdict.is_good(), "{first}: {:?}", verdict.findings);
        assert_eq!(gaps(&verdict), 1, "{first}");
        assert!(verdict.runs.values().all(|run| run.signer.is_some()));
        assert!(!verify(&whole[first..], signed()).is_good(), "{first}");
    }
    assert_eq!(gaps(&verify(&whole, partial())), 0);
}

#[test]
fn nothing_may_be_gone_behind_a_line_of_the_instance() {
    let runs = runs(4);
    let [one, two, three, four] = &runs[..] else {
        unreachable!()
    };
    let open = Expectations {
        open: true,
        ..partial()
    };
    for (what, log) in [
        ("a run", [&one[..], &three[..], &four[..]].concat()),
        ("two runs", [&one[..], &four[..]].concat()),
        ("a beginning", [&one[..], &two[3..], &three[..]].concat()),
        ("around a restart", [&one[..4], &two[4..]].concat()),
        ("after a gap", [&one[5..], &two[3..]].concat()),
        ("the order", [&two[..], &one[..]].concat()),
        ("all orders", [&four[..], three, two, one].concat()),
        ("the first two", [&two[..], &one[..], &three[..]].concat()),
    ] {
        for expected in [partial(), open.clone()] {
            let verdict = verify(&log, expected);
            let taken = |wrong: &Wrong| {
                matches!(
                    wrong,
                    Wrong::Beheaded | Wrong::TakenOut { .. } | Wrong::Exchanged
                )
            };
            assert!(
                found(&verdict, taken).is_some(),
                "{what}: {:?}",
                verdict.findings
            );
        }
    }
}

#[test]
fn another_instance_has_a_gap_of_its_own() {
    let (one, other) = (log(Some(&key()), 9), log(Some(&key()), 9));
    let named = |lines: Vec<String>, name: &str| {
        let mut lines: Vec<_> = lines
            .iter()
            .map(|line| line.replace("\"instance\":\"one\"", &format!("\"instance\":\"{name}\"")))
            .collect();
        rehash(&mut lines, 0);
        lines
    };
    let (one, other) = (named(one, "a"), named(other, "b"));
    let log = [&one[4..], &other[5..]].concat();
    let unsigned = Expectations {
        partial: true,
        ..Expectations::default()
    };
    let verdict = verify(&log, unsigned);
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    assert_eq!(gaps(&verdict), 2);
}

#[test]
fn a_signed_line_says_how_often_there_is_one() {
    let pace = Pace {
        lines: 5000.try_into().unwrap(),
        every: "1h".parse().unwrap(),
    };
    let lines = log_at(pace, Previous::None, Some(&key()), 4500);
    let verdict = verify(&lines[1..], partial());
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    let checkpoint = log(Some(&key()), 9);
    let checkpoint = checkpoint
        .iter()
        .find(|line| line.contains("\"checkpoint\""));
    assert!(
        checkpoint
            .unwrap()
            .contains("\"checkpointLines\":5,\"checkpointSeconds\":3600")
    );
}

#[test]
fn what_a_kill_tore_is_told_apart_from_what_was_changed() {
    let (killed, next) = (&log(Some(&key()), 9)[..6], log(Some(&key()), 3));
    let cut = |line: &str, at: usize| line[..at].to_owned();
    let torn = cut(&log(Some(&key()), 1)[1], 60);
    let glued = torn.clone() + &next[0];
    for between in [
        vec![torn.clone(), next[0].clone()],
        vec![torn.clone(), String::new(), next[0].clone()],
        vec![glued],
    ] {
        let log = [killed, &between, &next[1..]].concat();
        let verdict = verify(&log, open());
        assert!(verdict.is_good(), "{:?}", verdict.findings);
        assert_eq!((verdict.torn, verdict.runs.len()), (1, 2));
        let strict = verify(&log, signed());
        assert_eq!(found(&strict, |it| *it == Wrong::Torn), Some(7));
        assert_eq!(found(&strict, |it| *it == Wrong::NoLine), None);
    }
    let unfinished = [killed, std::slice::from_ref(&torn)].concat();
    assert!(verify(&unfinished, open()).is_good());
    for (n, added) in [torn, String::new(), "no line".into()].iter().enumerate() {
        let log = [
            &killed[..3],
            std::slice::from_ref(added),
            &killed[3..],
            &next,
        ]
        .concat();
        let verdict = verify(&log, open());
        assert_eq!(found(&verdict, |it| *it == Wrong::NoLine), Some(4), "{n}");
    }
}

#[test]
fn a_name_of_another_form_is_no_line_of_the_log() {
    let lines = log(Some(&key()), 3);
    for (ours, forged) in [
        ("\"instance\":\"one\"", "\"instance\":\"one\\u001b[2J\""),
        ("\"instance\":\"one\"", "\"instance\":\"a\\nPROVEN\""),
        ("\"boot\":\"", "\"boot\":\"\\u001b"),
        ("\"timestamp\":\"2", "\"timestamp\":\"\\n2"),
    ] {
        let mut forged: Vec<_> = lines
            .iter()
            .map(|line| line.replace(ours, forged))
            .collect();
        rehash(&mut forged, 0);
        let verdict = verify(&forged, Expectations::default());
        assert!(verdict.runs.is_empty());
        assert_eq!(places(&verdict).len(), lines.len());
    }
}

#[test]
fn what_is_from_before_signing_was_turned_on_needs_no_signature() {
    let (old, new) = (log(None, 9), log(Some(&key()), 9));
    let first: serde_json::Value = serde_json::from_str(&new[0]).unwrap();
    let at: Timestamp = first["timestamp"].as_str().unwrap().parse().unwrap();
    let since = |at: Timestamp| Expectations {
        signed_since: Some(at),
        ..signed()
    };
    let minute = jiff::SignedDuration::from_mins(1);
    let whole = [&old[..], &new[..]].concat();
    assert!(!verify(&whole, signed()).is_good());
    assert!(!verify(&whole, since(at - minute)).is_good());
    let verdict = verify(&whole, since(at + minute));
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    assert_eq!(verdict.runs.values().filter(|run| run.excused).count(), 1);
    // Whoever signs does not stop: this would be how a forger gets a run in.
    let backwards = [&new[..], &old[..]].concat();
    assert!(!verify(&backwards, since(at + minute)).is_good());
    let mut longer = old.clone();
    let late = longer[5].split("\"timestamp\":\"").nth(1).unwrap();
    let late = late.split('"').next().unwrap().to_owned();
    longer[5] = longer[5].replace(&late, &format!("{:.3}", at + minute + minute));
    rehash(&mut longer, 5);
    assert_eq!(places(&verify(&longer, since(at + minute))), [6]);
}

#[test]
fn a_log_that_began_unsigned_may_lack_its_beginning_as_well() {
    let old = log(None, 1200);
    let new = log_after(previous(&old), Some(&key()), 9);
    let first: serde_json::Value = serde_json::from_str(&new[0]).unwrap();
    let turned_on: Timestamp = first["timestamp"].as_str().unwrap().parse().unwrap();
    let since = |minutes| Expectations {
        signed_since: Some(turned_on + jiff::SignedDuration::from_mins(minutes)),
        ..partial()
    };
    for gone in [1, 3, old.len() - 1] {
        let log = [&old[gone..], &new].concat();
        let verdict = verify(&log, since(1));
        assert!(verdict.is_good(), "{gone}: {:?}", verdict.findings);
        assert_eq!(gaps(&verdict), 1);
        assert_eq!(verdict.runs.values().filter(|run| run.excused).count(), 1);
        let not_signed = |wrong: &Wrong| *wrong == Wrong::NotSigned;
        for expected in [since(-1), partial()] {
            let verdict = verify(&log, expected);
            assert!(
                found(&verdict, not_signed).is_some(),
                "{:?}",
                verdict.findings
            );
        }
    }
    // A run that signs is not excused, wherever it begins here.
    let verdict = verify(&new[2..], since(1));
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    assert!(
        verdict
            .runs
            .values()
            .all(|run| !run.excused && run.is_vouched())
    );
    let mut forged = new[2..].to_vec();
    forged[0] = forged[0].replace("\"durationMs\":1", "\"durationMs\":7");
    assert!(!verify(&forged, since(1)).is_good());
}

#[test]
fn a_run_whose_predecessor_is_gone_tells_how_that_ended() {
    let mut killed = log(Some(&key()), 9);
    killed.truncate(7);
    let next = log_after(previous(&killed), Some(&key()), 3);
    let partial = Expectations {
        partial: true,
        ..signed()
    };
    let run = verify(&next, partial).runs.into_values().next().unwrap();
    assert!(run.after_gap && run.before.is_some(), "{run:?}");
}

#[test]
fn a_process_of_the_same_name_that_writes_on_signs_what_it_writes() {
    let one = log(Some(&key()), 12);
    let next = log_after(previous(&one[..4]), Some(&key()), 3);
    let mixed = [&one[..4], &next, &one[4..]].concat();
    let verdict = verify(&mixed, signed());
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    let outlived = verdict.runs.values().find_map(|run| run.outlived(true));
    assert_eq!(outlived, Some(4));
    // It may have written between the reading of its end and the first line of the next.
    let late = [&one[..7], &next, &one[7..]].concat();
    assert!(verify(&late, signed()).is_good());
    let another = log(Some(&key()), 12);
    let mut named = previous(&one[..4]);
    if let Previous::Named(tail) = &mut named {
        let line: serde_json::Value = serde_json::from_str(&another[3]).unwrap();
        tail.hash = line["hash"].as_str().unwrap().into();
    }
    let wrong = log_after(named, Some(&key()), 3);
    let verdict = verify(&[&one[..7], &wrong, &one[7..]].concat(), signed());
    let broken = |wrong: &Wrong| matches!(wrong, Wrong::Broken { .. });
    assert_eq!(found(&verdict, broken), Some(8), "{:?}", verdict.findings);
}
