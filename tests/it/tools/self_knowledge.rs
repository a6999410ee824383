//! `whoami` and `get_credit_usage`

use serde_json::json;

use super::open_house;
use crate::house::{House, SUPPORT};

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_what_it_may_do() {
    let house = House::with(|setup| {
        setup.set(
            "roles.customer-service.tools",
            r#"["whoami", "search_contacts", "create_note"]"#,
        );
    })
    .await;
    let agent = house.agent(SUPPORT);
    let me = agent.call("whoami", json!({})).await.content();
    assert_eq!(me["client"], SUPPORT);
    assert_eq!(me["role"], "customer-service");
    assert_eq!(
        (&me["provenBy"], &me["sees"]),
        (&json!("api_key"), &json!("org"))
    );
    assert_eq!(
        (&me["maxRecords"], &me["mayWrite"]),
        (&json!(10), &json!(true))
    );
    assert_eq!(me["tools"], json!(agent.tools().await));
    assert!(house.zoho.asked().await.is_empty(), "it costs nothing");
    let told = agent
        .call("whoami", json!({ "client": "other" }))
        .await
        .failure();
    assert!(told.contains("unknown argument"), "{told}");
}

#[tokio::test]
async fn credits_are_what_the_daemon_has_spent() {
    let (house, agent) = open_house().await;
    let usage = agent.call("get_credit_usage", json!({})).await.content();
    assert_eq!(
        (&usage["spent"], &usage["clientSpent"]),
        (&json!(0), &json!(0))
    );
    let daily = usage["dailyCredits"].as_u64().unwrap();
    assert_eq!(usage["remaining"], daily);
    agent.search("Ann").await.content();
    agent.call("list_deals", json!({})).await.content();
    let charged = house.zoho.asked().await.len();
    let usage = agent.call("get_credit_usage", json!({})).await.content();
    assert_eq!(usage["spent"], charged);
    assert_eq!(usage["clientSpent"], charged);
    assert_eq!(usage["remaining"], daily - charged as u64);
    assert_eq!(usage["complete"], true);
    assert!(usage["creditsReturnAfterSeconds"].as_u64().unwrap() > 80_000);
    assert_eq!(house.zoho.asked().await.len(), charged, "it costs nothing");
}
