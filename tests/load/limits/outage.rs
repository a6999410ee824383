//! Two instances while Redis is killed, stays away for two and a half seconds and comes back empty;
//! and while it is frozen.

use std::time::{Duration, Instant};

use crate::{
    contender::{Contender, Kind, Quotas},
    redis_server::Server,
};

const LIMIT: u32 = 100;
const SPAN: Duration = Duration::from_secs(10);
/// As config/default.toml has it.
const DEFAULT: &str = "50ms";
const AWAY: Duration = Duration::from_millis(2_500);

pub(crate) async fn figures() -> Vec<(&'static str, String)> {
    let (even, back) = killed(|n, _| n % 2).await;
    let (skewed, _) = killed(|_, gone| usize::from(gone)).await;
    let (frozen, open) = frozen().await;
    vec![
        ("RL3 killed, even load", format!("{even:+.0} %")),
        ("RL3 killed, worst skew", format!("{skewed:+.0} %")),
        ("RL3 p99 added while frozen", format!("{frozen:.1?}")),
        ("RL3 p99 added, breaker open", format!("{open:.2?}")),
        ("RL4 shared again after", format!("{back:.2?}")),
    ]
}

/// Over-admission in percent, and how long the way back took. `which` instance a call goes to may
/// depend on its number and on whether Redis has gone yet.
async fn killed(which: fn(usize, bool) -> usize) -> (f64, Duration) {
    let mut redis = Server::start();
    let instances = two(&redis, LIMIT).await;
    let mut admitted = Vec::new();
    let mut call = async |n: usize, gone: bool| {
        let begin = Instant::now();
        if instances[which(n, gone)].admit("one").await.is_ok() {
            admitted.push((begin, Instant::now()));
        }
        tokio::time::sleep(Duration::from_millis(8)).await;
    };
    let mut n = 0;
    let mut during = async |span: Duration, gone: bool| {
        let until = Instant::now() + span;
        while Instant::now() < until {
            call(n, gone).await;
            n += 1;
        }
    };
    during(Duration::from_secs(2), false).await;
    redis.kill();
    during(AWAY, true).await;
    tokio::task::block_in_place(|| redis.launch());
    let answers = Instant::now();
    let watch = async {
        while !instances.iter().all(is_shared) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answers.elapsed()
    };
    let ((), back) = tokio::join!(during(SPAN, true), watch);
    let fullest = admitted.iter().map(|(begin, _)| {
        let inside = |(from, to): &&(Instant, Instant)| from >= begin && *to < *begin + SPAN;
        admitted.iter().filter(inside).count()
    });
    let fullest = fullest.max().unwrap_or(0) as f64;
    (100.0 * (fullest / f64::from(LIMIT) - 1.0), back)
}

/// The slowest of a hundred: while it is not known yet that Redis is frozen, and afterwards.
async fn frozen() -> (Duration, Duration) {
    let redis = Server::start();
    // No call is refused, since a refusal that is remembered does not ask.
    let instances = two(&redis, 1_000_000).await;
    let instance = &instances[0];
    redis.signal("-STOP");
    let mut frozen = Vec::new();
    while is_shared(instance) {
        frozen.push(timed(instance).await);
    }
    let mut open = Vec::new();
    for _ in 0..500 {
        open.push(timed(instance).await);
    }
    redis.signal("-CONT");
    (p99(frozen), p99(open))
}

async fn timed(instance: &Contender) -> Duration {
    let started = Instant::now();
    let _ = instance.admit("one").await;
    started.elapsed()
}

async fn two(redis: &Server, client: u32) -> [Contender; 2] {
    let quotas = Quotas {
        client,
        global: 1_000_000,
        span: SPAN,
    };
    let url = redis.url();
    let one = Contender::waiting(Kind::Exact, &url, quotas, DEFAULT).await;
    let other = Contender::waiting(Kind::Exact, &url, quotas, DEFAULT).await;
    [one, other]
}

fn is_shared(contender: &Contender) -> bool {
    let standing = contender.limiter.standing();
    standing.is_some_and(|standing| standing.alone.is_none())
}

fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[(took.len() - 1) * 99 / 100]
}
