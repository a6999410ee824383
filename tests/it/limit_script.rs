//! The script that counts calls in Redis, beside a model that needs no windows. Redis's clock is
//! the only thing that is not its own here.

use std::{cell::RefCell, collections::BTreeMap};

use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};

use crate::redis::Redis;

/// One window of a call: its name, how many may be in it, its span in microseconds, and whether it
/// only watches.
type Window = (usize, u64, u64, bool);

#[derive(Clone, Debug)]
struct Step {
    gap: u64,
    id: u64,
    windows: Vec<Window>,
}

struct Bench {
    connection: redis::Connection,
    admit: redis::Script,
}

impl Bench {
    fn new(redis: &Redis) -> Self {
        let script = include_str!("../../src/limit/script/admit.lua");
        let clock = "redis.call('HMGET', 'zm:{rl}:clock', 's', 'us')";
        assert_eq!(script.matches("redis.call('TIME')").count(), 1);
        Self {
            connection: redis.connection().unwrap(),
            admit: redis::Script::new(&script.replace("redis.call('TIME')", clock)),
        }
    }

    fn begin(&mut self) {
        self.run(redis::cmd("FLUSHALL"));
        let mut epoch = redis::cmd("SET");
        epoch.arg("zm:{rl}:epoch").arg("e");
        self.run(epoch);
    }

    fn run(&mut self, command: redis::Cmd) {
        command.query::<redis::Value>(&mut self.connection).unwrap();
    }

    fn ask(&mut self, now: u64, id: u64, windows: &[Window]) -> Vec<i64> {
        self.ask_of("", now, id, windows)
    }

    /// The same of one process only.
    fn ask_of(&mut self, process: &str, now: u64, id: u64, windows: &[Window]) -> Vec<i64> {
        // As long as real ones, where a double no longer has a digit to spare.
        let now = 1_764_183_058_000_000 + now;
        let mut clock = redis::cmd("HSET");
        clock.arg("zm:{rl}:clock").arg("s").arg(now / 1_000_000);
        self.run(clock.arg("us").arg(now % 1_000_000).clone());
        let mut call = self.admit.prepare_invoke();
        call.key("zm:{rl}:epoch")
            .arg("e")
            .arg(process)
            .arg(&id.to_be_bytes())
            .arg(windows.len());
        for (name, limit, span, shadow) in windows {
            call.key(format!("zm:{{rl}}:w:{name}"));
            call.arg(*limit).arg(*span).arg(u8::from(*shadow));
        }
        call.invoke(&mut self.connection).unwrap()
    }

    /// Every call in every window.
    fn content(&mut self, windows: &[Window]) -> Vec<Vec<(Vec<u8>, u64)>> {
        let mut read = |(name, ..): &Window| {
            redis::cmd("ZRANGEBYSCORE")
                .arg(format!("zm:{{rl}}:w:{name}"))
                .arg(&["0", "+inf", "WITHSCORES"])
                .query(&mut self.connection)
                .unwrap()
        };
        windows.iter().map(&mut read).collect()
    }
}

/// Each window's calls in a plain list.
#[derive(Default)]
struct Model(BTreeMap<usize, Vec<(u64, u64)>>);

impl Model {
    fn inside(&self, now: u64, (name, _, span, _): &Window) -> Vec<(u64, u64)> {
        let calls = self.0.get(name).into_iter().flatten();
        calls.filter(|(at, _)| at + span > now).copied().collect()
    }

    fn is_full(&self, now: u64, window: &Window, id: u64) -> bool {
        let inside = self.inside(now, window);
        inside.len() as u64 >= window.1 && !inside.iter().any(|(_, known)| *known == id)
    }

    fn refuses(&self, now: u64, step: &Step) -> bool {
        let full = |window: &&Window| !window.3 && self.is_full(now, window, step.id);
        step.windows.iter().any(|window| full(&window))
    }

