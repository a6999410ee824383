//! What Zoho itself says that remains of the organisation's credits, and what it no longer says.

use serde_json::json;

use crate::{
    house::{House, SUPPORT, eventually},
    pair::{health, pair},
    redis::Redis,
    shared_budget::{LEDGER, all_for_everybody, crowds, requests, search, spent},
};

/// Two houses that read until Zoho said that no more remains than is kept for writes.
async fn told_of_what_remains() -> (Redis, [House; 2]) {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
        all_for_everybody(setup);
        setup.set("zoho.daily_credits", "200");
        setup.set("zoho.write_reserve", "0.1");
    })
    .await;
    let zoho = &houses[0].zoho;
    zoho.set(json!({ "daily_credits": 50 })).await;
    for n in 0..40 {
        search(&houses[n % 2], SUPPORT).await;
    }
    (redis, houses)
}

#[tokio::test]
async fn what_zoho_says_remains_counts() {
    let (_redis, houses) = told_of_what_remains().await;
    // Somebody else may have spent the rest: 20 of what remains are kept for writes. What one instance
    // heard last, the other hears with its next request.
    let used = spent(&houses[0]).await;
    assert!((30..=31).contains(&used), "{used}");
    assert_eq!(requests(&houses[0]).await["refused"], 0);
    for house in &houses {
        let told = search(house, SUPPORT).await;
        assert_eq!(told.status, 429);
        assert!(told.text.contains("is kept for writes"), "{}", told.text);
        let line = house.event("rate_limit_exceeded").await;
        assert_eq!(line["reason"], "reserve", "{line}");
    }
    // Whoever heard how little remains says once that the daemon may spend more than there is.
    let warned: Vec<usize> = houses
        .iter()
        .map(|house| {
            house
                .operational_log()
                .matches("far fewer credits remain")
                .count()
        })
        .collect();
    assert!(warned.contains(&1) && warned.iter().all(|times| *times <= 1));
}

#[tokio::test]
async fn zoho_saying_nothing_any_more_of_what_remains_lets_everybody_read_again() {
    let (redis, houses) = told_of_what_remains().await;
    assert_eq!(search(&houses[1], SUPPORT).await.status, 429);
    houses[0]
        .zoho
        .set(json!({ "daily_credits": 100_000 }))
        .await;
    assert_eq!(search(&houses[1], SUPPORT).await.status, 429);
    // A minute later one may ask.
    let [seconds, _]: [u64; 2] = redis.ask(&["TIME"]);
    let minute_ago = ((seconds - 61) * 1000).to_string();
    let _: u64 = redis.ask(&["HSET", LEDGER, "la", &minute_ago, "lt", "0"]);
    assert_eq!(search(&houses[0], SUPPORT).await.status, 200);
    let told = || (redis.ask::<u64>(&["HGET", LEDGER, "la"]) == 0).then_some(());
    eventually("the others to be told", told).await;
    for house in &houses {
        for _ in 0..2 {
            let answer = search(house, SUPPORT).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let told = health(house).await;
        assert_eq!(told["checks"]["zoho_api"]["status"], "ok", "{told}");
    }
}
