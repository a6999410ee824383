//! Metrics that CloudWatch finds in the operational log.

use serde_json::{Value, json};

use crate::house::{House, SUPPORT, eventually};

#[tokio::test]
async fn cloudwatch_finds_metrics_in_the_log() {
    let mut house = House::with(|setup| {
        setup.set("metrics.emf", "true");
        setup.set("metrics.namespace", "Ours");
    })
    .await;
    let agent = house.agent(SUPPORT);
    for _ in 0..3 {
        agent.search("Giulia").await.content();
    }
    agent
        .call("get_contact_history", json!({ "contact_id": "1" }))
        .await
        .failure();
    house.signal("-TERM");
    assert!(house.ended().await.success());
    let lines = || {
        let log = house.operational_log();
        let lines = log.lines().filter(|line| line.contains("\"_aws\""));
        let lines: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (lines.len() == 2).then_some(lines)
    };
    let lines = eventually("two lines", lines).await;
    let of = |tool: &str| lines.iter().find(|line| line["toolName"] == tool).unwrap();
    let searched = of("search_contacts");
    assert_eq!(
        (&searched["outcome"], &searched["Calls"]),
        (&json!("success"), &json!(3))
    );
    assert_eq!(searched["DurationMs"].as_array().unwrap().len(), 3);
    assert!(searched["Credits"].as_u64().unwrap() >= 3);
    let directive = &searched["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Ours");
    assert!(searched["_aws"]["Timestamp"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(of("get_contact_history")["outcome"], "error");
    assert!(!house.audit_text().join("").contains("_aws"));
}
