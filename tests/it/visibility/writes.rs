//! What a caller who sees only their own may write, and whose it is then.

use serde_json::{Value, json};

use super::{WAYS, house_of, user};
use crate::house::REP;

#[tokio::test]
async fn what_a_caller_adds_is_theirs() {
    for way in WAYS {
        let (house, agent) = house_of(REP, way).await;
        let rep = user(&house, REP).await;
        let own = format!("Owner = '{rep}'");
        let contact = house.zoho.ids("Contacts", &own).await.remove(0);
        let call = json!({ "record_id": contact, "subject": "x", "direction": "Inbound",
            "start_time": "2026-01-05T10:00:00Z", "duration_minutes": 1 });
        for (tool, module, arguments) in [
            (
                "create_task",
                "Tasks",
                json!({ "record_id": contact, "subject": "x" }),
            ),
            ("log_call", "Calls", call),
            (
                "create_lead",
                "Leads",
                json!({ "last_name": "x", "company": "y" }),
            ),
        ] {
            let made = agent.call(tool, arguments.clone()).await.content();
            let id = made["recordId"].as_str().unwrap();
            let query = format!("select Owner from {module} where id = {id}");
            let written: Value = house.zoho.coql(&query).await.remove(0);
            assert_eq!(written["Owner"]["id"], rep, "{tool} by {way}");
            // So they find it again after a lost answer.
            let lost = json!({ "fault": "reset_after_commit", "method": "POST", "times": 1,
                "path": format!("/crm/v8/{module}") });
            house.zoho.fault(lost).await;
            let mut keyed = arguments;
            keyed["idempotency_key"] = json!("k");
            agent.call(tool, keyed.clone()).await.failure();
            let found = agent.call(tool, keyed).await.content();
            assert_eq!(found["outcome"], "found", "{tool} by {way}");
            assert_ne!(found["recordId"], made["recordId"], "{tool} by {way}");
        }
    }
}

#[tokio::test]
async fn what_is_seen_and_may_not_be_changed_is_forbidden_not_missing() {
    let (house, agent) = house_of(REP, "user_token").await;
    house
        .zoho
        .set(json!({ "sharing": { "Deals": "public_read_only" } }))
        .await;
    let rep = user(&house, REP).await;
    let deal = house
        .zoho
        .ids("Deals", &format!("Owner != '{rep}'"))
        .await
        .remove(0);
    let step = json!({ "deal_id": deal, "stage": "Closed Lost" });
    let told = agent.call("update_deal_stage", step).await.failure();
    assert!(told.contains("may not do this"), "{told}");
    assert_eq!(house.zoho.written("Deals").await, 0);
}
