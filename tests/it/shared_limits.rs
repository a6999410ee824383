//! Limits that several instances share over Redis, with a real Redis and what can happen to it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    agent::{Agent, Answer},
    house::{DASHBOARD, House, REPORTING, SUPPORT, Setup, eventually},
    redis::Redis,
};

/// Two instances that share a Redis.
async fn pair(redis: &Redis, change: impl FnOnce(&mut Setup)) -> [House; 2] {
    let url = redis.url();
    let one = House::with(|setup| {
        // Machines that run tests are slow: only tests that are about it expect answers in 50 ms.
        setup.set("redis.url", &url).set("redis.timeout", "2s");
        change(setup);
    })
    .await;
    let other = one.replica(|_| ()).await;
    [one, other]
}

async fn list(agent: &Agent) -> Answer {
    agent.ask("tools/list", json!({})).await
}

/// How many of so many calls at once are admitted, with the instances in turns.
async fn admitted(houses: &[House], client: &str, calls: usize) -> usize {
    let agents: Vec<Agent> = houses.iter().map(|house| house.agent(client)).collect();
    let answers = join_all((0..calls).map(|n| list(&agents[n % agents.len()]))).await;
    let seen = |answer: &&Answer| {
        assert!(
            answer.status == 200 || answer.status == 429,
            "{}",
            answer.text
        );
        answer.status == 200
    };
    answers.iter().filter(seen).count()
}

async fn mode(house: &House, mode: &str) -> Value {
    house
        .recorded(mode, |line| {
            line["event"] == "limiter_mode" && line["reason"] == mode
        })
        .await
}

/// Waits until the last change of mode is that one.
async fn last_mode(house: &House, mode: &str) -> Value {
    let last = || house.events("limiter_mode").pop();
    eventually(mode, || last().filter(|line| line["reason"] == mode)).await
}

async fn health(house: &House) -> Value {
    house.stranger(None).get("/health").await.json()
}

#[tokio::test]
async fn two_instances_keep_one_limit() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    assert_eq!(admitted(&houses, SUPPORT, 60).await, 20);
    assert_eq!(
        admitted(&houses, REPORTING, 5).await,
        5,
        "another client's is another window"
    );
    let refused = list(&houses[0].agent(SUPPORT)).await;
    assert_eq!(
        refused.json()["error"]["data"]["violatedPolicies"],
        json!(["client"])
    );
    let retry_after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((3_500..=3_600).contains(&retry_after), "{retry_after}");
    let limits = refused.header("ratelimit");
    assert!(limits.contains("\"client\";r=0;t="), "{limits}");
    for house in &houses {
        assert_eq!(mode(house, "shared").await["error"], Value::Null);
        assert_eq!(health(house).await["checks"]["redis"]["status"], "ok");
    }
}

#[tokio::test]
async fn coming_back_when_told_is_admitted() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 3, per = \"2s\" }");
    })
    .await;
    assert_eq!(admitted(&houses, SUPPORT, 3).await, 3);
    for round in 0..2 {
        let refused = list(&houses[round % 2].agent(SUPPORT)).await;
        assert_eq!(refused.status, 429);
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(admitted(&houses, SUPPORT, 3).await, 3);
    }
}

#[tokio::test]
async fn no_window_ever_holds_more_than_the_limit_however_calls_arrive() {
    const LIMIT: usize = 15;
    const SPAN: Duration = Duration::from_millis(1_500);
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        let limit = format!("{{ requests = {LIMIT}, per = \"1500ms\" }}");
        setup.set("limits.client", &limit);
    })
    .await;
    let started = Instant::now();
    // Steady, in bursts at the end of a window and after it, and as fast as it goes.
    let caller = async |n: usize| {
        let agent = houses[n % 2].agent(SUPPORT);
        let mut admitted = Vec::new();
        while started.elapsed() < SPAN * 5 {
            let before = Instant::now();
            if list(&agent).await.status == 200 {
                admitted.push((before, Instant::now()));
            }
            let pause = [0, 40, 1_499, 740, 1_501][n % 5];
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        admitted
    };
    let calls: Vec<(Instant, Instant)> = join_all((0..10).map(caller)).await.concat();
    for (begin, _) in &calls {
        let inside = |(from, to): &&(Instant, Instant)| from >= begin && *to < *begin + SPAN;
        let inside = calls.iter().filter(inside).count();
        assert!(inside <= LIMIT, "{inside} in one window");
    }
    assert!(
        calls.len() >= LIMIT * 4,
        "and what may pass does: {}",
        calls.len()
    );
}

