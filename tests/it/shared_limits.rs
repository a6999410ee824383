//! Limits that several instances share over Redis.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    house::{DASHBOARD, House, REPORTING, SUPPORT, eventually},
    pair::{admitted, health, mode, pair},
    redis::Redis,
};

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
    let refused = houses[0].agent(SUPPORT).list().await;
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
        let refused = houses[round % 2].agent(SUPPORT).list().await;
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
            if agent.status().await == 200 {
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
        asked < 100,
        "instances say that they live, and no more: {asked}"
    );
}

#[tokio::test]
async fn a_ping_and_a_notification_pass_whatever_was_used() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 2, per = \"1h\" }");
    })
    .await;
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 2);
    let agent = houses[0].agent(SUPPORT);
    assert_eq!(agent.ask("ping", json!({})).await.status, 200);
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(agent.post(told.to_string()).await.status, 202);
    assert_eq!(agent.status().await, 429);
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
    let answer = houses[0].agent(SUPPORT).list().await;
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
async fn failed_logins_are_counted_by_each_instance_for_itself() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.failed_logins", "{ requests = 3, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
        let guess = house.stranger(Some("zmcp_live_guess"));
        let mut told = Vec::new();
        for _ in 0..4 {
            told.push(guess.status().await);
        }
        assert_eq!(told, [401, 401, 401, 429], "a burst of three, of each");
    }
}
