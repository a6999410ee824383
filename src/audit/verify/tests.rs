mod clock;
mod edits;
mod gaps;

use std::sync::mpsc::channel;

use proptest::prelude::*;

use super::*;
use crate::audit::{
    Audit, Config, Event, Kind, OnFailure, SigningKey,
    config::{FileConfig, Fsync, Pace},
    lifecycle,
    sink::{Opened, Previous, Sink},
};

/// A sink that keeps what it takes.
struct Kept(&'static str, Option<std::sync::mpsc::Sender<Vec<u8>>>);

impl Sink for Kept {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn take(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        if let Some(taken) = &self.1 {
            let _ = taken.send(lines.to_vec());
        }
        Ok(lines.len())
    }
}

pub(in crate::audit) fn writer() -> lifecycle::Writer {
    lifecycle::Writer::new("one", None)
}

pub(in crate::audit) fn config() -> Config {
    Config {
        sinks: Vec::new(),
        on_failure: OnFailure::RefuseWrites,
        instance: None,
        pseudonym_key: None,
        signing_key: None,
        heads: None,
        checkpoint: Pace {
            lines: 5.try_into().unwrap(),
            every: "1h".parse().unwrap(),
        },
        file: FileConfig {
            max_size: "1MiB".parse().unwrap(),
            daily: false,
            fsync: Fsync::Never,
        },
    }
}

/// Time enough for a machine that has other things to do.
pub(in crate::audit) fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(60)
}

/// A real log of a run, with as many calls.
fn log(key: Option<&SigningKey>, calls: usize) -> Vec<String> {
    log_after(Previous::None, key, calls)
}

fn log_after(previous: Previous, key: Option<&SigningKey>, calls: usize) -> Vec<String> {
    log_at(config().checkpoint, previous, key, calls)
}

fn log_at(pace: Pace, previous: Previous, key: Option<&SigningKey>, calls: usize) -> Vec<String> {
    run_of(pace, &[("file", previous)], key, calls)
}

