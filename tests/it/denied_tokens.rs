//! Zoho says to one instance that too many access tokens were asked for: the others hear of it.

use serde_json::json;

use crate::{
    crm::Zoho,
    house::{House, REP, Setup, eventually},
    pair::{pair, sharing},
    redis::Redis,
    refused_tokens::{never_ends, refuse_all_tokens, served_again},
    shared_token::{ask, deny, is_applied, revoke, search},
    visibility::works_for,
};

#[tokio::test]
async fn what_one_was_told_without_redis_holds_all_back_whatever_was_in_the_way_before() {
    // It is long over, or a shorter denial.
    let soon = (jiff::Timestamp::now().as_millisecond() + 100_000).to_string();
    for (before, end) in [
        ("503", "1"),
        ("unaccepted", "1"),
        ("throttled", "1"),
        ("throttled", &soon),
    ] {
        let mut redis = Redis::start();
        let houses = pair(&redis, sharing).await;
        for house in &houses {
            assert!(search(house).await);
        }
        // No token was minted since.
        let slots = redis.keys().into_iter().find(|key| key.contains(":slots:"));
        let state = slots.unwrap().replace(":slots:", ":mint:");
        let _: u64 = redis.ask(&["HSET", &state, "o", "", "l", "0", "w", before, "s", end]);
        let _: String = redis.ask(&["SAVE"]);
        redis.kill();
        let zoho = &houses[0].zoho;
        deny(zoho).await;
        revoke(zoho).await;
        is_held_back(&houses[0]).await;
        let asked = zoho.seen("POST", "/oauth").await;
        redis.restart();
        let told = || {
            let state: (String, String) = redis.ask(&["HMGET", &state, "w", "s"]);
            (state.0 == "throttled" && state.1 != end).then_some(())
        };
        eventually("the others to be told", told).await;
        for house in &houses {
            is_held_back(house).await;
        }
        assert_eq!(zoho.seen("POST", "/oauth").await, asked, "{before}");
    }
}

#[tokio::test]
async fn a_good_token_that_was_refused_for_a_while_serves_again_although_another_instance_was_denied()
 {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    refuse_all_tokens(&houses[0]).await;
    for house in &houses {
        ask(house).await.failure();
    }
    let before = zoho.seen("POST", "/oauth").await;
    let state = never_ends(&redis);
    let _: u64 = redis.ask(&["HSET", &state, "w", "throttled"]);
    zoho.mend().await;
    for house in &houses {
        served_again(house).await;
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, before);
}

#[tokio::test]
async fn a_denial_outlives_the_token_of_another_instance() {
    let mut redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let [denied, other] = &houses;
    let zoho = &denied.zoho;
    assert!(search(denied).await);
    revoke(zoho).await;
    assert!(search(other).await);
    let _: String = redis.ask(&["SAVE"]);
    redis.kill();
    deny(zoho).await;
    is_held_back(denied).await;
    redis.restart();
    served_again(denied).await;
    redis.kill();
    let asked = zoho.seen("POST", "/oauth").await;
    revoke(zoho).await;
    is_held_back(denied).await;
    assert_eq!(zoho.seen("POST", "/oauth").await, asked);
}

#[tokio::test]
async fn that_a_person_was_denied_is_told_to_the_others_without_another_call() {
    let mut redis = Redis::start();
    let [house, _other] = pair_for_a_person(&redis).await;
    assert!(search(&house).await);
    let state = format!("zm:{{zoho}}:token:mint:{}", the_person(&redis));
    let _: String = redis.ask(&["SAVE"]);
    redis.kill();
    deny(&house.zoho).await;
    revoke(&house.zoho).await;
    is_held_back(&house).await;
    redis.restart();
    let told = || {
        let why: Option<String> = redis.ask(&["HGET", &state, "w"]);
        why.filter(|why| why == "throttled")
    };
    eventually("the others to be told", told).await;
}

#[tokio::test]
async fn credentials_that_are_put_back_in_a_denial_are_not_shown() {
    let house = House::start().await;
    let zoho = &house.zoho;
    deny(zoho).await;
    is_held_back(&house).await;
    let own = zoho.daemon_credentials.clone();
    let mut others = own.clone();
    others["refresh_token"] = zoho.refresh_tokens["rep-1"].clone();
    for (times, credentials) in (1..).zip([&others, &own, &others, &own]) {
        house.replace("zoho.json", &credentials.to_string());
        let taken =
            || (house.audit().iter().filter(|it| is_applied(it)).count() >= times).then_some(());
        eventually("the credentials to be taken", taken).await;
        is_held_back(&house).await;
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, 2, "once with each");
}

