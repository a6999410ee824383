//! The accounts server was away, and who is here now has not met that: how soon there is a token again.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::{
    house::House,
    pair::{health, pair, sharing},
    redis::Redis,
    shared_token::{ask, minted, search},
};

#[tokio::test]
async fn who_starts_after_an_outage_does_not_wait_for_what_others_have_left_in_redis() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, sharing).await;
    away(&one, "/oauth").await;
    let state = hold_all_back(&redis, &one).await;
    one.crash();
    one.zoho.mend().await;
    let began = Instant::now();
    while !search(&other).await {
        assert!(began.elapsed() < SOON, "nobody is served");
        sleep(LOOK_AGAIN).await;
    }
    let third = one.replica(|_| ()).await;
    assert!(search(&third).await);
    assert_eq!(minted(&one.zoho).await, 1);
    assert!(!redis.keys().contains(&state));
}

#[tokio::test]
async fn who_sees_zoho_back_lets_all_ask_again_although_it_was_not_called() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, sharing).await;
    for path in ["/oauth", "/crm"] {
        away(&one, path).await;
    }
    let state = hold_all_back(&redis, &one).await;
    one.crash();
    let began = Instant::now();
    while health(&other).await["checks"]["zoho_api"]["status"] != "down" {
        assert!(began.elapsed() < SOON, "nobody looks");
        sleep(LOOK_AGAIN).await;
    }
    one.zoho.mend().await;
    while redis.ask::<String>(&["HGET", &state, "s"]) != "0" {
        assert!(began.elapsed() < SOON, "nobody lets it go");
        sleep(LOOK_AGAIN).await;
    }
    assert_eq!(redis.ask::<u64>(&["HGET", &state, "b"]), 1);
    assert!(redis.ask::<u64>(&["HGET", &state, "n"]) > 0);
}

#[tokio::test]
async fn who_is_back_before_there_are_tokens_is_asked_again_soon() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, sharing).await;
    away(&one, "/oauth").await;
    hold_all_back(&redis, &one).await;
    one.crash();
    one.zoho.mend().await;
    let fault =
        json!({ "fault": "status", "status": 503, "path": "/oauth", "method": "POST", "times": 2 });
    one.zoho.fault(fault).await;
    let began = Instant::now();
    while !search(&other).await {
        assert!(began.elapsed() < SOON, "nobody is served");
        sleep(LOOK_AGAIN).await;
    }
    assert_eq!(minted(&one.zoho).await, 1);
}

#[tokio::test]
async fn a_server_that_comes_and_goes_lets_all_ask_again_less_and_less_often() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, sharing).await;
    away(&one, "/oauth").await;
    let state = hold_all_back(&redis, &one).await;
    let until = |until: &str| {
        let _: i64 = redis.ask(&["HSET", &state, "n", until]);
    };
    until("99999999999999");
    one.crash();
    one.zoho.mend().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        assert!(!search(&other).await);
        sleep(LOOK_AGAIN).await;
    }
    until("0");
    let third = one.replica(|_| ()).await;
    while !search(&third).await {
        assert!(began.elapsed() < SOON, "nobody is served");
        sleep(LOOK_AGAIN).await;
    }
    assert_eq!(minted(&one.zoho).await, 1);
}

async fn away(house: &House, path: &str) {
    let fault = json!({ "fault": "status", "status": 503, "path": path });
    house.zoho.fault(fault).await;
}

/// Has an instance fail to get a token until all are told to wait, for longer than the test takes;
/// where that stands in Redis.
async fn hold_all_back(redis: &Redis, house: &House) -> String {
    while house.zoho.seen("POST", "/oauth").await < 3 {
        ask(house).await.failure();
    }
    let held = |key: &String| {
        let held: Option<String> = match key.contains(":mint:") {
            true => redis.ask(&["HGET", key, "s"]),
            false => None,
        };
        held.is_some()
    };
    let state = redis.keys().into_iter().find(held).unwrap();
    let _: i64 = redis.ask(&["HINCRBY", &state, "s", "600000"]);
    let _: i64 = redis.ask(&["PERSIST", &state]);
    state
}

const SOON: Duration = Duration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