/// The lines that the first of these sinks has.
fn run_of(
    pace: Pace,
    sinks: &[(&'static str, Previous)],
    key: Option<&SigningKey>,
    calls: usize,
) -> Vec<String> {
    let (sender, taken) = channel();
    let mut sender = Some(sender);
    let sinks = sinks.iter().map(|(kind, previous)| {
        let sink: Box<dyn Sink> = Box::new(Kept(kind, sender.take()));
        (sink, previous.clone())
    });
    let opened = Opened {
        batch: 1,
        ..Opened::of(sinks.collect())
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    runtime.block_on(async {
        let manner = (config().on_failure, pace);
        let audit = Audit::write_to(manner, opened, writer(), key.cloned());
        for n in 0..calls {
            let event = Event {
                duration_ms: Some(n as u64),
                ..Event::new(Kind::ToolCallSuccess)
            };
            audit.record(event).await;
        }
        audit.close(soon()).await.unwrap();
    });
    let text: Vec<u8> = taken.try_iter().flatten().collect();
    let text = String::from_utf8(text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn verify(lines: &[String], expected: Expectations) -> Verdict {
    let mut verifier = Verifier::new(expected);
    for (n, line) in lines.iter().enumerate() {
        let at = Place {
            file: 0,
            line: n as u64 + 1,
        };
        verifier.line(at, line.as_bytes());
    }
    verifier.finish()
}

fn key() -> SigningKey {
    SigningKey::parse(&[7; 32]).unwrap()
}

fn signed() -> Expectations {
    Expectations {
        keys: vec![key().public()],
        ..Expectations::default()
    }
}

/// The lines that the findings point to.
fn places(verdict: &Verdict) -> Vec<u64> {
    verdict
        .findings
        .iter()
        .map(|finding| finding.at.line)
        .collect()
}

/// Computes anew what anyone can: places and hashes from the line at `from` on.
fn rehash(lines: &mut [String], from: usize) {
    for n in from..lines.len() {
        let line = &lines[n];
        let previous = match n {
            0 => "0".repeat(64),
            _ => serde_json::from_str::<serde_json::Value>(&lines[n - 1]).unwrap()["hash"]
                .as_str()
                .unwrap()
                .to_owned(),
        };
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let (cut, _) = line.split_at(line.find(",\"seq\":").unwrap());
        let mut open = format!("{cut},\"seq\":{},\"prevHash\":\"{previous}\"", n + 1);
        if let Some(signature) = json["signature"].as_str() {
            open.push_str(&format!(",\"signature\":\"{signature}\""));
        }
        let hash = String::from_utf8(crate::audit::chain::hash(open.as_bytes()).to_vec()).unwrap();
        lines[n] = format!("{open},\"hash\":\"{hash}\"}}");
    }
}

#[test]
fn a_log_as_it_was_written_passes() {
    for (key, expected) in [
        (None, Expectations::default()),
        (Some(key()), Expectations::default()),
        (Some(key()), signed()),
    ] {
        let lines = log(key.as_ref(), 23);
        let verdict = verify(&lines, expected);
        assert!(verdict.is_good(), "{:?}", verdict.findings);
        let run = verdict.runs.values().next().unwrap();
        assert_eq!((run.lines, run.end), (lines.len() as u64, End::Closed));
    }
}

#[test]
fn an_end_that_was_cut_off_is_missed_unless_the_log_is_open() {
    let lines = log(Some(&key()), 12);
    for kept in 1..lines.len() {
        let cut = &lines[..kept];
        let verdict = verify(cut, signed());
        assert_eq!(places(&verdict), [kept as u64]);
        assert_eq!(verdict.findings[0].what, Wrong::NoEnd);
        let open = Expectations {
            open: true,
            ..signed()
        };
        assert!(verify(cut, open).is_good());
    }
}

#[test]
fn a_chain_that_was_written_anew_fails_at_the_next_signature() {
    let mut lines = log(Some(&key()), 12);
    lines[3] = lines[3].replace("\"durationMs\":2", "\"durationMs\":9");
    rehash(&mut lines, 3);
    assert!(verify(&lines, Expectations::default()).is_good());
    let verdict = verify(&lines, signed());
    let checkpoint = lines
        .iter()
        .skip(3)
        .position(|line| line.contains("\"checkpoint\""));
    assert_eq!(places(&verdict)[0], checkpoint.unwrap() as u64 + 4);
    assert_eq!(verdict.findings[0].what, Wrong::BadSignature);
}

#[test]
fn signatures_that_were_taken_out_are_missed() {
    let mut lines = log(Some(&key()), 3000);
    lines.retain(|line| !line.contains("\"checkpoint\""));
    rehash(&mut lines, 1);
    let last = lines.len() - 1;
    lines.truncate(last);
    let open = Expectations {
        open: true,
        ..signed()
    };
    let verdict = verify(&lines, open);
    assert!(matches!(
        verdict.findings[0].what,
        Wrong::Unsigned { lines: 3000 }
    ));
    let unsigned = log(None, 3);
    assert_eq!(
        verify(&unsigned, signed()).findings[0].what,
        Wrong::NotSigned
    );
    let other = SigningKey::parse(&[8; 32]).unwrap();
    assert_eq!(
        verify(&log(Some(&other), 3), signed()).findings[0].what,
        Wrong::BadSignature
    );
}

/// What the next run of the instance says about where `lines` end.
fn previous(lines: &[String]) -> Previous {
    Previous::Named(serde_json::from_str(lines.last().unwrap()).unwrap())
}

fn open() -> Expectations {
    Expectations {
        open: true,
        ..signed()
    }
}

/// Whether one of the findings is that, and where.
fn found(verdict: &Verdict, what: impl Fn(&Wrong) -> bool) -> Option<u64> {
    let finding = verdict.findings.iter().find(|it| what(&it.what));
    finding.map(|it| it.at.line)
}

#[test]
fn lines_beyond_the_end_that_the_next_run_names_were_inserted() {
    let mut killed = log(Some(&key()), 9);
    killed.truncate(7);
    let next = log_after(previous(&killed), Some(&key()), 3);
    let whole = [&killed[..], &next].concat();
    assert!(verify(&whole, open()).is_good());
    let mut longer = killed.clone();
    longer.push(killed[1].clone());
    rehash(&mut longer, 7);
    let inserted = |wrong: &Wrong| *wrong == Wrong::Inserted { seq: (8, 8) };
    let before = [&longer[..], &next].concat();
    assert_eq!(found(&verify(&before, open()), inserted), Some(8));
    let after = [&whole[..], &longer[7..]].concat();
    let place = after.len() as u64;
    assert_eq!(found(&verify(&after, open()), inserted), Some(place));
}

#[test]
fn a_run_that_found_no_file_vouches_for_nothing_before_it_where_something_was() {
    let moved_away = [log(Some(&key()), 3), log(Some(&key()), 3)];
    let verdict = verify(&moved_away.concat(), signed());
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    let knowing = verdict.runs.values().filter(|run| run.knows_previous);
    assert_eq!(knowing.count(), 1, "the first, and not the second");
}

#[test]
fn a_run_whose_beginning_is_gone_needs_a_signature_as_well() {
    let partial = Expectations {
        partial: true,
        ..signed()
    };
    let lines = log(Some(&key()), 12);
    assert_eq!(places(&verify(&lines[3..], signed())), [1]);
    assert!(verify(&lines[3..], partial.clone()).is_good());
    let unsigned = log(None, 12);
    let verdict = verify(&unsigned[3..], partial);
    assert!(
        verdict
            .findings
            .iter()
            .any(|it| it.what == Wrong::NotSigned || it.what == Wrong::BadSignature)
    );
}

#[test]
fn several_instances_in_one_file_are_told_apart() {
    let (one, other) = (log(Some(&key()), 9), log(Some(&key()), 9));
    let mut lines: Vec<_> = one
        .into_iter()
        .zip(other)
        .flat_map(|(a, b)| [a, b])
        .collect();
    assert!(verify(&lines, signed()).is_good());
    lines.remove(7);
    assert_eq!(places(&verify(&lines, signed())), [9]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_done_to_a_line_is_found_there(
        which in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        bit in 0_u8..7,
    ) {
        let lines = log(Some(&key()), 17);
        let n = which.index(lines.len());
        let near = |verdict: &Verdict, n: usize| {
            let line = n as u64 + 1;
            places(verdict).first().is_some_and(|&at| at == line || at == line + 1)
        };

        let mut changed = lines.clone();
        let mut bytes = changed[n].clone().into_bytes();
        let at = byte.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut verifier = Verifier::new(signed());
        changed[n].clear();
        for (n, line) in changed.iter().enumerate() {
            let text = if line.is_empty() { &bytes } else { line.as_bytes() };
            verifier.line(Place { file: 0, line: n as u64 + 1 }, text);
        }
        let verdict = verifier.finish();
        prop_assert!(near(&verdict, n), "changed {n} at {at}: {:?}", verdict.findings);

        let mut deleted = lines.clone();
        deleted.remove(n);
        let verdict = verify(&deleted, signed());
        let missed = if n == lines.len() - 1 { n - 1 } else { n };
        prop_assert!(near(&verdict, missed), "deleted {n}: {:?}", verdict.findings);

        let mut repeated = lines.clone();
        let to = other.index(lines.len() + 1).max(n + 1);
        repeated.insert(to, lines[n].clone());
        let verdict = verify(&repeated, signed());
        prop_assert!(near(&verdict, to), "{n} again at {to}: {:?}", verdict.findings);

        let mut moved = lines.clone();
        let to = other.index(lines.len());
        let line = moved.remove(n);
        moved.insert(to, line);
        let verdict = verify(&moved, signed());
        prop_assert!(n == to || near(&verdict, n.min(to)), "{n} to {to}: {:?}", verdict.findings);
    }

    #[test]
    fn nothing_that_is_read_can_stop_the_reader(lines in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            (any::<u64>(), "(a{16}|b{16})", "(log_open|checkpoint|x)").prop_map(|(seq, boot, event)| {
                let seq = if seq % 2 == 0 { u64::MAX - seq % 3 } else { seq % 4 };
                format!("{{\"timestamp\":\"2026-03-31T00:00:00Z\",\"event\":\"{event}\",\"instance\":\"i\",\"boot\":\"{boot}\",\"seq\":{seq},\"prevHash\":\"\",\"previousBoot\":\"{boot}\",\"previousSeq\":{seq},\"signature\":\"AA\",\"hash\":\"h\"}}").into_bytes()
            }),
        ],
        1..12,
    )) {
        let mut verifier = Verifier::new(signed());
        for line in &lines {
            verifier.line(Place { file: 0, line: 1 }, line);
        }
        // Where there are empty lines alone, there is no log that could be wrong.
        let is_empty = lines.iter().all(Vec::is_empty);
        prop_assert_eq!(verifier.finish().is_good(), is_empty);
    }
}
