//! The limiter over a real Redis, beside a fixed window and a GCRA that are run in the same way:
//! `cargo run --release --example limits`. Prints one table; needs redis-server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on ends"
)]
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

#[path = "limits/arrivals.rs"]
mod arrivals;
#[path = "limits/contender.rs"]
mod contender;
#[path = "limits/outage.rs"]
mod outage;
mod redis_server;
#[path = "limits/server.rs"]
mod server;

use std::time::{Duration, Instant};

use contender::{Contender, Kind, Quotas};
use futures_util::future::join_all;
use redis_server::Server;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, rest @ ..] = &*arguments
        && role == "worker"
    {
        return arrivals::work(rest).await;
    }
    let kinds = [Kind::Exact, Kind::FixedWindow, Kind::Gcra];
    println!("| figure | exact log (this limiter) | fixed window | GCRA |");
    println!("|---|---|---|---|");
    for pattern in arrivals::PATTERNS {
        let over = over_kinds(kinds, async |kind| {
            arrivals::over_admission(kind, pattern).await
        });
        row(&format!("RL1 worst window, {pattern}"), over.await);
    }
    let honest = over_kinds(kinds, async |kind| fairness(kind).await);
    row("RL2 honest beside a flood", honest.await);
    let cost = over_kinds(kinds, async |kind| cost(kind).await);
    row("RL5 p50; round trips admitted, blocked", cost.await);
    let exact = over_kinds(kinds, async |kind| retry_after(kind).await);
    row("RL6 Retry-After holds; a second less fails", exact.await);
    let none = || "–".to_owned();
    for (figure, text) in outage::figures().await {
        row(figure, [text, none(), none()]);
    }
}

async fn over_kinds(kinds: [Kind; 3], measure: impl AsyncFn(Kind) -> String) -> [String; 3] {
    [
        measure(kinds[0]).await,
        measure(kinds[1]).await,
        measure(kinds[2]).await,
    ]
}

fn row(figure: &str, [exact, fixed, gcra]: [String; 3]) {
    println!("| {figure} | {exact} | {fixed} | {gcra} |");
}

/// Seven honest clients call as often as they may; one calls all the time.
async fn fairness(kind: Kind) -> String {
    let redis = Server::start();
    let quotas = Quotas {
        client: 30,
        global: 300,
        span: Duration::from_secs(3),
    };
    let contender = Contender::new(kind, &redis, quotas).await;
    let until = Instant::now() + Duration::from_secs(6);
    let flood = async {
        let one = async || {
            while Instant::now() < until {
                let _ = contender.admit("flood").await;
                // One that backs off is no flood, and one that starves the others' tasks none of
                // the limiter's business.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        join_all((0..20).map(|_| one())).await;
    };
    let honest = async {
        let one = async |n: usize| {
            let name = format!("honest-{n}");
            let (mut asked, mut passed) = (0_u32, 0_u32);
            while Instant::now() < until {
                asked += 1;
                passed += u32::from(contender.admit(&name).await.is_ok());
                tokio::time::sleep(Duration::from_millis(110)).await;
            }
            (asked, passed)
        };
        join_all((0..7).map(one)).await
    };
    let counts = tokio::join!(flood, honest).1;
    let sum = |pick: fn(&(u32, u32)) -> u32| f64::from(counts.iter().map(pick).sum::<u32>());
    format!("{:.1} %", 100.0 * sum(|it| it.1) / sum(|it| it.0))
}

async fn cost(kind: Kind) -> String {
    let redis = Server::start();
    let quotas = Quotas {
        client: 2_000,
        global: 1_000_000,
        // So long that no place comes free meanwhile.
        span: Duration::from_secs(86_400),
    };
    let contender = Contender::new(kind, &redis, quotas).await;
    let before = redis.scripts_run();
    let mut took = Vec::new();
    for _ in 0..2_000 {
        let started = Instant::now();
        contender.admit("one").await.expect("admitted");
        took.push(started.elapsed());
    }
    let admitted = redis.scripts_run() - before;
    contender.admit("one").await.expect_err("refused");
    let before = redis.scripts_run();
    for _ in 0..2_000 {
        contender.admit("one").await.expect_err("refused");
    }
    let blocked = redis.scripts_run() - before;
    took.sort_unstable();
    let each = |scripts: u64| (scripts as f64 / 2_000.0 * 10.0).round() / 10.0;
    format!("{:.2?}; {}, {}", took[1_000], each(admitted), each(blocked))
}

/// A hundred clients fill their windows and come back when they are told, another hundred a second
/// earlier.
async fn retry_after(kind: Kind) -> String {
    let redis = Server::start();
    let quotas = Quotas {
        client: 5,
        global: 1_000_000,
        span: Duration::from_secs(3),
    };
    let contender = Contender::new(kind, &redis, quotas).await;
    let one = async |n: usize| {
        let name = format!("client-{n}");
        let wait = loop {
            if let Err(wait) = contender.admit(&name).await {
                break wait;
            }
        };
        let seconds = wait.as_millis().div_ceil(1_000).max(1) as u64;
        let early = u64::from(n % 2 == 1);
        tokio::time::sleep(Duration::from_secs(seconds - early)).await;
        (early == 1, contender.admit(&name).await.is_ok())
    };
    let came = join_all((0..200).map(one)).await;
    let count = |wanted: (bool, bool)| came.iter().filter(|it| **it == wanted).count();
    format!("{} %; {} %", count((false, true)), count((true, false)))
}
