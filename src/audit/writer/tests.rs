mod vouching;

use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
};

use tokio::time::{sleep, timeout};

use super::*;
use crate::audit::{
    Audit, Event, Kind,
    sink::{Previous, Sink},
    verify::tests::{config, soon, writer},
    verify::{Expectations, Place, Verifier},
};

/// Takes everything, once it does: until then it refuses, or keeps whoever asks.
struct Gate {
    name: &'static str,
    opens: Receiver<()>,
    refuses: bool,
    is_open: bool,
    taken: Sender<Vec<u8>>,
}

impl Sink for Gate {
    fn kind(&self) -> &'static str {
        self.name
    }

    fn take(&mut self, lines: &[u8]) -> io::Result<usize> {
        // Whoever waits is let go when the test is over.
        self.is_open |= match self.refuses {
            true => self.opens.try_recv().is_ok(),
            false => self.is_open || self.opens.recv().is_ok(),
        };
        if !self.is_open {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let _ = self.taken.send(lines.to_vec());
        Ok(lines.len())
    }
}

/// A log that goes to a sink that takes all, and to a gate.
struct Two {
    audit: Audit,
    good: Receiver<Vec<u8>>,
    gated: Receiver<Vec<u8>>,
    open: Sender<()>,
}

fn two(refuses: bool, gate_is_first: bool) -> Two {
    let sink = |name, opens, is_open| {
        let (taken, written) = channel();
        let gate = Gate {
            name,
            opens,
            refuses,
            is_open,
            taken,
        };
        let sink: Box<dyn Sink> = Box::new(gate);
        ((sink, Previous::Unknown), written)
    };
    let (open, opens) = channel();
    let (gate, gated) = sink("gate", opens, false);
    let (healthy, good) = sink("good", channel().1, true);
    let mut sinks = vec![healthy, gate];
    if gate_is_first {
        sinks.reverse();
    }
    let opened = Opened::of(sinks);
    let manner = (config().on_failure, config().checkpoint);
    Two {
        audit: Audit::write_to(manner, opened, writer(), None),
        good,
        gated,
        open,
    }
}

/// A log that goes to a gate alone, and what opens it.
fn gated() -> (Audit, Sender<()>) {
    let (open, opens) = channel();
    let gate = Gate {
        name: "gate",
        opens,
        refuses: false,
        is_open: false,
        taken: channel().0,
    };
    let opened = Opened::of(vec![(Box::new(gate), Previous::Unknown)]);
    let manner = (config().on_failure, config().checkpoint);
    (Audit::write_to(manner, opened, writer(), None), open)
}

const WAYS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

