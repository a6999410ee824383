use std::{
    io::{self, Read as _, Write},
    sync::mpsc::{Receiver, Sender, channel},
};

use tokio::time::Instant;

use super::*;
use crate::audit::{
    Kind, PublicKey,
    sink::{Opened, Previous, Stream},
    verify::tests::soon,
    verify::{Expectations, Place, Verdict, Verifier},
};

/// A stream that does with each write what its script says, and then takes everything.
struct Scripted {
    script: Receiver<io::Result<usize>>,
    taken: Sender<Vec<u8>>,
}

impl Write for Scripted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let length = self
            .script
            .try_recv()
            .unwrap_or(Ok(usize::MAX))?
            .min(buf.len());
        self.taken.send(buf[..length].to_vec()).unwrap();
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn scripted(steps: Vec<io::Result<usize>>) -> (Audit, Receiver<Vec<u8>>) {
    scripted_and_signed(steps, None)
}

fn scripted_and_signed(
    steps: Vec<io::Result<usize>>,
    key: Option<SigningKey>,
) -> (Audit, Receiver<Vec<u8>>) {
    let (step, script) = channel();
    steps.into_iter().for_each(|it| step.send(it).unwrap());
    let (taken, written) = channel();
    (log_to(Scripted { script, taken }, key), written)
}

/// A log that goes to a stream alone.
fn log_to(out: impl Write + Send + 'static, key: Option<SigningKey>) -> Audit {
    let opened = Opened::of(vec![(Box::new(Stream::new(out)), Previous::Unknown)]);
    let config = crate::audit::verify::tests::config();
    let manner = (config.on_failure, config.checkpoint);
    Audit::write_to(manner, opened, crate::audit::verify::tests::writer(), key)
}

fn lines(written: &Receiver<Vec<u8>>) -> Vec<String> {
    let bytes: Vec<u8> = written.try_iter().flatten().collect();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn verify(lines: &[String]) -> Verdict {
    verify_signed(lines, Vec::new())
}

fn verify_signed(lines: &[String], keys: Vec<PublicKey>) -> Verdict {
    let mut verifier = Verifier::new(Expectations {
        keys,
        ..Expectations::default()
    });
    for (n, line) in lines.iter().enumerate() {
        let at = Place {
            file: 0,
            line: n as u64,
        };
        verifier.line(at, line.as_bytes());
    }
    verifier.finish()
}

fn count(lines: &[String], event: &str) -> usize {
    let event = format!("\"event\":\"{event}\"");
    lines.iter().filter(|line| line.contains(&event)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_recorders_make_one_chain_without_gaps() {
    let (audit, written) = scripted(vec![]);
    let recorders = (0..20).map(|_| {
        let audit = audit.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                audit.record(Event::new(Kind::ToolCallStart)).await;
            }
        })
    });
    for recorder in recorders.collect::<Vec<_>>() {
        recorder.await.unwrap();
    }
    audit.close(soon()).await.unwrap();
    let lines = lines(&written);
    assert_eq!(lines.len(), 2002);
    assert!(verify(&lines).is_good());
}

#[tokio::test]
async fn a_sink_that_fails_and_recovers_loses_nothing() {
    let full = || Err(io::ErrorKind::StorageFull.into());
    let (audit, written) = scripted(vec![Ok(10), full(), Ok(3), full(), full()]);
    audit.record(Event::new(Kind::DrainBegin)).await;
    let mut room = audit.reserve().await.unwrap();
    let _ = audit
        .accept_in(&mut room, &Event::new(Kind::DrainEnd))
        .await;
    audit.close(soon()).await.unwrap();
    let lines = lines(&written);
    assert_eq!(lines.len(), 4);
    assert!(verify(&lines).is_good() && audit.is_writable());
}

#[tokio::test]
async fn a_line_that_cannot_be_written_is_not_accepted() {
    let broken = || Err(io::ErrorKind::BrokenPipe.into());
    let (audit, _written) = scripted((0..2000).map(|_| broken()).collect());
    tokio::time::pause();
    let mut room = audit.reserve().await.unwrap();
    let start = Event::new(Kind::ToolCallStart);
    assert!(audit.accept_in(&mut room, &start).await.is_err());
}

