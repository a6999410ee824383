//! Zoho's API refuses all access tokens for a while: how the instances come out of that, together.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::{
    house::{House, SUPPORT, Setup},
    pair::{health, pair, sharing},
    redis::Redis,
    shared_token::{ask, lose_the_token, minted, search},
    tools::everything_allowed,
};

#[tokio::test]
async fn a_good_token_that_was_refused_for_a_while_serves_again_although_none_is_left_to_mint() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    while minted(zoho).await < 10 {
        lose_the_token(&houses[0]).await;
    }
    for house in &houses {
        assert!(search(house).await);
    }
    refuse_all_tokens(&houses[0]).await;
    for house in &houses {
        let said = ask(house).await.failure();
        assert!(said.contains("too many access tokens"), "{said}");
    }
    zoho.mend().await;
    for house in &houses {
        served_again(house).await;
        assert_eq!(health(house).await["checks"]["zoho_api"]["status"], "ok");
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, 10);
}

#[tokio::test]
async fn that_a_new_token_is_not_taken_is_found_out_by_one_for_all() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    refuse_all_tokens(&houses[0]).await;
    let said = ask(&houses[0]).await.failure();
    assert!(said.contains("does not accept its access token"), "{said}");
    let state = hold_back(&redis);
    let why: String = redis.ask(&["HGET", &state, "w"]);
    assert_eq!(why, "unaccepted");
    let said = ask(&houses[1]).await.failure();
    assert!(said.contains("does not accept its access token"), "{said}");
    assert_eq!(minted(zoho).await, 2);
    assert_eq!(
        health(&houses[1]).await["checks"]["zoho_api"]["status"],
        "token_refused"
    );
    zoho.mend().await;
    served_again(&houses[1]).await;
    assert_eq!(minted(zoho).await, 2, "the last one was good");
}

#[tokio::test]
async fn a_refused_kind_of_request_does_not_decide_about_a_token_that_is_tried_again() {
    let redis = Redis::start();
    let share = |setup: &mut Setup| {
        sharing(setup);
        everything_allowed(setup);
    };
    let houses = pair(&redis, share).await;
    let house = &houses[0];
    refuse_all_tokens(house).await;
    ask(house).await.failure();
    hold_back(&redis);
    served_beside_a_refused_kind(house).await;
    assert_eq!(minted(&house.zoho).await, 2, "the last one was good");
}

#[tokio::test]
async fn a_refused_kind_of_request_does_not_decide_about_the_next_token() {
    let house = House::with(everything_allowed).await;
    refuse_all_tokens(&house).await;
    ask(&house).await.failure();
    served_beside_a_refused_kind(&house).await;
    assert_eq!(minted(&house.zoho).await, 3);
}

/// Has no other token minted for longer than the test takes; where that stands in Redis.
fn hold_back(redis: &Redis) -> String {
    let state = redis.keys().into_iter().find(|key| key.contains(":mint:"));
    let state = state.unwrap();
    let _: i64 = redis.ask(&["HINCRBY", &state, "s", "600000"]);
    let _: i64 = redis.ask(&["PERSIST", &state]);
    state
}

/// Zoho takes no token from now on, and takes none back.
async fn refuse_all_tokens(house: &House) {
    refuse_tokens(house, "/crm").await;
}

async fn refuse_tokens(house: &House, path: &str) {
    let body = json!({ "code": "INVALID_TOKEN", "message": "invalid oauth token" });
    let fault = json!({ "fault": "status", "status": 401, "path": path, "body": body });
    house.zoho.fault(fault).await;
}

/// Zoho takes tokens again, but for one kind of request, which comes first.
async fn served_beside_a_refused_kind(house: &House) {
    let kind = "/crm/v8/Accounts";
    house.zoho.mend().await;
    refuse_tokens(house, kind).await;
    let (began, agent) = (Instant::now(), house.agent(SUPPORT));
    while house.zoho.seen("GET", kind).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "none is tried");
        sleep(Duration::from_millis(200)).await;
        let refused = json!({ "name": "Zylker" });
        agent.call("search_accounts", refused).await.failure();
    }
    assert!(search(house).await, "it locks all others out");
}

async fn served_again(house: &House) {
    let began = Instant::now();
    while !search(house).await {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "nobody is served"
        );
        sleep(Duration::from_millis(200)).await;
    }
}
