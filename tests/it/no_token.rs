//! Zoho's accounts server gives no token, while its API answers: what is told of that.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::{house::House, pair::health, shared_token::ask};

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