#[tokio::test]
async fn what_finds_no_room_is_counted_and_told_and_calls_keep_theirs() {
    let broken = || Err(io::ErrorKind::BrokenPipe.into());
    let key = SigningKey::parse(&[7; 32]).unwrap();
    let script = (0..30).map(|_| broken()).collect();
    let (audit, written) = scripted_and_signed(script, Some(key.clone()));
    let mut calls = Vec::new();
    while audit.waiting() < ROOM {
        calls.push(audit.reserve().await.unwrap());
    }
    tokio::time::pause();
    audit.record(Event::new(Kind::AuthFailed)).await;
    audit.record(Event::new(Kind::AuthFailed)).await;
    let who_leaves = audit.record(Event::new(Kind::AuthFailed));
    assert!(timeout(SHORT / 2, who_leaves).await.is_err());
    assert!(audit.reserve().await.is_err());
    tokio::time::resume();
    for room in &mut calls {
        audit.record_in(room, &Event::new(Kind::ToolCallStart));
        audit.record_in(room, &Event::new(Kind::ToolCallSuccess));
    }
    audit.close(soon()).await.unwrap();
    let lines = lines(&written);
    let verdict = verify_signed(&lines, vec![key.public()]);
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    assert_eq!(count(&lines, "tool_call_success"), ROOM / 2);
    assert_eq!(count(&lines, "lines_lost"), 1);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("found no room: auth_failed 3"))
    );
}

#[tokio::test]
async fn texts_that_try_to_break_the_line_stay_inside_it() {
    let (audit, written) = scripted(vec![]);
    for text in [
        "a\r\n{\"event\":\"x\"}",
        "\u{2028}\u{1b}[2J\0\"",
        &"x".repeat(1 << 20),
    ] {
        let text = text.to_owned();
        audit
            .record(Event {
                reason: Some(text.clone().into()),
                client_id: Some(text.into()),
                ..Event::new(Kind::AuthFailed)
            })
            .await;
    }
    audit.close(soon()).await.unwrap();
    let lines = lines(&written);
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line.len() < 16 << 10));
    assert!(verify(&lines).is_good());
}

/// Takes a little every so often, and nothing else would ever be taken.
struct Slow(Duration, Sender<Vec<u8>>);

impl Write for Slow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        thread::park_timeout(self.0);
        self.1.send(buf.to_vec()).unwrap();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log with as many lines that wait for a reader that takes 4 KiB in that time.
async fn behind(pace: Duration, lines: usize) -> (Audit, Receiver<Vec<u8>>) {
    let (taken, written) = channel();
    let audit = log_to(Slow(pace, taken), None);
    for _ in 0..lines {
        audit.record(Event::new(Kind::AuthFailed)).await;
    }
    (audit, written)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_slow_to_the_end_has_every_line() {
    // Some twelve lines at a time: longer than one patience in all.
    let (audit, written) = behind(Duration::from_millis(150), 600).await;
    let until = Instant::now() + Duration::from_secs(120);
    let began = Instant::now();
    audit.close(until).await.unwrap();
    assert!(
        began.elapsed() > PATIENCE,
        "it was not slow: {:?}",
        began.elapsed()
    );
    let lines = lines(&written);
    assert_eq!(lines.len(), 602);
    assert!(verify(&lines).is_good());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_waits_for_no_reader_that_takes_nothing_or_too_long() {
    let (stuck, _written) = behind(2 * PATIENCE, 3).await;
    let hour = Instant::now() + Duration::from_secs(3600);
    let closed = timeout(PATIENCE * 6, stuck.close(hour)).await;
    assert!(closed.unwrap().is_err(), "it takes nothing");
    let (slow, _written) = behind(Duration::from_secs(2), 300).await;
    let closed = timeout(PATIENCE * 6, slow.close(Instant::now())).await;
    assert!(closed.unwrap().is_err(), "it takes too long");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_is_read_slowly_is_not_one_that_is_stuck() {
    let (mut reader, pipe) = io::pipe().unwrap();
    let audit = log_to(pipe, None);
    // Each line is longer than what the reader takes at once, and all of them than what a pipe holds.
    let text = "x".repeat(500);
    for _ in 0..120 {
        let event = Event {
            client_id: Some(text.clone().into()),
            role: Some(text.clone().into()),
            reason: Some(text.clone().into()),
            ..Event::new(Kind::AuthFailed)
        };
        audit.record(event).await;
    }
    let reading = thread::spawn(move || {
        let (mut read, mut bytes) = (Vec::new(), [0; 1 << 10]);
        // Ten KiB in a second, for longer than anything may take that is not stuck.
        for _ in 0..40 {
            let count = reader.read(&mut bytes).unwrap();
            read.extend_from_slice(&bytes[..count]);
            thread::park_timeout(Duration::from_millis(100));
        }
        reader.read_to_end(&mut read).unwrap();
        read
    });
    while !reading.is_finished() && audit.waiting() > 0 {
        assert!(audit.is_writable(), "{} lines wait", audit.waiting());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    audit.close(soon()).await.unwrap();
    drop(audit);
    let read = String::from_utf8(reading.join().unwrap()).unwrap();
    let lines: Vec<String> = read.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 122);
    assert!(verify(&lines).is_good());
}