#[tokio::test]
async fn a_flooding_client_takes_nothing_from_an_honest_one() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 40, per = \"1m\" }");
        setup.set("limits.global", "{ requests = 90, per = \"1m\" }");
    })
    .await;
    let flood = async {
        for _ in 0..10 {
            admitted(&houses, REPORTING, 40).await;
        }
    };
    let honest = async {
        let mut passed = 0;
        for _ in 0..40 {
            passed += admitted(&houses, SUPPORT, 1).await;
        }
        passed
    };
    assert_eq!(tokio::join!(flood, honest).1, 40);
}

#[tokio::test]
async fn a_client_known_to_be_blocked_costs_redis_nothing() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 5, per = \"1h\" }");
    })
    .await;
    admitted(&houses, SUPPORT, 30).await;
    let before = redis.ran("evalsha");
    assert_eq!(admitted(&houses, SUPPORT, 200).await, 0);
    let asked = redis.ran("evalsha") - before;
    assert!(
        asked < 40,
        "instances say that they live, and no more: {asked}"
    );
}

#[tokio::test]
async fn redis_holds_digests_only_and_every_key_ends() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    let answer = houses[0]
        .agent(SUPPORT)
        .call("search_contacts", json!({ "name": "Giulia" }));
    answer.await.content();
    let keys = redis.keys();
    assert!(keys.len() >= 5, "{keys:?}");
    for key in &keys {
        assert!(key.starts_with("zm:{rl}:"), "{key}");
        assert!(!key.contains(SUPPORT), "{key}");
        let rest: i64 = redis.ask(&["PTTL", key]);
        assert!(rest > 0, "{key} never ends");
    }
}

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
        setup.set("redis.timeout", "100ms");
    })
    .await;
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 4);
    redis.freeze();
    let started = Instant::now();
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 4);
    assert!(
        started.elapsed() < Duration::from_secs(2),
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
        each < Duration::from_millis(90),
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
}

#[tokio::test]
async fn at_start_redis_may_be_gone_or_not_as_configured() {
    let mut redis = Redis::with_password("right");
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

#[tokio::test]
async fn redis_is_reached_over_tls_with_an_authority_and_a_user_of_its_own() {
    let redis = Redis::with_tls();
    let rules = [
        "ACL",
        "SETUSER",
        "zoho",
        "on",
        ">s3cret",
        "~zm:*",
        "+evalsha",
        "+eval",
        "+set",
        "+get",
        "+time",
        "+pexpire",
        "+zadd",
        "+zcard",
        "+zcount",
        "+zrangebyscore",
        "+zrem",
        "+zremrangebyscore",
        "+zscore",
        "+client|setinfo",
    ];
    let _: String = redis.ask(&rules);
    let house = House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        setup
            .set("redis.ca", &redis.ca())
            .set("redis.username", "zoho");
        setup
            .set("redis.password", "env:REDIS_SECRET")
            .variable("REDIS_SECRET", "s3cret");
        setup.set("limits.client", "{ requests = 3, per = \"1h\" }");
    })
    .await;
    mode(&house, "shared").await;
    let agent = house.agent(SUPPORT);
    agent
        .call("search_contacts", json!({ "name": "Giulia" }))
        .await
        .content();
    assert_eq!(admitted(std::slice::from_ref(&house), SUPPORT, 9).await, 2);
    assert!(!house.operational_log().contains("s3cret"));
    let stranger = house.command_with(&["check", "--online"], |setup| {
        setup.unset("redis.ca");
    });
    assert!(
        !stranger.status.success(),
        "an authority that nobody knows is not trusted"
    );
}

#[tokio::test]
async fn a_cluster_and_a_primary_behind_sentinels_serve_as_well() {
    let cluster = Redis::cluster();
    let single = Redis::start();
    let sentinel = Redis::sentinel_of(&single);
    for (redis, kind) in [(&cluster, "cluster"), (&sentinel, "sentinel")] {
        let houses = pair(redis, |setup| {
            setup.set("redis.kind", kind).set("redis.master", "primary");
            setup.set("limits.client", "{ requests = 10, per = \"1h\" }");
        })
        .await;
        for house in &houses {
            mode(house, "shared").await;
        }
        assert_eq!(admitted(&houses, SUPPORT, 30).await, 10, "{kind}");
    }
    assert!(
        single
            .keys()
            .iter()
            .any(|key| key.starts_with("zm:{rl}:w:"))
    );
}