#[tokio::test]
async fn who_has_not_asked_hears_of_a_denial_too_and_keeps_to_it_when_redis_goes() {
    let mut redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let [denied, serves] = &houses;
    let never_called = denied.replica(|_| ()).await;
    let zoho = &denied.zoho;
    assert!(search(denied).await && search(serves).await);
    deny(zoho).await;
    revoke(zoho).await;
    is_held_back(denied).await;
    let asked = zoho.seen("POST", "/oauth").await;
    for house in [serves, &never_called] {
        hears_of_a_denial(house).await;
    }
    redis.kill();
    for house in [serves, &never_called] {
        is_held_back(house).await;
        assert_eq!(denials_said(house), 1);
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, asked);
}

#[tokio::test]
async fn who_has_not_asked_hears_of_the_denial_of_a_person_too() {
    let mut redis = Redis::start();
    let [denied, serves] = pair_for_a_person(&redis).await;
    let zoho = &denied.zoho;
    assert!(search(&denied).await && search(&serves).await);
    let name = the_person(&redis);
    deny(zoho).await;
    revoke(zoho).await;
    is_held_back(&denied).await;
    let asked = zoho.seen("POST", "/oauth").await;
    let known: Vec<String> = redis.ask(&["ZRANGEBYSCORE", DENIED, "-inf", "+inf"]);
    assert_eq!(known, [name]);
    hears_of_a_denial(&serves).await;
    redis.kill();
    is_held_back(&serves).await;
    assert_eq!(zoho.seen("POST", "/oauth").await, asked);
}

#[tokio::test]
async fn a_denial_that_redis_has_lost_is_told_again_by_those_who_only_heard_of_it() {
    let redis = Redis::start();
    let [mut denied, other] = pair(&redis, sharing).await;
    deny(&denied.zoho).await;
    is_held_back(&denied).await;
    hears_of_a_denial(&other).await;
    denied.crash();
    let _: String = redis.ask(&["FLUSHALL"]);
    let told = || (redis.ask::<u64>(&["ZCARD", DENIED]) == 1).then_some(());
    eventually("the denial to be told again", told).await;
    let left: i64 = redis.ask(&["PTTL", DENIED]);
    assert!((1..=1_800_000).contains(&left), "{left}");
    let third = other.replica(|_| ()).await;
    is_held_back(&third).await;
    assert_eq!(other.zoho.seen("POST", "/oauth").await, 1);
}

#[tokio::test]
async fn a_denial_is_over_within_fifteen_minutes_although_the_clock_of_redis_was_set_back() {
    let redis = Redis::start();
    let [denied, other] = pair(&redis, sharing).await;
    deny(&denied.zoho).await;
    is_held_back(&denied).await;
    let state = redis.keys().into_iter().find(|key| key.contains(":mint:"));
    let state = state.unwrap();
    let name = state.rsplit(':').next().unwrap();
    let _: i64 = redis.ask(&["HINCRBY", &state, "s", "7200000"]);
    let _: u64 = redis.ask(&["ZADD", DENIED, "99999999999999", name]);
    is_held_back(&other).await;
    let is_near = |end: f64| end <= jiff::Timestamp::now().as_millisecond() as f64 + 900_000.0;
    assert!(is_near(redis.ask(&["HGET", &state, "s"])));
    let is_soon = || is_near(redis.ask(&["ZSCORE", DENIED, name])).then_some(());
    eventually("the end to be near", is_soon).await;
}

#[tokio::test]
async fn a_denial_of_credentials_that_were_taken_out_meanwhile_is_told_to_who_has_them() {
    let mut redis = Redis::start();
    let [denied, _other] = pair(&redis, sharing).await;
    let zoho = &denied.zoho;
    redis.kill();
    deny(zoho).await;
    is_held_back(&denied).await;
    let own = zoho.daemon_credentials.to_string();
    let mut others = zoho.daemon_credentials.clone();
    others["refresh_token"] = zoho.refresh_tokens["rep-1"].clone();
    denied.replace("zoho.json", &others.to_string());
    denied.recorded("other credentials", is_applied).await;
    redis.restart();
    let told = || (redis.ask::<u64>(&["ZCARD", DENIED]) == 1).then_some(());
    eventually("the denial to be told", told).await;
    denied.replace("zoho.json", &own);
    let third = denied.replica(|_| ()).await;
    is_held_back(&third).await;
    assert_eq!(zoho.seen("POST", "/oauth").await, 1);
}

#[tokio::test]
async fn what_redis_lost_of_attempts_for_a_person_is_told_again() {
    let redis = Redis::start();
    let [house, _other] = pair_for_a_person(&redis).await;
    assert!(search(&house).await);
    let slots = format!("zm:{{zoho}}:token:slots:{}", the_person(&redis));
    let kept = || redis.ask::<Option<String>>(&["GET", &slots]);
    let attempt = |table: &str| {
        table
            .split("\"used\":[\"")
            .nth(1)
            .map(|it| it[..36].to_owned())
    };
    let before = attempt(&kept().unwrap()).unwrap();
    let _: String = redis.ask(&["FLUSHALL"]);
    let told = || attempt(&kept()?).filter(|again| *again == before);
    eventually("the attempt to be told again", told).await;
}