/// The lines that were taken, once the last of them has that in it.
async fn lines_until(taken: &Receiver<Vec<u8>>, what: &str) -> Vec<String> {
    let mut bytes = Vec::new();
    for _ in 0..3000 {
        bytes.extend(taken.try_iter().flatten());
        let text = String::from_utf8_lossy(&bytes);
        if text.lines().last().is_some_and(|line| line.contains(what)) {
            return text.lines().map(str::to_owned).collect();
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("no {what}: {}", String::from_utf8_lossy(&bytes));
}

fn assert_is_whole(lines: &[String]) {
    let mut verifier = Verifier::new(Expectations::default());
    for line in lines {
        verifier.line(Place { file: 0, line: 0 }, line.as_bytes());
    }
    let verdict = verifier.finish();
    assert!(verdict.is_good(), "{:?}", verdict.findings);
}

async fn record(audit: &Audit, lines: u64) {
    for n in 1..=lines {
        let event = Event {
            duration_ms: Some(n),
            ..Event::new(Kind::ToolCallSuccess)
        };
        audit.record(event).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_takes_nothing_keeps_no_line_from_another() {
    for (refuses, gate_is_first) in WAYS {
        let two = two(refuses, gate_is_first);
        record(&two.audit, 700).await;
        let mut lines = lines_until(&two.good, "\"durationMs\":700").await;
        assert_eq!((lines.len(), two.audit.waiting()), (701, 700));
        let mut room = two.audit.reserve().await.unwrap();
        let start = Event::new(Kind::ToolCallStart);
        let accept = two.audit.accept_in(&mut room, &start);
        let accepted = timeout(Duration::from_millis(300), accept).await;
        assert!(!matches!(accepted, Ok(Ok(()))), "not before both have it");
        drop(room);
        two.open.send(()).unwrap();
        two.audit.close(soon()).await.unwrap();
        assert_eq!(two.audit.waiting(), 0);
        lines.extend(lines_until(&two.good, "log_close").await);
        let other = lines_until(&two.gated, "log_close").await;
        assert_is_whole(&lines);
        assert_is_whole(&other);
        assert_eq!((lines.len(), other.len()), (703, 703));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_them_has_all_lines_at_the_end_and_the_other_is_named() {
    for (refuses, gate_is_first) in WAYS {
        let two = two(refuses, gate_is_first);
        record(&two.audit, 20).await;
        let told = two.audit.close(soon()).await.unwrap_err().to_string();
        let expected = "up to 20 lines, and the closing line, are not in the audit log: \
            gate did not take them; good has all of it";
        assert_eq!(told, expected);
        let lines = lines_until(&two.good, "log_close").await;
        assert_eq!(lines.len(), 22);
        assert_is_whole(&lines);
    }
}

/// How many failed logins each line of losses counts.
fn lost(lines: &[String]) -> Vec<u32> {
    let counts = lines.iter().filter_map(|line| {
        let (_, count) = line.split_once("found no room: auth_failed ")?;
        count.split('"').next()?.parse().ok()
    });
    counts.collect()
}

#[tokio::test]
async fn losses_are_told_where_lines_are_taken_and_the_rest_when_all_take_them() {
    let two = two(true, false);
    let mut calls = Vec::new();
    while two.audit.waiting() < 8192 {
        calls.push(two.audit.reserve().await.unwrap());
    }
    let (mut lines, mut count) = (Vec::new(), 0);
    while lost(&lines).len() < 4 {
        two.audit.record_at_once(&Event::new(Kind::AuthFailed));
        count += 1;
        let told = lost(&lines);
        let due = told.last().map_or(1, |last| 2 * last);
        if count - told.iter().sum::<u32>() == due {
            lines.extend(lines_until(&two.good, "lines_lost").await);
        }
    }
    two.audit.record_at_once(&Event::new(Kind::AuthFailed));
    calls.clear();
    two.open.send(()).unwrap();
    two.audit.close(soon()).await.unwrap();
    lines.extend(lines_until(&two.good, "log_close").await);
    assert_is_whole(&lines);
    let told = lost(&lines);
    assert_eq!(told.iter().sum::<u32>(), count + 1, "{told:?}");
    assert_eq!(told, [1, 2, 4, 8, 1], "few lines, and none far behind");
}

#[tokio::test]
async fn all_whose_lines_are_taken_together_are_told_though_one_has_left() {
    for leaves in 0..3 {
        let (audit, open) = gated();
        let call = || {
            let audit = audit.clone();
            tokio::spawn(async move {
                let mut room = audit.reserve().await.unwrap();
                let start = Event::new(Kind::ToolCallStart);
                audit.accept_in(&mut room, &start).await.is_ok()
            })
        };
        let calls: Vec<_> = (0..3).map(|_| call()).collect();
        while audit.waiting() < 6 {
            tokio::task::yield_now().await;
        }
        calls[leaves].abort();
        open.send(()).unwrap();
        for (n, call) in calls.into_iter().enumerate() {
            let told = call.await;
            assert!(n == leaves || told.unwrap(), "{n}, without {leaves}");
        }
        audit.close(soon()).await.unwrap();
    }
}
