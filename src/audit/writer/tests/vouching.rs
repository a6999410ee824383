//! Where a checkpoint stands: no line comes longer after a signature than one ever takes, wherever
//! the process is killed.

use super::*;
use crate::audit::{config::Pace, line::Line};

const EVERY: Duration = Duration::from_millis(200);

fn paced() -> (Option<SigningKey>, Pace) {
    let pace = Pace {
        lines: 1000.try_into().unwrap(),
        every: "200ms".parse().unwrap(),
    };
    (SigningKey::parse(&[7; 32]).ok(), pace)
}

/// Seconds by which the latest line comes after the signature before it.
fn latest(text: &str) -> f64 {
    let (mut signed, mut latest) = (None, 0.0);
    for line in text.lines() {
        let line = Line::read(line.as_bytes()).unwrap();
        let time = line.time().unwrap();
        if line.has_signature() {
            signed = Some(time);
        } else {
            let since = time.duration_since(signed.unwrap()).as_secs_f64();
            latest = f64::max(latest, since);
        }
    }
    latest
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_sink_stands_behind_the_checkpoint_that_fell_due() {
    let (open, opens) = channel();
    let (taken, written) = channel();
    let gate = Gate {
        name: "gate",
        opens,
        refuses: false,
        is_open: false,
        taken,
    };
    let (key, pace) = paced();
    let manner = (config().on_failure, pace);
    let opened = Opened::of(vec![(Box::new(gate), Previous::Unknown)]);
    let audit = Audit::write_to(manner, opened, writer(), key);
    record(&audit, 3).await;
    sleep(2 * EVERY).await;
    record(&audit, 30).await;
    open.send(()).unwrap();
    audit.close(soon()).await.unwrap();
    let lines = lines_until(&written, "log_close").await;
    assert_is_whole(&lines);
    let latest = latest(&lines.join("\n"));
    assert!(latest <= EVERY.as_secs_f64() + 0.002, "{latest}: {lines:?}");
}

#[test]
fn a_clock_that_was_set_forward_makes_a_checkpoint_due() {
    let (kept, taken) = channel();
    let sink = Gate {
        name: "good",
        opens: channel().1,
        refuses: false,
        is_open: true,
        taken: kept,
    };
    let mut opened = Opened::of(vec![(Box::new(sink), Previous::Unknown)]);
    let (jobs, queue) = mpsc::unbounded_channel();
    let who = writer();
    let state = Arc::new(State::new(&mut opened, &who, jobs.downgrade()));
    let (key, mut pace) = paced();
    pace.every = "1h".parse().unwrap();
    let mut writer = Writer::new(opened, who, (key, pace), state, queue);
    let line = || Event::new(Kind::ToolCallSuccess).open_line(Timestamp::now());
    let mut batch = Batch::default();
    writer.open(vec![line()], &mut batch);
    writer.line(line(), &mut batch);
    assert_eq!(writer.seq, 2, "none is due");
    writer.checked.clock -= jiff::SignedDuration::from_hours(2);
    writer.line(line(), &mut batch);
    assert_eq!(writer.seq, 4);
    writer.checked.clock += jiff::SignedDuration::from_hours(2);
    writer.line(line(), &mut batch);
    assert_eq!(writer.seq, 5, "a clock that was set back makes none due");
    assert!(writer.hand_over(&mut batch));
    let text: Vec<u8> = taken.try_iter().flatten().collect();
    let text = String::from_utf8(text).unwrap();
    let checkpoint = text.lines().nth(2).unwrap();
    assert!(checkpoint.contains("\"checkpoint\""), "{text}");
}
