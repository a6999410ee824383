//! Zoho's API refuses all access tokens for a while: how the instances come out of that, together.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::{
    house::{House, SUPPORT, Setup, eventually},
    pair::{health, last_mode, pair, sharing},
    redis::Redis,
    shared_token::{ask, deny, lose_the_token, minted, revoke, search},
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
    never_ends(&redis);
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
async fn a_token_that_is_taken_after_all_is_replaced_at_once_when_zoho_takes_it_back() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    refuse_all_tokens(&houses[0]).await;
    ask(&houses[0]).await.failure();
    let state = never_ends(&redis);
    zoho.mend().await;
    served_again(&houses[0]).await;
    let is_over = || (redis.ask::<String>(&["HGET", &state, "w"]).is_empty()).then_some(());
    eventually("the others to be told", is_over).await;
    let before = minted(zoho).await;
    revoke(zoho).await;
    for house in &houses {
        assert!(search(house).await);
    }
    assert_eq!(minted(zoho).await, before + 1);
}

#[tokio::test]
async fn without_redis_tokens_that_are_not_taken_are_asked_for_less_and_less_often() {
    let mut redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    assert!(search(&houses[0]).await);
    redis.kill();
    refuse_all_tokens(&houses[0]).await;
    // At once, after 2 and after 8 seconds; next after 32.
    let began = Instant::now();
    while minted(zoho).await < 4 {
        assert!(began.elapsed() < Duration::from_secs(30), "none is minted");
        ask(&houses[0]).await.failure();
        sleep(Duration::from_millis(200)).await;
    }
    fails_for(&houses[0], 8).await;
    assert_eq!(minted(zoho).await, 4);
    // One that comes back without its data knows nothing of that.
    redis.restart();
    last_mode(&houses[0], "shared").await;
    fails_for(&houses[0], 6).await;
    assert_eq!(minted(zoho).await, 4);
    zoho.mend().await;
    served_again(&houses[0]).await;
    assert_eq!(minted(zoho).await, 4, "the last one was good");
}

#[tokio::test]
async fn without_redis_a_good_token_that_was_refused_for_a_while_serves_again_although_none_is_given()
 {
    let mut redis = Redis::start();
    let [was_shared, _other] = pair(&redis, sharing).await;
    let alone = House::start().await;
    for house in [&was_shared, &alone] {
        assert!(search(house).await);
    }
    redis.kill();
    for house in [&was_shared, &alone] {
        deny(&house.zoho).await;
        refuse_all_tokens(house).await;
        let said = ask(house).await.failure();
        assert!(said.contains("too many access tokens"), "{said}");
        let asked = house.zoho.seen("POST", "/oauth").await;
        house.zoho.mend().await;
        served_again(house).await;
        assert_eq!(house.zoho.seen("POST", "/oauth").await, asked);
    }
}

#[tokio::test]
async fn a_refused_token_that_redis_has_lost_holds_nobody_back() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let (house, zoho) = (&houses[0], &houses[0].zoho);
    refuse_all_tokens(house).await;
    // At once, after 2 and after 8 seconds; next after 32.
    let began = Instant::now();
    while minted(zoho).await < 4 {
        assert!(began.elapsed() < Duration::from_secs(30), "none is minted");
        ask(house).await.failure();
        sleep(Duration::from_millis(200)).await;
    }
    zoho.mend().await;
    revoke(zoho).await;
    let next = zoho.http.get(format!("{}/crm/v8/org", zoho.url)).send();
    next.await.unwrap();
    let _: String = redis.ask(&["FLUSHALL"]);
    let lost = Instant::now();
    served_again(house).await;
    assert!(lost.elapsed() < Duration::from_secs(16), "it is waited for");
    assert_eq!(minted(zoho).await, 5);
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
    never_ends(&redis);
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

/// That tokens are not taken lasts for longer than a test takes; where Redis has that.
pub(crate) fn never_ends(redis: &Redis) -> String {
    let state = redis.keys().into_iter().find(|key| key.contains(":mint:"));
    let state = state.unwrap();
    let why: String = redis.ask(&["HGET", &state, "w"]);
    assert_eq!(why, "unaccepted");
    let _: i64 = redis.ask(&["HINCRBY", &state, "s", "600000"]);
    let _: i64 = redis.ask(&["PERSIST", &state]);
    state
}

/// Zoho takes no token from now on, and takes none back.
pub(crate) async fn refuse_all_tokens(house: &House) {
    refuse_tokens(house, "/crm").await;
}

async fn refuse_tokens(house: &House, path: &str) {
    let body = json!({ "code": "INVALID_TOKEN", "message": "invalid oauth token" });
    let fault = json!({ "fault": "status", "status": 401, "path": path, "body": body });
    house.zoho.fault(fault).await;
}

async fn fails_for(house: &House, seconds: u64) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        ask(house).await.failure();
        sleep(Duration::from_millis(200)).await;
    }
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

pub(crate) async fn served_again(house: &House) {
    let began = Instant::now();
    while !search(house).await {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "nobody is served"
        );
        sleep(Duration::from_millis(200)).await;
    }
}
