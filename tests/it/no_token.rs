//! Zoho's accounts server gives no token, while its API answers: what is told of that.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::{
    house::{House, eventually},
    pair::{health, pair, sharing},
    redis::Redis,
    shared_token::ask,
};

#[tokio::test]
async fn an_accounts_server_that_gives_no_token_is_told_although_the_api_answers() {
    let house = House::start().await;
    let fault = json!({ "fault": "status", "method": "POST", "path": "/oauth", "status": 503 });
    house.zoho.fault(fault).await;
    while house.zoho.seen("POST", "/oauth").await < 3 {
        ask(&house).await.failure();
    }
    let began = Instant::now();
    // Until the API is seen to answer it is thought to be down.
    while health(&house).await["checks"]["zoho_api"]["status"] == "down" {
        assert!(began.elapsed() < Duration::from_secs(40), "nobody looks");
        sleep(Duration::from_millis(300)).await;
    }
    for _ in 0..5 {
        ask(&house).await.failure();
        let told = health(&house).await;
        let zoho = &told["checks"]["zoho_api"];
        assert_eq!(
            (&told["status"], &zoho["status"]),
            (&json!("degraded"), &json!("no_token"))
        );
        assert!(zoho["detail"].is_string(), "{zoho}");
    }
}

#[tokio::test]
async fn operators_who_have_refused_credentials_read_again_and_again_spend_one_more_attempt() {
    let redis = Redis::start();
    let [house, other] = pair(&redis, sharing).await;
    let body = json!({ "error": "invalid_code" });
    let refused = json!({ "fault": "status", "path": "/oauth", "status": 400, "body": body });
    house.zoho.fault(refused).await;
    for at in [&house, &other] {
        ask(at).await.failure();
    }
    let shown = || house.zoho.seen("POST", "/oauth");
    assert_eq!(shown().await, 1);
    house.signal("-HUP");
    let began = Instant::now();
    while shown().await < 2 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "never shown again"
        );
        ask(&house).await.failure();
    }
    ask(&other).await.failure();
    for at in [&house, &other, &house, &other] {
        let said = || at.operational_log().matches("is not asked again").count();
        let before = said();
        at.signal("-HUP");
        let is_left = || (said() > before).then_some(());
        eventually("the signal to change nothing", is_left).await;
        let told = ask(at).await.failure();
        assert!(told.contains("An operator"), "{told}");
        let zoho = &health(at).await["checks"]["zoho_api"];
        assert_eq!(zoho["status"], "credentials_refused");
    }
    assert_eq!(shown().await, 2);
}
