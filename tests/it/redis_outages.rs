//! What becomes of limits while Redis is slow, frozen, gone or empty, and on the way back.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    house::{House, REPORTING, SUPPORT, eventually},
    lag::Lag,
    pair::{admitted, health, last_mode, mode, pair},
    redis::Redis,
};

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_told_again() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 4);
    let _: String = redis.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 4);
    let cut: u64 = redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(cut >= 2);
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 4);
    for house in &houses {
        assert_eq!(
            house.events("limiter_mode").len(),
            1,
            "a cut connection is no outage"
        );
    }
}

#[tokio::test]
async fn an_outage_is_bridged_with_shares_and_the_way_back_admits_nothing_twice() {
    const LIMIT: usize = 40;
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        let limit = format!("{{ requests = {LIMIT}, per = \"1h\" }}");
        setup.set("limits.client", &limit);
    })
    .await;
    let mut passed = admitted(&houses, SUPPORT, 10).await;
    redis.kill();
    for _ in 0..5 {
        passed += admitted(&houses, SUPPORT, 2).await;
    }
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["level"], "warn");
        let health = health(house).await;
        assert_eq!(health["status"], "degraded");
        assert_eq!(health["checks"]["redis"]["status"], "down");
    }
    assert_eq!(passed, 20, "nobody notices");
    redis.restart();
    for house in &houses {
        last_mode(house, "shared").await;
        assert_eq!(health(house).await["status"], "healthy");
        assert_eq!(
            house.events("limiter_mode").len(),
            3,
            "one event for each change"
        );
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(
        passed, LIMIT,
        "what was admitted before and meanwhile counts"
    );
}

#[tokio::test]
async fn instances_that_live_are_counted_where_nobody_says_how_many() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.unset("redis.expected_replicas");
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    // Each instance says several times a second that it lives, and hears of the others then.
    let before = redis.ran("evalsha");
    let heard = || (redis.ran("evalsha") >= before + 8).then_some(());
    eventually("instances to hear of each other", heard).await;
    redis.kill();
    assert_eq!(admitted(&houses[..1], SUPPORT, 30).await, 10);
}

#[tokio::test]
async fn more_instances_than_are_expected_count_all_the_same() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("redis.expected_replicas", "1");
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    let told = "more instances share the limits than redis.expected_replicas says";
    for house in &houses {
        let log = || house.operational_log().matches(told).count();
        eventually("the other to be counted", || (log() == 1).then_some(())).await;
    }
    redis.kill();
    assert_eq!(admitted(&houses, SUPPORT, 60).await, 20, "ten of each");
    for house in &houses {
        assert_eq!(house.operational_log().matches(told).count(), 1);
    }
}

#[tokio::test]
async fn the_worst_skew_of_an_outage_is_half_as_much_again() {
    const LIMIT: usize = 20;
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        let limit = format!("{{ requests = {LIMIT}, per = \"1h\" }}");
        setup.set("limits.client", &limit);
    })
    .await;
    let [one, other] = [&houses[..1], &houses[1..]];
    let mut passed = admitted(one, SUPPORT, 40).await;
    redis.kill();
    passed += admitted(one, SUPPORT, 40).await + admitted(other, SUPPORT, 40).await;
    redis.restart();
    for house in &houses {
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 40).await;
    assert!((LIMIT..=LIMIT * 3 / 2).contains(&passed), "{passed}");
}

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

#[tokio::test]
async fn data_that_redis_loses_is_put_back() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    let mut passed = admitted(&houses, SUPPORT, 20).await;
    let _: String = redis.ask(&["FLUSHALL"]);
    passed += admitted(&houses, SUPPORT, 20).await;
    for house in &houses {
        eventually("the data to be back", || {
            (house.events("limiter_mode").len() == 3).then_some(())
        })
        .await;
        assert_eq!(mode(house, "local").await["error"], "data_lost");
    }
    passed += admitted(&houses, SUPPORT, 40).await;
    assert_eq!(passed, 20);
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_of_no_use() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    mode(&houses[0], "shared").await;
    let outages = [
        (
            ["CONFIG", "SET", "maxmemory", "1"],
            ["CONFIG", "SET", "maxmemory", "0"],
            "out_of_memory",
        ),
        (
            ["REPLICAOF", "127.0.0.1", "1", ""],
            ["REPLICAOF", "NO", "ONE", ""],
            "read_only",
        ),
    ];
    for (breaks, mends, cause) in outages {
        let words = |command: [&'static str; 4]| -> Vec<&'static str> {
            command
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect()
        };
        let _: String = redis.ask(&words(breaks));
        assert_eq!(admitted(&houses, SUPPORT, 2).await, 2);
        for house in &houses {
            assert_eq!(last_mode(house, "local").await["error"], cause);
        }
        let _: String = redis.ask(&words(mends));
        for house in &houses {
            last_mode(house, "shared").await;
        }
    }
}

#[tokio::test]
async fn a_script_that_keeps_redis_busy_is_named() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let _: String = redis.ask(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
    let mut connection = redis.connection().unwrap();
    let endless = std::thread::spawn(move || {
        let mut eval = ::redis::cmd("EVAL");
        let ended = eval.arg("while true do end").arg(0);
        ended.query::<i64>(&mut connection).unwrap_err()
    });
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["error"], "busy_script");
    }
    let _: String = redis.ask(&["SCRIPT", "KILL"]);
    endless.join().unwrap();
    for house in &houses {
        last_mode(house, "shared").await;
    }
}

#[tokio::test]
async fn without_redis_a_limit_is_closed_or_open_where_it_says_so() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set(
            "limits.global",
            "{ requests = 2, per = \"1h\", on_store_error = \"open\" }",
        );
        let closed = "{ requests = 100, per = \"1m\", on_store_error = \"closed\" }";
        setup.set("limits.tools.get_revenue_report", closed);
    })
    .await;
    redis.kill();
    last_mode(&houses[0], "local").await;
    assert_eq!(admitted(&houses[..1], SUPPORT, 6).await, 6);
    let report = houses[0]
        .agent(REPORTING)
        .call("get_revenue_report", json!({}))
        .await;
    assert_eq!(
        (report.status.as_u16(), report.header("retry-after")),
        (429, "1")
    );
    let told = &report.json()["error"]["message"];
    let told = told.as_str().unwrap();
    assert!(
        told.starts_with("Calls cannot be counted at the moment"),
        "{told}"
    );
    let line = houses[0].event("rate_limit_exceeded").await;
    assert_eq!(line["reason"], "store_unavailable");
}

#[tokio::test]
async fn at_start_redis_may_be_gone_or_not_as_configured() {
    let mut redis = Redis::with(|options| options.password("right"));
    let house = House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.password", "env:REDIS_SECRET");
        setup.variable("REDIS_SECRET", "wrong");
    })
    .await;
    assert_eq!(mode(&house, "local").await["error"], "wrong_password");
    assert_eq!(health(&house).await["status"], "degraded");
    assert!(
        house
            .operational_log()
            .contains("check redis.username and redis.password")
    );
    let refused = house.command(&["check", "--online"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("redis: wrong_password: check redis.username"),
        "{told}"
    );
    redis.kill();
    let refused = house.command_with(&["serve"], |setup| {
        setup.set("redis.at_start", "refuse");
    });
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("redis: connection_refused; nothing listens"),
        "{told}"
    );
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