#[tokio::test]
async fn an_operator_who_lets_refused_credentials_be_tried_again_ends_no_denial() {
    let mut redis = Redis::start();
    let [refused, denied] = pair(&redis, sharing).await;
    let zoho = &refused.zoho;
    redis.kill();
    refuse_once(zoho).await;
    ask(&refused).await.failure();
    deny(zoho).await;
    is_held_back(&denied).await;
    redis.restart();
    let told = || (redis.ask::<u64>(&["ZCARD", DENIED]) == 1).then_some(());
    eventually("the denial to be told", told).await;
    refused.signal("-HUP");
    let is_taken = |line: &serde_json::Value| line["event"] == "config_reload";
    refused.recorded("the signal", is_taken).await;
    for house in [&refused, &denied] {
        is_held_back(house).await;
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, 2);
}

#[tokio::test]
async fn a_person_whose_credentials_were_refused_is_tried_again_when_an_operator_says_so() {
    let redis = Redis::start();
    let [house, _other] = pair_for_a_person(&redis).await;
    refuse_once(&house.zoho).await;
    for _ in 0..2 {
        ask(&house).await.failure();
    }
    assert_eq!(house.zoho.seen("POST", "/oauth").await, 1);
    let told = house.operational_log();
    assert!(
        told.contains("zoho refuses a person's credentials"),
        "{told}"
    );
    house.signal("-HUP");
    served_again(&house).await;
}

#[tokio::test]
async fn an_instance_with_another_key_counts_with_the_others() {
    let redis = Redis::start();
    let [first, _same] = pair(&redis, sharing).await;
    let another_key = |setup: &mut Setup| {
        setup.variable("TOKEN_KEY", &"fedcba9876543210".repeat(4));
    };
    let other = first.replica(another_key).await;
    let zoho = &first.zoho;
    let mints = || zoho.seen("POST", "/oauth");
    for house in [&first, &other].into_iter().cycle().take(24) {
        ask(house).await;
        revoke(zoho).await;
    }
    assert!((4..=10).contains(&mints().await), "{}", mints().await);
    let told = other.operational_log();
    assert!(told.contains("another [zoho] token_key"), "{told}");
}

#[tokio::test]
async fn a_wrong_client_secret_that_was_refused_does_not_hold_back_the_right_one() {
    let redis = Redis::start();
    let [house, other] = pair(&redis, sharing).await;
    let good = house.zoho.daemon_credentials.clone();
    let mut bad = good.clone();
    bad["client_secret"] = json!("wrong");
    house.replace("zoho.json", &bad.to_string());
    house.signal("-HUP");
    house.recorded("other credentials", is_applied).await;
    assert!(!search(&house).await);
    house.replace("zoho.json", &good.to_string());
    house.signal("-HUP");
    served_again(&house).await;
    assert!(search(&other).await);
}

#[tokio::test]
async fn whatever_lies_where_denials_are_kept_they_are_heard() {
    let not_text = format!("return redis.call('ZADD', '{DENIED}', 9e15, string.char(255))");
    let garbage = vec!["SET", DENIED, "garbage"];
    for poison in [garbage, vec!["EVAL", &not_text, "0"]] {
        let redis = Redis::start();
        let [denied, other] = pair(&redis, sharing).await;
        let _: ::redis::Value = redis.ask(&poison);
        deny(&denied.zoho).await;
        is_held_back(&denied).await;
        hears_of_a_denial(&other).await;
    }
}

/// Two instances at which an agent works for a person with a credential of their own.
async fn pair_for_a_person(redis: &Redis) -> [House; 2] {
    pair(redis, |setup| {
        sharing(setup);
        works_for(setup, REP, "user_token");
    })
    .await
}

/// Zoho says the next time that the credentials are wrong.
async fn refuse_once(zoho: &Zoho) {
    let body = json!({ "error": "invalid_code" });
    let fault = json!({
        "fault": "status", "path": "/oauth", "status": 400, "body": body, "times": 1,
    });
    zoho.fault(fault).await;
}

async fn is_held_back(house: &House) {
    let said = ask(house).await.failure();
    assert!(said.contains("too many access tokens"), "{said}");
}

/// The name of the only person, as Redis has it.
fn the_person(redis: &Redis) -> String {
    let keys = redis.keys();
    let slots = keys.iter().filter_map(|key| key.split_once(":slots:"));
    let is_persons = |name: &&str| keys.contains(&format!("zm:{{zoho}}:token:{name}"));
    let name = slots.map(|(_, name)| name).find(is_persons);
    name.unwrap().to_owned()
}

async fn hears_of_a_denial(house: &House) {
    let said = || (denials_said(house) > 0).then_some(());
    eventually("the denial to be heard of", said).await;
}

fn denials_said(house: &House) -> usize {
    let log = house.operational_log();
    log.matches("no access token from zoho").count()
}

const DENIED: &str = "zm:{zoho}:token:denied";
