//! Whatever can happen to a Redis, in an order that nobody thought of, while clients flood two
//! instances. With `ZOHO_MCP_TEST_REDIS_CHAOS=300` for five minutes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    agent::Agent,
    house::{REPORTING, SUPPORT},
    pair::{last_mode, mode, pair},
    redis::Redis,
};

const LIMIT: usize = 40;
const WINDOW: Duration = Duration::from_secs(5);

/// An admitted call: when it was asked for, and when it was answered.
type Admitted = (Instant, Instant);

/// Calls in a loop until the end, and counts nothing but what was admitted.
async fn flood(agent: Agent, is_over: Arc<AtomicBool>) -> Vec<Admitted> {
    let mut admitted = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = agent.list().await;
        match answer.status.as_u16() {
            200 => admitted.push((asked, Instant::now())),
            429 => {}
            other => panic!("{other}: {}", answer.text),
        }
    }
    admitted
}

/// The most calls that were asked for and answered within any window, whenever in between each was
/// admitted.
fn fullest(calls: &[Admitted]) -> usize {
    let within = |from: Instant| {
        let is_in = |call: &&Admitted| call.0 >= from && call.1 < from + WINDOW;
        calls.iter().filter(is_in).count()
    };
    calls.iter().map(|call| within(call.0)).max().unwrap_or(0)
}

/// The same numbers in every run.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}

async fn befall(redis: &mut Redis, what: u64, span: Duration) {
    let memory = |redis: &Redis, bytes: &str| {
        let _: String = redis.ask(&["CONFIG", "SET", "maxmemory", bytes]);
    };
    match what {
        0 => {
            redis.kill();
            sleep(span).await;
            redis.restart();
        }
        1 => {
            redis.freeze();
            sleep(span).await;
            redis.thaw();
        }
        2 => {
            memory(redis, "1");
            sleep(span).await;
            memory(redis, "0");
        }
        3 => redis.ask(&["FLUSHALL"]),
        4 => redis.ask(&["SCRIPT", "FLUSH"]),
        5 => redis.ask(&["CLIENT", "PAUSE", &span.as_millis().to_string(), "ALL"]),
        _ => {
            let _: u64 = redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_window_holds_more_than_half_as_much_again_whatever_happens() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test lasts is no setting of the daemon"
    )]
    let seconds = std::env::var("ZOHO_MCP_TEST_REDIS_CHAOS").map(|it| it.parse().unwrap());
    let lasts = Duration::from_secs(seconds.unwrap_or(12));
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        let limit = format!("{{ requests = {LIMIT}, per = \"5s\" }}");
        setup
            .set("limits.client", &limit)
            .set("limits.global", "{ requests = 100000, per = \"1s\" }");
        setup.set("redis.timeout", "200ms");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let clients = [SUPPORT, REPORTING];
    let floods = clients.map(|client| {
        let agents = houses
            .iter()
            .flat_map(|house| [house.agent(client), house.agent(client)]);
        let floods = agents.map(|agent| tokio::spawn(flood(agent, Arc::clone(&is_over))));
        floods.collect::<Vec<_>>()
    });
    let (begun, mut seed, mut told) = (Instant::now(), 7, Vec::new());
    while begun.elapsed() < lasts {
        let (what, span) = (draw(&mut seed) % 7, 100 + draw(&mut seed) % 1_500);
        told.push((begun.elapsed(), what, span));
        befall(&mut redis, what, Duration::from_millis(span)).await;
        sleep(Duration::from_millis(draw(&mut seed) % 2_000)).await;
    }
    for house in &houses {
        last_mode(house, "shared").await;
    }
    is_over.store(true, Ordering::Relaxed);
    for (client, floods) in clients.iter().zip(floods) {
        let mut calls = Vec::new();
        for flood in floods {
            calls.extend(flood.await.unwrap());
        }
        let most = fullest(&calls);
        eprintln!(
            "{client}: {} admitted, at most {most} of {LIMIT} in a window",
            calls.len()
        );
        assert!(
            most <= LIMIT * 3 / 2,
            "{client}: {most} of {LIMIT}: {told:?}"
        );
        assert!(calls.len() >= LIMIT, "{client}: {}", calls.len());
    }
}
