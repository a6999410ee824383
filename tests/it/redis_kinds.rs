//! Redis as people run it, and what stands in it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    house::{House, REPORTING, SUPPORT, Setup, eventually},
    pair::{admitted, last_mode, mode, pair},
    redis::{Options, Redis, valkey},
};

#[tokio::test]
async fn redis_holds_digests_only_and_every_key_ends() {
    holds_digests_only_and_every_key_ends(&Redis::start()).await;
}

#[tokio::test]
async fn redis_is_reached_over_tls_with_an_authority_and_a_user_of_its_own() {
    let redis = Redis::with(Options::tls);
    let house = serves_a_user_of_its_own(&redis).await;
    let stranger = house.command_with(&["check", "--online"], |setup| {
        setup.unset("redis.ca");
    });
    assert!(
        !stranger.status.success(),
        "an authority that nobody knows is not trusted"
    );
}

#[tokio::test]
async fn a_cluster_behind_tls_and_a_password_serves_as_well() {
    serves_as_a_cluster(&Redis::with(|options| in_a_cluster(options).tls())).await;
}

#[tokio::test]
async fn valkey_serves_alone_with_a_user_and_as_a_cluster() {
    if valkey().is_none() {
        eprintln!("skipped: there is no Valkey for this machine, see tests/run");
        return;
    }
    let redis = Redis::with(Options::valkey);
    let told: String = redis.ask(&["INFO", "server"]);
    assert!(told.contains("server_name:valkey"), "{told}");
    holds_digests_only_and_every_key_ends(&redis).await;
    serves_a_user_of_its_own(&Redis::with(Options::valkey)).await;
    serves_as_a_cluster(&Redis::with(|options| in_a_cluster(options.valkey()))).await;
}

#[tokio::test]
async fn valkey_that_crashes_is_bridged_and_told_what_it_lacks() {
    if valkey().is_none() {
        eprintln!("skipped: there is no Valkey for this machine, see tests/run");
        return;
    }
    let mut redis = Redis::with(Options::valkey);
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    let mut passed = admitted(&houses, SUPPORT, 8).await;
    redis.kill();
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        last_mode(house, "local").await;
    }
    redis.restart();
    for house in &houses {
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 20);
}

fn in_a_cluster(options: Options) -> Options {
    options.password("right").cluster()
}

async fn holds_digests_only_and_every_key_ends(redis: &Redis) {
    let houses = pair(redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    let answer = agent.search("Giulia");
    answer.await.content();
    let keys = redis.keys();
    assert!(keys.len() >= 5, "{keys:?}");
    for key in &keys {
        let ours = ["zm:{rl}:", "zm:{zoho}:", "zm:idem:{k}:"];
        assert!(ours.iter().any(|room| key.starts_with(room)), "{key}");
        assert!(!key.contains(SUPPORT), "{key}");
        let rest: i64 = redis.ask(&["PTTL", key]);
        assert_ne!(rest, -1, "{key} never ends");
    }
}

fn trust(setup: &mut Setup, redis: &Redis) {
    if redis.url().starts_with("rediss://") {
        setup.set("redis.ca", &redis.ca());
    }
}

async fn serves_a_user_of_its_own(redis: &Redis) -> House {
    redis.allow("s3cret", &[]);
    let house = House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        trust(setup, redis);
        setup.set("redis.username", "zoho");
        setup
            .set("redis.password", "env:REDIS_SECRET")
            .variable("REDIS_SECRET", "s3cret");
        setup.set("limits.client", "{ requests = 3, per = \"1h\" }");
    })
    .await;
    mode(&house, "shared").await;
    let agent = house.agent(SUPPORT);
    agent.search("Giulia").await.content();
    assert_eq!(admitted(std::slice::from_ref(&house), SUPPORT, 9).await, 2);
    assert!(!house.operational_log().contains("s3cret"));
    house
}

async fn serves_as_a_cluster(redis: &Redis) {
    redis.allow("s3cret", &["+cluster|slots", "+ping"]);
    let houses = pair(redis, |setup| {
        trust(setup, redis);
        setup.set("redis.kind", "cluster");
        setup.set("redis.username", "zoho");
        setup
            .set("redis.password", "env:REDIS_SECRET")
            .variable("REDIS_SECRET", "s3cret");
        setup.set("limits.client", "{ requests = 10, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    assert_eq!(admitted(&houses, SUPPORT, 30).await, 10);
}

#[tokio::test]
async fn a_primary_behind_sentinels_serves_as_well() {
    let primary = Redis::with(|options| options.password("right"));
    let sentinel = Redis::with(|options| options.sentinel_of(&primary).password("other"));
    let houses = pair(&sentinel, |setup| {
        setup
            .set("redis.kind", "sentinel")
            .set("redis.master", "primary");
        setup
            .set("redis.password", "env:REDIS_SECRET")
            .variable("REDIS_SECRET", "right");
        setup
            .set("redis.sentinel_password", "env:SENTINEL_SECRET")
            .variable("SENTINEL_SECRET", "other");
        setup.set("limits.client", "{ requests = 10, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    assert_eq!(admitted(&houses, SUPPORT, 30).await, 10);
    assert!(
        primary
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
    assert_eq!(
        (busy.status.as_u16(), busy.header("retry-after")),
        (429, "1")
    );
    let again = house.agent(SUPPORT);
    // On a slow machine a moment may have passed before the next.
    let mut is_remembered = false;
    for _ in 0..20 {
        let asked = redis.ran("evalsha");
        for _ in 0..4 {
            let busy = again.call("search_contacts", search.clone()).await;
            assert_eq!(busy.status, 429);
        }
        is_remembered |= redis.ran("evalsha") - asked < 4;
    }
    assert!(is_remembered, "each refusal costs Redis something");
    let told = house.event("rate_limit_exceeded").await;
    assert_eq!(told["policy"], "in_flight, 2");
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
        if answer.status == 200 {
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
        agent.search("Giulia").await.content();
    }
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
