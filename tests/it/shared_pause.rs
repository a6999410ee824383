//! Zoho says that the organisation's credits of 24 hours are spent: no instance asks again.

use serde_json::{Value, json};

use crate::{
    agent::Answer,
    house::{House, SUPPORT, Setup, eventually},
    pair::{health, pair},
    redis::Redis,
};

#[tokio::test]
async fn what_zoho_refuses_to_one_instance_none_asks_for_again() {
    let redis = Redis::start();
    let [one, other] = pair(&redis, usable).await;
    for house in [&one, &other] {
        assert_eq!(search(house).await.status, 200);
    }
    refuse(&one).await;
    let asked = one.zoho.seen("GET", SEARCH).await;
    let late = one.replica(|_| ()).await;
    for house in [&other, &late, &one] {
        let told = health_of(house, "credits_spent").await;
        let detail = told["checks"]["zoho_api"]["detail"].as_str().unwrap();
        assert!(detail.contains("until 2"), "{detail}");
        let error = search(house).await.json()["error"].clone();
        assert_eq!(error["data"]["violatedPolicies"], json!(["zoho-credits"]));
        let after = error["data"]["retryAfterSeconds"].as_u64().unwrap();
        assert!((3_500..=3_600).contains(&after), "{after}");
        let agent = house.agent(SUPPORT);
        let usage = agent.call("get_credit_usage", json!({})).await;
        assert!(usage.told().contains("be back in 3"), "{}", usage.told());
        let usage = usage.content();
        assert_eq!(
            (&usage["remaining"], &usage["clientRemaining"]),
            (&json!(0), &json!(0))
        );
        assert!(usage["creditsReturnAfterSeconds"].as_u64().unwrap() > 3_500);
    }
    assert_eq!(one.zoho.seen("GET", SEARCH).await, asked);
    // A minute has passed: the one that asks then finds out for all.
    due(&redis, "pa");
    assert_eq!(search(&late).await.status, 200);
    for house in [&one, &other, &late] {
        assert_eq!(search(house).await.status, 200);
        health_of(house, "ok").await;
    }
}

#[tokio::test]
async fn one_of_all_instances_asks_once_a_minute_until_the_time_has_come() {
    let redis = Redis::start();
    let houses = pair(&redis, usable).await;
    refuse(&houses[0]).await;
    let asked = houses[0].zoho.seen("GET", SEARCH).await;
    houses[0].zoho.fault(spent()).await;
    due(&redis, "pa");
    for house in houses.iter().cycle().take(6) {
        assert_eq!(search(house).await.status, 429);
    }
    assert_eq!(houses[0].zoho.seen("GET", SEARCH).await, asked + 1);
    due(&redis, "pb");
    for house in &houses {
        assert_eq!(search(house).await.status, 200);
    }
}

#[tokio::test]
async fn a_redis_that_lost_everything_is_told_that_credits_are_spent() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, usable).await;
    refuse(&one).await;
    let asked = one.zoho.seen("GET", SEARCH).await;
    assert_eq!(search(&other).await.status, 429);
    // Who remembers it need not be the one that was told.
    one.crash();
    let _: String = redis.ask(&["FLUSHALL"]);
    assert_eq!(search(&other).await.status, 429);
    let late = one.replica(|_| ()).await;
    assert_eq!(search(&late).await.status, 429);
    assert_eq!(other.zoho.seen("GET", SEARCH).await, asked);
}

#[tokio::test]
async fn without_redis_each_instance_finds_out_by_itself() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        usable(setup);
        setup.set("redis.timeout", "50ms");
    })
    .await;
    redis.kill();
    for house in &houses {
        refuse(house).await;
        let asked = house.zoho.seen("GET", SEARCH).await;
        assert_eq!(search(house).await.status, 429);
        assert_eq!(house.zoho.seen("GET", SEARCH).await, asked);
    }
    // What they found out is known to those that start when Redis is back.
    redis.restart();
    let known = || {
        let back: Option<u64> = redis.ask(&["HGET", LEDGER, "pb"]);
        back.filter(|back| *back > 0)
    };
    eventually("the pause in Redis", known).await;
    let late = houses[0].replica(|_| ()).await;
    assert_eq!(search(&late).await.status, 429);
}

#[tokio::test]
async fn a_pause_that_is_nonsense_is_none_and_no_pause_is_longer_than_a_day() {
    let redis = Redis::start();
    let houses = pair(&redis, usable).await;
    let write = |field: &str, value: &str| {
        let _: u64 = redis.ask(&["HSET", LEDGER, field, value]);
    };
    for field in ["pb", "pa", "ps"] {
        write(field, "soon");
    }
    for house in &houses {
        assert_eq!(search(house).await.status, 200);
    }
    for field in ["pb", "pa", "ps"] {
        write(field, "9999999999999999");
    }
    let error = search(&houses[0]).await.json()["error"].clone();
    let after = error["data"]["retryAfterSeconds"].as_u64().unwrap();
    assert!((86_000..=86_400).contains(&after), "{error}");
    due(&redis, "pa");
    assert_eq!(search(&houses[1]).await.status, 200);
    for house in &houses {
        assert_eq!(search(house).await.status, 200);
    }
}

fn usable(setup: &mut Setup) {
    setup.set(
        "roles.customer-service.tools",
        r#"["search_contacts", "get_credit_usage"]"#,
    );
}

/// Has Zoho say to an instance that credits are spent.
async fn refuse(house: &House) {
    house.zoho.fault(spent()).await;
    let told = search(house).await;
    assert_eq!(told.status, 429, "{}", told.text);
}

fn spent() -> Value {
    let body = json!({ "code": "TOO_MANY_REQUESTS", "status": "error", "details": {},
        "message": "Number of API requests for the 24 hour period is exceeded" });
    json!({ "fault": "status", "status": 429, "path": SEARCH, "times": 1, "body": body })
}

/// The time in that field of the ledger has passed.
fn due(redis: &Redis, field: &str) {
    let _: u64 = redis.ask(&["HSET", LEDGER, field, "1"]);
}

async fn health_of(house: &House, status: &str) -> Value {
    for _ in 0..300 {
        let told = health(house).await;
        if told["checks"]["zoho_api"]["status"] == status {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("/health never said {status}");
}

async fn search(house: &House) -> Answer {
    house.agent(SUPPORT).search("Popper").await
}

const SEARCH: &str = "/crm/v8/Contacts/search";
const LEDGER: &str = "zm:{zoho}:credits:org";