#[tokio::test]
async fn calls_in_flight_are_capped_across_instances_and_a_crash_leaks_none() {
    let redis = Redis::start();
    let [house, mut other] = pair(&redis, |setup| {
        setup.set("limits.in_flight", "2");
    })
    .await;
    let slow = json!({ "fault": "latency", "path": "/crm", "delay": "25s", "times": 2 });
    house.zoho.fault(slow).await;
    let search = json!({ "name": "Giulia" });
    let agent = other.agent(SUPPORT);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let (agent, search) = (agent.clone(), search.clone());
            tokio::spawn(async move { agent.call("search_contacts", search).await })
        })
        .collect();
    let started = || other.events("tool_call_start").len();
    eventually("two calls in flight", || (started() == 2).then_some(())).await;
    let busy = house
        .agent(SUPPORT)
        .call("search_contacts", search.clone())
        .await;
    assert!(busy.failure().contains("Too many calls"), "{}", busy.text);
    let told = house.event("rate_limit_exceeded").await;
    assert_eq!(told["policy"], "in_flight, 2 at once");
    let elsewhere = house
        .agent(REPORTING)
        .call("search_contacts", search.clone())
        .await;
    elsewhere.content();
    held.iter().for_each(tokio::task::JoinHandle::abort);
    other.crash();
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let answer = house
            .agent(SUPPORT)
            .call("search_contacts", search.clone())
            .await;
        if answer.result()["isError"] != true {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the places of the crashed instance were leaked"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn one_call_after_the_other_never_finds_its_own_place_taken() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.in_flight", "1");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    for _ in 0..30 {
        agent
            .call("search_contacts", json!({ "name": "Giulia" }))
            .await
            .content();
    }
}

#[tokio::test]
async fn a_limit_is_tried_out_before_it_refuses() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set(
            "limits.client",
            "{ requests = 3, per = \"1h\", mode = \"shadow\" }",
        );
    })
    .await;
    assert_eq!(admitted(&houses, SUPPORT, 8).await, 8);
    let told = || -> Vec<Value> {
        let both = houses
            .iter()
            .flat_map(|house| house.events("rate_limit_exceeded"));
        both.collect()
    };
    eventually("five that would have been refused", || {
        (told().len() == 5).then_some(())
    })
    .await;
    for line in told() {
        assert_eq!(
            (&line["reason"], &line["policy"]),
            (&json!("shadow"), &json!("client, 3 per 1h"))
        );
    }
    let answer = list(&houses[0].agent(SUPPORT)).await;
    assert!(
        !answer.header("ratelimit").contains("client"),
        "callers are not told"
    );
}

#[tokio::test]
async fn an_operator_sees_what_is_used() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    assert_eq!(admitted(&houses, SUPPORT, 7).await, 7);
    let shown = houses[0].command(&["limits", "show", "--json", "--client", SUPPORT]);
    let rows: Vec<Value> = serde_json::from_slice(&shown.stdout).unwrap();
    let row = rows
        .iter()
        .find(|row| row["dimension"] == "client")
        .unwrap();
    let (used, limit, client) = (&row["used"], &row["limit"], &row["client"]);
    assert_eq!(
        (used, limit, client),
        (&json!(7), &json!(20), &json!(SUPPORT))
    );
    assert_eq!(row["per"], "1h");
    let table = houses[0].command(&["limits", "show"]);
    let table = String::from_utf8(table.stdout).unwrap();
    let line = table
        .lines()
        .find(|line| line.starts_with("client ") && line.contains(SUPPORT));
    assert!(line.unwrap().contains("7/20"), "{table}");
    assert!(table.contains(DASHBOARD), "{table}");
    let nobody = houses[0].command(&["limits", "show", "--client", "nobody"]);
    assert!(!nobody.status.success());
}

#[tokio::test]
async fn other_limits_hold_without_a_restart() {
    let redis = Redis::start();
    let house = House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        setup.unset("limits.client");
    })
    .await;
    let houses = [house];
    assert_eq!(admitted(&houses, SUPPORT, 70).await, 60, "the default");
    let file = houses[0].file("zoho-mcp.toml");
    let more = "[limits.client]\nrequests = 65\nper = \"1m\"\n";
    let text = std::fs::read_to_string(&file).unwrap() + more;
    std::fs::write(&file, text).unwrap();
    houses[0].signal("-HUP");
    houses[0].event("config_reload").await;
    assert_eq!(admitted(&houses, SUPPORT, 70).await, 5);
}

#[tokio::test]
async fn a_password_in_the_address_is_refused_with_what_to_do_instead() {
    let house = House::start().await;
    let address = "redis://:hunter2@127.0.0.1:6379";
    let refused = house.command_with(&["check"], |setup| {
        setup.set("redis.url", address);
    });
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(64), "{told}");
    assert!(
        told.contains("redis.url") && told.contains("password = \"env:NAME\""),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}
