//! What becomes of limits while Redis is gone, empty or of no use, and on the way back.

use serde_json::json;

use crate::{
    house::{House, REPORTING, SUPPORT, eventually},
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
