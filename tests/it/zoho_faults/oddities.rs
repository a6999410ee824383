//! Answers that are right and odd: the agent notices nothing. Clocks that are wrong: one token more at
//! most, and what was written is found.

use serde_json::{Value, json};

use super::{contact, failure};
use crate::{
    agent::Agent,
    house::{House, SUPPORT},
    tools::{all_pages, everything_allowed, ids},
};

async fn house() -> (House, Agent) {
    let house = House::with(everything_allowed).await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

/// What the tools say, but for the time at which they do.
async fn answers(house: &House, agent: &Agent) -> Vec<Value> {
    let contact = contact(house).await;
    let mut answers = Vec::new();
    for (tool, arguments) in [
        ("search_contacts", json!({ "name": "O'Shaughnessy" })),
        ("get_contact", json!({ "contact_id": contact })),
        ("get_contact_history", json!({ "contact_id": contact })),
        ("search_accounts", json!({ "name": "none of them" })),
        ("list_deals", json!({ "limit": 5 })),
        ("get_pipeline", json!({})),
        ("get_revenue_report", json!({})),
        ("describe_module", json!({ "module": "Leads" })),
        ("count_records", json!({ "module": "Deals" })),
        ("whoami", json!({})),
    ] {
        let mut content = agent.call(tool, arguments).await.content();
        content.as_object_mut().unwrap().remove("asOf");
        answers.push(content);
    }
    answers.push(json!(
        all_pages(agent, "get_deal_summary", &json!({ "limit": 100 })).await
    ));
    answers
}

#[tokio::test]
async fn what_nobody_has_heard_of_and_a_wrong_content_type_change_no_answer() {
    let (house, agent) = house().await;
    let plain = answers(&house, &agent).await;
    for odd in [
        json!({ "fault": "extra" }),
        json!({ "fault": "content_type" }),
        json!({ "fault": "content_type", "content_type": "application/octet-stream" }),
    ] {
        // Also of the token's answer.
        house.zoho.fault(json!({ "fault": "revoke_tokens" })).await;
        house.zoho.fault(odd.clone()).await;
        assert_eq!(answers(&house, &agent).await, plain, "{odd}");
        let note = json!({ "record_id": contact(&house).await, "content": odd.to_string() });
        let made = agent.call("create_note", note).await.content();
        assert_eq!(made["outcome"], "created", "{odd}");
        house.zoho.mend().await;
        house.zoho.reset().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let (house, agent) = house().await;
    contact(&house).await;
    let path = "/crm/v8/Contacts/search";
    house
        .zoho
        .fault(json!({ "fault": "oversize", "path": path }))
        .await;
    let search = json!({ "name": "Popper" });
    let told = agent.call("search_contacts", search).await.failure();
    assert!(told.contains("does not answer"), "{told}");
    failure(&house, "zoho_unavailable").await;
    assert_eq!(house.zoho.seen("GET", path).await, 2, "tried again in vain");
}

#[tokio::test]
async fn a_token_that_ends_early_by_zohos_clock_is_replaced_once() {
    let (house, agent) = house().await;
    contact(&house).await;
    let path = "/crm/v8/Contacts/search";
    let minted = house.zoho.seen("POST", "/oauth/v2/token").await;
    // Whoever answers believes that it is two hours later, also when the token is tried elsewhere.
    let ahead = json!({ "fault": "skew", "delay": "2h", "path": "/crm", "times": 2 });
    house.zoho.fault(ahead).await;
    let search = json!({ "name": "Popper" });
    let found = agent
        .call("search_contacts", search.clone())
        .await
        .content();
    assert_eq!(ids(&found).len(), 1);
    assert_eq!(house.zoho.seen("POST", "/oauth/v2/token").await, minted + 1);
    // A token that was minted with a clock that is behind ends in a minute, whatever was said.
    let behind = json!({ "fault": "skew", "delay": "59m", "behind": true, "path": "/oauth" });
    house
        .zoho
        .fault(json!({ "fault": "revoke_tokens", "path": path }))
        .await;
    house.zoho.fault(behind).await;
    agent
        .call("search_contacts", search.clone())
        .await
        .content();
    house.zoho.mend().await;
    house.zoho.later("2m").await;
    let found = agent.call("search_contacts", search).await.content();
    assert_eq!(ids(&found).len(), 1);
    assert_eq!(house.zoho.seen("POST", "/oauth/v2/token").await, minted + 3);
}

#[tokio::test]
async fn a_write_is_found_again_whatever_clock_zoho_showed_before() {
    let house = House::with(|setup| {
        everything_allowed(setup);
        // An attempt that was lost is in doubt for twice as long.
        setup.set("zoho.request_timeout", "400ms");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let record = contact(&house).await;
    for (n, behind) in [false, true].into_iter().enumerate() {
        let skew = json!({ "fault": "skew", "delay": "50m", "behind": behind, "times": 1,
            "path": "/crm/v8/Contacts/search" });
        house.zoho.fault(skew).await;
        contact(&house).await;
        let lost = json!({ "fault": "reset_after_commit", "path": "/crm/v8/Notes", "times": 1 });
        house.zoho.fault(lost).await;
        let note = json!({ "record_id": record, "content": "by which clock?",
            "idempotency_key": format!("clock-{n}") });
        let mut made = json!({ "isError": true });
        while made["isError"] == true {
            made = agent.call("create_note", note.clone()).await.result();
        }
        assert_eq!(made["structuredContent"]["outcome"], "found");
        assert_eq!(house.zoho.notes_written().await, n + 1);
    }
}
