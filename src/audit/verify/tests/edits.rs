//! Everything that can be done to a log by whoever can write its files, whatever it is held
//! against.

use super::*;

/// Three runs, each of which names the one before it.
fn runs() -> Vec<Vec<String>> {
    let one = log(Some(&key()), 9);
    let two = log_after(previous(&one), Some(&key()), 9);
    let three = log_after(previous(&two), Some(&key()), 9);
    vec![one, two, three]
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    /// A digit of the line's duration, or of its time.
    Change,
    Delete,
    Repeat,
    Move,
    Swap,
    /// A line of another run.
    Insert,
    /// The lines from here to there.
    Cut,
    /// Everything from here on.
    Truncate,
    /// Everything up to here.
    Behead,
    /// Runs in another order.
    Reorder,
    /// A signature that is not there any more.
    Unsign,
}

const EDITS: [Edit; 11] = [
    Edit::Change,
    Edit::Delete,
    Edit::Repeat,
    Edit::Move,
    Edit::Swap,
    Edit::Insert,
    Edit::Cut,
    Edit::Truncate,
    Edit::Behead,
    Edit::Reorder,
    Edit::Unsign,
];

/// Does it to the lines of the runs, in or between the places `a` and `b` of a run, or of two.
fn edit(
    runs: &mut [Vec<String>],
    edit: Edit,
    (run, other): (usize, usize),
    (a, b): (usize, usize),
) {
    let foreign = runs[other][b % runs[other].len()].clone();
    let lines = &mut runs[run];
    let (a, b) = (a % lines.len(), b % lines.len());
    let (from, to) = (a.min(b), a.max(b));
    match edit {
        Edit::Change => lines[a] = lines[a].replacen("\"timestamp\":\"2", "\"timestamp\":\"3", 1),
        Edit::Delete => drop(lines.remove(a)),
        Edit::Repeat => lines.insert(b, lines[a].clone()),
        Edit::Move => {
            let line = lines.remove(a);
            lines.insert(b.min(lines.len()), line);
        }
        Edit::Swap => lines.swap(a, b),
        Edit::Insert => lines.insert(a, foreign),
        Edit::Cut => drop(lines.drain(from..to)),
        Edit::Truncate => lines.truncate(a),
        Edit::Behead => drop(lines.drain(..a)),
        Edit::Reorder => runs.swap(run, other),
        Edit::Unsign => {
            if let Some((open, rest)) = lines[a].clone().split_once(",\"signature\":\"") {
                let hash = rest.split_once('"').unwrap().1;
                lines[a] = format!("{open}{hash}");
            }
        }
    }
}

/// Whether this is a part of the log that the options allow to be all there is: without its
/// beginning, or without an end of which nothing can tell.
fn is_allowed(edited: &[String], whole: &[String], expected: &Expectations) -> bool {
    let Some(first) = edited.first() else {
        return false;
    };
    let from = whole.iter().position(|line| line == first);
    let Some(from) = from.filter(|&from| from == 0 || expected.partial) else {
        return false;
    };
    let to = from + edited.len();
    let is_part = whole.get(from..to) == Some(edited);
    // That a whole run came after the last one cannot be known from here.
    let ends = whole[..to.min(whole.len())].last();
    is_part && (expected.open || ends.is_some_and(|line| line.contains("\"log_close\"")))
}

/// As far as signatures reach.
fn up_to_the_last_signature(lines: &[String]) -> &[String] {
    let last = lines
        .iter()
        .rposition(|line| line.contains("\"signature\""));
    &lines[..last.map_or(0, |last| last + 1)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_is_done_to_a_log_is_found_whatever_it_is_held_against(
        what in prop::sample::select(&EDITS[..]),
        which in (0..3_usize, 0..3_usize),
        at in (0..40_usize, 0..40_usize),
        (is_open, is_partial, is_old, is_rehashed) in any::<(bool, bool, bool, bool)>(),
    ) {
        let originals = RUNS.with(Clone::clone);
        let whole = originals.concat();
        let mut edited = originals;
        edit(&mut edited, what, which, at);
        if is_rehashed && !edited[which.0].is_empty() {
            rehash(&mut edited[which.0], 0);
        }
        let edited = edited.concat();
        let before = "2020-01-01T00:00:00Z".parse().unwrap();
        let expected = Expectations {
            open: is_open,
            partial: is_partial,
            signed_since: is_old.then_some(before),
            ..signed()
        };
        let verdict = verify(&edited, expected.clone());
        let is_allowed = edited == whole || is_allowed(&edited, &whole, &expected)
            // Lines after the last signature can be written anew by whoever can compute a hash.
            || is_rehashed && is_open && is_allowed(up_to_the_last_signature(&edited), &whole, &expected);
        prop_assert!(is_allowed || !verdict.is_good(), "{what:?} {which:?} {at:?}");
        prop_assert!(!is_allowed || is_rehashed || verdict.is_good(), "{:?}", verdict.findings);
    }
}

thread_local! {
    static RUNS: Vec<Vec<String>> = runs();
}

#[test]
fn a_first_line_in_the_middle_of_its_run_is_found() {
    let whole = log(None, 9);
    for options in [(true, true), (false, true), (true, false)] {
        let mut lines = whole.clone();
        lines[4] = lines[4].replacen("tool_call_success", "log_open", 1);
        rehash(&mut lines, 4);
        let expected = Expectations {
            open: options.0,
            partial: options.1,
            ..Expectations::default()
        };
        let opens = |wrong: &Wrong| *wrong == Wrong::OpensAgain;
        assert_eq!(found(&verify(&lines, expected.clone()), opens), Some(5));
        assert_eq!(found(&verify(&lines[4..], expected), opens), Some(1));
    }
}

/// A signed run as another sink has it.
fn copy(sink: &'static str, previous: Previous) -> Vec<String> {
    let sinks = [(sink, previous), ("file", Previous::None)];
    run_of(config().checkpoint, &sinks, Some(&key()), 9)
}

#[test]
fn a_run_that_was_exchanged_for_its_copy_on_standard_output_is_found() {
    let first = copy("file", Previous::None);
    let second = copy("file", previous(&first));
    assert!(verify(&[&first[..], &second].concat(), signed()).is_good());
    let exchanged = copy("stdout", Previous::Unknown);
    let verdict = verify(&[&first[..], &exchanged].concat(), signed());
    let another = |wrong: &Wrong| *wrong == Wrong::AnotherSink;
    let place = first.len() as u64 + 1;
    assert_eq!(
        found(&verdict, another),
        Some(place),
        "{:?}",
        verdict.findings
    );
    let alone = verify(&exchanged, signed());
    assert!(alone.is_good(), "{:?}", alone.findings);
    assert!(alone.runs.values().all(|run| run.is_a_copy));
    let from_standard_output = [exchanged, copy("stdout", Previous::Unknown)].concat();
    assert!(verify(&from_standard_output, signed()).is_good());
}

#[test]
fn one_line_does_not_stand_for_another() {
    let lines = log(None, 4);
    let text = format!("{},\"seq\":1{}", "{\"event\":\"x\"", &lines[1][1..]);
    let verdict = verify(
        &[lines[0].clone(), text],
        Expectations {
            open: true,
            ..Expectations::default()
        },
    );
    assert_eq!(places(&verdict), [2]);
}