    fn admit(&mut self, now: u64, step: &Step) {
        for window in &step.windows {
            let known = self
                .inside(now, window)
                .iter()
                .any(|(_, id)| *id == step.id);
            if !known && !self.is_full(now, window, step.id) {
                self.0.entry(window.0).or_default().push((now, step.id));
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // A limit belongs to its window, so that the model's spans stay what they were. Spans are
    // longer than a case takes, since keys end by the real clock.
    let limits =
        proptest::collection::vec((1_u64..6, 5_000_000_u64..400_000_000, any::<bool>()), 4);
    let calls = (
        0_u64..90_000_000,
        0_u64..40,
        proptest::sample::subsequence(vec![0, 1, 2, 3], 1..=4),
    );
    (limits, proptest::collection::vec(calls, 1..60)).prop_map(|(limits, calls)| {
        let window = |name: usize| {
            let (limit, span, shadow) = limits[name];
            (name, limit, span, shadow && name > 1)
        };
        let step = |(gap, id, names): (u64, u64, Vec<usize>)| Step {
            gap,
            id,
            windows: names.into_iter().map(window).collect(),
        };
        calls.into_iter().map(step).collect()
    })
}

#[test]
fn the_script_decides_as_a_naive_model_does_and_a_refused_call_writes_nothing() {
    let redis = Redis::start();
    let bench = RefCell::new(Bench::new(&redis));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let decided = runner.run(&steps(), |steps| {
        let mut bench = bench.borrow_mut();
        bench.begin();
        let (mut model, mut now) = (Model::default(), 0);
        for step in steps {
            now += step.gap;
            follow(&mut bench, &mut model, now, &step)?;
        }
        Ok(())
    });
    decided.unwrap();
}

fn follow(
    bench: &mut Bench,
    model: &mut Model,
    now: u64,
    step: &Step,
) -> Result<(), TestCaseError> {
    let before = bench.content(&step.windows);
    let answer = bench.ask(now, step.id, &step.windows);
    let refused = model.refuses(now, step);
    prop_assert_eq!(answer[0] == 0, refused);
    let told: Vec<&[i64]> = answer[3..].chunks(4).collect();
    for (window, told) in step.windows.iter().zip(&told) {
        let inside = model.inside(now, window);
        let free = window.1.saturating_sub(inside.len() as u64);
        let full = model.is_full(now, window, step.id);
        let first = inside.first().map_or(0, |(at, _)| at + window.2 - now);
        prop_assert_eq!(
            (told[0] as u64, told[1] > 0, told[2] as u64),
            (free, full, first)
        );
    }
    if !refused {
        model.admit(now, step);
        return Ok(());
    }
    prop_assert_eq!(before, bench.content(&step.windows));
    let enforced = step
        .windows
        .iter()
        .zip(&told)
        .filter(|(window, _)| !window.3);
    let wait = enforced.map(|(_, told)| told[1] as u64).max().unwrap();
    prop_assert!(
        !model.refuses(now + wait, step),
        "told to come back too early"
    );
    prop_assert!(
        model.refuses(now + wait - 1, step),
        "told to come back too late"
    );
    Ok(())
}

#[test]
fn the_same_call_counts_once_however_often_it_is_asked() {
    let redis = Redis::start();
    let mut bench = Bench::new(&redis);
    bench.begin();
    let windows = [(0, 2, 1_000_000, false)];
    for now in 0..5 {
        assert_eq!(bench.ask(now, 7, &windows)[0], 1);
    }
    assert_eq!(bench.ask(5, 8, &windows)[0], 1);
    assert_eq!(bench.ask(6, 9, &windows)[0], 0);
    assert_eq!(
        bench.ask(7, 7, &windows)[0],
        1,
        "counted before, so it needs no place"
    );
    assert_eq!(bench.content(&windows)[0].len(), 2);
}

#[test]
fn another_process_is_not_asked() {
    let redis = Redis::start();
    let mut bench = Bench::new(&redis);
    bench.begin();
    let windows = [(0, 2, 1_000_000, false)];
    let info: String = redis.ask(&["INFO", "server"]);
    let process = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    assert_eq!(bench.ask_of(process.unwrap(), 0, 1, &windows)[0], 1);
    let other = process.unwrap().chars().rev().collect::<String>();
    assert_eq!(bench.ask_of(&other, 0, 2, &windows)[0], -1);
    assert_eq!(bench.content(&windows)[0].len(), 1);
}

#[test]
fn a_full_window_stays_small() {
    let redis = Redis::start();
    let mut bench = Bench::new(&redis);
    bench.begin();
    for (name, limit) in [(1, 100_u64), (2, 20_000)] {
        let windows = [(name, limit, 60_000_000, false)];
        for id in 0..limit * 11 / 10 {
            bench.ask(id, id.wrapping_mul(0x9e37_79b9_7f4a_7c15), &windows);
        }
        assert_eq!(bench.content(&windows)[0].len() as u64, limit);
        let key = format!("zm:{{rl}}:w:{name}");
        let bytes: u64 = redis.ask(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]);
        let per_call = bytes / limit;
        assert!(
            per_call <= 120,
            "{per_call} bytes a call in a window of {limit}"
        );
        assert!(limit > 128 || per_call <= 40, "{per_call} bytes a call");
        let rest: i64 = redis.ask(&["PTTL", &key]);
        assert!((1..=60_000).contains(&rest), "{rest}");
    }
}

#[test]
fn a_shorter_span_takes_nothing_out_that_a_longer_one_needs() {
    const SECOND: u64 = 1_000_000;
    let redis = Redis::start();
    let mut bench = Bench::new(&redis);
    bench.begin();
    let (long, short) = ([(0, 3, 400 * SECOND, false)], [(0, 3, 5 * SECOND, false)]);
    for id in 0..2 {
        assert_eq!(bench.ask(0, id, &long)[0], 1);
    }
    assert_eq!(bench.ask(10 * SECOND, 2, &short)[0], 1);
    let rest: i64 = redis.ask(&["PTTL", "zm:{rl}:w:0"]);
    assert!(rest > 300_000, "{rest}");
    let refused = bench.ask(20 * SECOND, 3, &long);
    assert_eq!(refused[0], 0);
    assert_eq!(refused[4], 380_000_000, "all three count");
    // Nobody looks at it for so long any more, so that it does not have to hold so much.
    assert_eq!(bench.ask(900 * SECOND, 4, &short)[0], 1);
    assert_eq!(bench.ask(910 * SECOND, 5, &short)[0], 1);
    assert_eq!(bench.content(&short)[0].len(), 1);
}

#[test]
fn a_clock_that_goes_back_locks_nobody_out_for_longer_than_the_window() {
    const SPAN: u64 = 60_000_000;
    let redis = Redis::start();
    let mut bench = Bench::new(&redis);
    bench.begin();
    let windows = [(0, 2, SPAN, false)];
    for id in 0..2 {
        assert_eq!(bench.ask(3_600_000_000, id, &windows)[0], 1);
    }
    let refused = bench.ask(0, 2, &windows);
    let (wait, reset) = (refused[4] as u64, refused[5] as u64);
    assert_eq!((refused[0], wait, reset), (0, SPAN, SPAN));
    assert_eq!(bench.ask(SPAN - 1, 2, &windows)[0], 0);
    assert_eq!(bench.ask(SPAN, 2, &windows)[0], 1);
}
