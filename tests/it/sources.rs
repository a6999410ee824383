//! Where the sources on Zoho disagree, the daemon does the same with either: the six tools work, and
//! what is wrong is told in the same words.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{House, SUPPORT},
    tools::{all_pages, everything_allowed, ids},
};

/// Each a Zoho that could be the real one.
fn zohos() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "token_error_status": 400, "live_tokens": 10 }),
        json!({ "token_denied_status": 200, "token_scope": false, "legacy_expiry": true }),
        json!({ "unknown_id_status": 400 }),
        json!({ "wrapped_errors": "always", "unknown_id_status": 400 }),
        json!({ "wrapped_errors": "never" }),
        json!({ "coql_backslash": false, "coql_columns": 500 }),
        json!({ "search_criteria": 10, "failed_calls_cost": false }),
        json!({ "timeline_per_page": 200, "search_index_delay_ms": 60_000 }),
    ]
}

async fn house() -> (House, Agent) {
    let house = House::with(everything_allowed).await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

const NOWHERE: &str = "6840217000009999999";

#[tokio::test]
async fn the_tools_work_with_either() {
    let (house, agent) = house().await;
    for settings in zohos() {
        house.zoho.set(settings.clone()).await;
        let found = agent.search("O'Shaughnessy").await.content();
        let contact = &ids(&found)[0];
        let history = json!({ "contact_id": contact });
        agent.call("get_contact_history", history).await.content();
        let note = json!({ "record_id": contact, "content": "either way" });
        agent.call("create_note", note).await.content();
        let deals = all_pages(&agent, "get_deal_summary", &json!({ "limit": 100 })).await;
        assert!(deals.len() > 10, "{settings}");
        let name = json!({ "name": "it's \"none\" of them" });
        let none = agent.call("search_accounts", name).await.content();
        assert_eq!(none["count"], 0, "{settings}");
        for tool in ["get_revenue_report", "get_dashboard_metrics"] {
            let figures = agent.call(tool, json!({})).await.content();
            let unavailable = figures["unavailable"].as_array();
            assert!(
                unavailable.is_none_or(Vec::is_empty),
                "{settings}: {figures}"
            );
        }
        house.zoho.reset().await;
    }
}

#[tokio::test]
async fn what_does_not_exist_is_told_in_the_same_words_by_either() {
    let (house, agent) = house().await;
    let mut told = BTreeSet::new();
    for settings in zohos() {
        house.zoho.set(settings.clone()).await;
        for (tool, arguments) in [
            ("get_contact_history", json!({ "contact_id": NOWHERE })),
            ("get_deal_summary", json!({ "deal_id": NOWHERE })),
            (
                "create_note",
                json!({ "record_id": NOWHERE, "content": "x" }),
            ),
        ] {
            told.insert(agent.call(tool, arguments).await.failure());
        }
        house.zoho.reset().await;
    }
    assert_eq!(told.len(), 3, "one of each tool: {told:?}");
    assert_eq!(house.zoho.notes_written().await, 0);
}

#[tokio::test]
async fn spent_credits_and_a_crowd_are_told_apart_in_either_wording() {
    for (settings, error) in [
        (json!({ "daily_credits": 0 }), "zoho_credits_spent"),
        (
            json!({ "daily_credits": 0, "legacy_spent": true }),
            "zoho_credits_spent",
        ),
        (json!({ "concurrency": 0 }), "zoho_busy"),
        (
            json!({ "concurrency": 0, "busy_code": "RATE_LIMIT_EXCEEDED", "retry_after": 1 }),
            "zoho_busy",
        ),
    ] {
        let (house, agent) = house().await;
        house.zoho.set(settings.clone()).await;
        let search = json!({ "name": "Popper" });
        let told = agent.call("search_contacts", search).await;
        let is_limit = told.status == 429;
        assert_eq!(is_limit, error == "zoho_credits_spent", "{}", told.text);
        house.recorded(error, |line| line["error"] == error).await;
        let tries = house.zoho.seen("GET", "/crm/v8/Contacts/search").await;
        assert_eq!(tries == 1, error == "zoho_credits_spent", "{settings}");
    }
}

#[tokio::test]
async fn refused_credentials_are_an_operators_matter_with_either_status() {
    for status in [200, 400] {
        let (house, agent) = house().await;
        house
            .zoho
            .set(json!({ "token_error_status": status }))
            .await;
        let token = house.zoho.refresh_tokens["admin"].as_str().unwrap();
        let url = format!("{}/oauth/v2/token/revoke?token={token}", house.zoho.url);
        house.zoho.http.post(url).send().await.unwrap();
        let search = json!({ "name": "Popper" });
        let said = agent.call("search_contacts", search).await.failure();
        assert!(said.contains("credentials"), "{status}: {said}");
    }
}

#[tokio::test]
async fn too_many_tokens_hold_back_with_either_status() {
    for status in [200, 400] {
        let (house, agent) = house().await;
        let zoho = &house.zoho;
        zoho.set(json!({ "token_denied_status": status })).await;
        for _ in 0..10 {
            zoho.mint().await;
        }
        for _ in 0..3 {
            let search = json!({ "name": "Popper" });
            let said = agent.call("search_contacts", search).await.failure();
            assert!(said.contains("too many access tokens"), "{status}: {said}");
        }
        let asked = zoho.seen("POST", "/oauth/v2/token").await;
        assert_eq!(asked, 11, "asking again makes it longer");
    }
}

#[tokio::test]
async fn a_missing_scope_is_for_an_operator_and_is_not_tried_again() {
    let (house, agent) = house().await;
    house
        .zoho
        .set(json!({ "scopes": "ZohoCRM.modules.contacts.READ ZohoCRM.org.READ" }))
        .await;
    let search = json!({ "name": "Popper" });
    let said = agent.call("search_contacts", search).await.failure();
    assert!(said.contains("operator"), "{said}");
    assert_eq!(house.zoho.seen("GET", "/crm/v8/Contacts/search").await, 1);
}
