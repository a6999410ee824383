//! Calls that arrive as badly as they can, from two processes of fifty tasks each.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;

use crate::{
    contender::{Contender, Kind, Quotas},
    redis_server::Server,
};

pub(crate) const PATTERNS: [&str; 5] = [
    "steady",
    "all at once",
    "at the turn",
    "trickle, burst",
    "at random",
];

const LIMIT: u32 = 60;
const SPAN: Duration = Duration::from_secs(2);
const RUNS: Duration = Duration::from_secs(9);
const TASKS: u64 = 50;

/// How much more than the limit the fullest window holds.
pub(crate) async fn over_admission(kind: Kind, pattern: &str) -> String {
    let redis = Server::start();
    let number = PATTERNS.iter().position(|it| *it == pattern).unwrap();
    let worker = async |n: u64| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["worker", &format!("{kind:?}"), &redis.url()])
            .args([number.to_string(), n.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = tokio::task::spawn_blocking(|| child.wait_with_output());
        let output = output.await.unwrap().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let told = join_all((0..2).map(worker)).await.concat();
    let mut calls: Vec<(u64, u64)> = told
        .lines()
        .map(|line| {
            let (from, to) = line.split_once(' ').unwrap();
            (from.parse().unwrap(), to.parse().unwrap())
        })
        .collect();
    calls.sort_unstable();
    // Only calls that began and ended within a window are certain to have been counted in it.
    let fullest = calls.iter().map(|(begin, _)| {
        let end = begin + micros(SPAN);
        let inside = |(from, to): &&(u64, u64)| from >= begin && *to < end;
        calls.iter().filter(inside).count()
    });
    let fullest = fullest.max().unwrap_or(0) as f64;
    format!(
        "{:+.0} %",
        100.0 * (fullest / f64::from(LIMIT) - 1.0).max(0.0)
    )
}

/// The other end: asks, and prints when each admitted call began and ended.
pub(crate) async fn work(arguments: &[String]) {
    let [kind, url, pattern, seed] = arguments else {
        panic!("worker KIND URL PATTERN SEED")
    };
    let kind = match &**kind {
        "Exact" => Kind::Exact,
        "FixedWindow" => Kind::FixedWindow,
        _ => Kind::Gcra,
    };
    let quotas = Quotas {
        client: LIMIT,
        global: 1_000_000,
        span: SPAN,
    };
    let contender = &Contender::at(kind, url, quotas).await;
    let (pattern, seed): (u32, u64) = (pattern.parse().unwrap(), seed.parse().unwrap());
    let until = Instant::now() + RUNS;
    let task = async |n: u64| {
        let mut luck = 1 + n + seed * TASKS;
        while Instant::now() < until {
            tokio::time::sleep(pause(pattern, &mut luck)).await;
            let begin = now();
            if contender.admit("one").await.is_ok() {
                println!("{begin} {}", now());
            }
        }
    };
    join_all((0..TASKS).map(task)).await;
}

fn pause(pattern: u32, luck: &mut u64) -> Duration {
    // Any sequence that looks random will do.
    *luck ^= *luck << 13;
    *luck ^= *luck >> 7;
    *luck ^= *luck << 17;
    let (span, at) = (micros(SPAN), now());
    let until = |moment: u64| Duration::from_micros((moment + span - at % span) % span);
    match pattern {
        0 => Duration::from_millis(40),
        1 => Duration::from_millis(2),
        // The end of a window by the clock, and the beginning of the next.
        2 => until(if luck.is_multiple_of(2) {
            span - 100_000
        } else {
            20_000
        }),
        // As often as a bucket refills, then all that it holds.
        3 if at / span % 2 == 0 => Duration::from_millis(100),
        3 => Duration::from_millis(5),
        _ => Duration::from_micros(*luck % 300_000),
    }
}

fn now() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap()
}
