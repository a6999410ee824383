//! What becomes of limits while Redis is slow, frozen or paused.

use std::time::{Duration, Instant};

use crate::{
    house::{House, SUPPORT, eventually},
    lag::Lag,
    pair::{admitted, last_mode, mode, pair},
    redis::Redis,
};

#[tokio::test]
async fn a_frozen_redis_holds_calls_up_for_a_moment_only() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("redis.timeout", "1s");
    })
    .await;
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 4);
    redis.freeze();
    let started = Instant::now();
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 4);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["error"], "timeout");
    }
    let started = Instant::now();
    for _ in 0..10 {
        assert_eq!(admitted(&houses, SUPPORT, 2).await, 2);
    }
    let each = started.elapsed() / 10;
    assert!(
        each < Duration::from_millis(500),
        "nobody waits any more: {each:?}"
    );
    redis.thaw();
    for house in &houses {
        last_mode(house, "shared").await;
    }
}

/// The longest of so many rounds of calls on all instances, all of which have to be admitted.
async fn slowest(houses: &[House], rounds: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        let started = Instant::now();
        assert_eq!(admitted(houses, SUPPORT, 2).await, 2);
        slowest = slowest.max(started.elapsed());
    }
    slowest
}

#[tokio::test]
async fn a_redis_that_is_slow_but_in_time_is_waited_for() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = pair(&redis, |setup| {
        setup.set("redis.url", way.url()).set("redis.timeout", "1s");
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    mode(&houses[0], "shared").await;
    let mut passed = admitted(&houses, SUPPORT, 6).await;
    for millis in [30, 80, 200] {
        way.takes(Duration::from_millis(millis));
        passed += admitted(&houses, SUPPORT, 4).await;
    }
    passed += admitted(&houses, SUPPORT, 20).await;
    assert_eq!(passed, 20);
    for house in &houses {
        assert_eq!(house.events("limiter_mode").len(), 1);
    }
}

#[tokio::test]
async fn a_redis_that_is_always_too_slow_holds_nobody_up() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = pair(&redis, |setup| {
        setup
            .set("redis.url", way.url())
            .set("redis.timeout", "400ms");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    // Late for a call, and soon enough for a new connection.
    way.takes(Duration::from_millis(600));
    let first = slowest(&houses, 1).await;
    assert!(first < Duration::from_secs(4), "{first:?}");
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["error"], "timeout");
    }
    let later = slowest(&houses, 10).await;
    assert!(
        later < Duration::from_millis(400),
        "nobody waits: {later:?}"
    );
    let tried = way.connections();
    let tried_often = || (way.connections() >= tried + 6).then_some(());
    eventually("Redis to be tried again and again", tried_often).await;
    for house in &houses {
        assert_eq!(house.events("limiter_mode").len(), 2, "no back and forth");
        let told = house.operational_log();
        assert_eq!(told.matches("Redis cannot be used").count(), 1, "{told}");
    }
    way.takes(Duration::ZERO);
    for house in &houses {
        last_mode(house, "shared").await;
        assert_eq!(house.events("limiter_mode").len(), 3);
    }
}

#[tokio::test]
async fn a_redis_that_an_operator_pauses_is_bridged() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("redis.timeout", "300ms");
        setup.set("limits.client", "{ requests = 40, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let mut passed = admitted(&houses, SUPPORT, 4).await;
    let _: String = redis.ask(&["CLIENT", "PAUSE", "6000", "ALL"]);
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["error"], "timeout");
    }
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        last_mode(house, "shared").await;
        assert_eq!(house.events("limiter_mode").len(), 3);
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 40, "what was admitted meanwhile counts");
}
