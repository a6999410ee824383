//! Fields that are hidden from the CRM user behind the daemon: what an answer leaves out is told.

use serde_json::{Value, json};

use super::everything_allowed;
use crate::{
    agent::Agent,
    house::{House, REP, SUPPORT, Setup},
    visibility::works_for,
};

pub(super) async fn house(writes: &str) -> (House, Agent) {
    house_with(writes, |_| ()).await
}

pub(super) async fn house_with(writes: &str, change: impl FnOnce(&mut Setup)) -> (House, Agent) {
    let house = House::with(|setup| {
        change(setup);
        everything_allowed(setup);
        setup.zoho_user("rep-1");
        // An attempt that was lost is in doubt for twice as long.
        setup.set("zoho.request_timeout", "600ms");
    })
    .await;
    let hidden = ["Leads.Email", "Tasks.Priority", "Contacts.Mobile"];
    let settings = json!({ "hidden_fields": hidden, "hidden_writes": writes });
    house.zoho.set(settings).await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

pub(super) async fn contact(agent: &Agent) -> Value {
    let any = json!({ "query": "example", "limit": 1 });
    let found = agent.call("search_contacts", any).await.content();
    found["items"][0]["id"].clone()
}

pub(super) async fn hide(house: &House, fields: &[&str]) {
    house.zoho.set(json!({ "hidden_fields": fields })).await;
}

/// A client that sees what one CRM user owns.
pub(super) async fn open_to_an_owner() -> (House, Agent) {
    let house = House::with(|setup| {
        everything_allowed(setup);
        works_for(setup, REP, "owner");
        setup.zoho_user("manager");
    })
    .await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

#[tokio::test]
async fn without_probabilities_what_is_weighed_is_unknown_and_the_rest_is_told() {
    let (house, agent) = house("dropped").await;
    let year = json!({ "period": "this_year" });
    let shown = agent.call("get_pipeline", json!({})).await.content();
    let forecast = agent.call("get_forecast", year.clone()).await.content();
    assert!(shown["weightedAmount"].is_number() && forecast["expectedAmount"].is_number());
    let hidden = json!({ "hidden_fields": ["Deals.Probability"] });
    house.zoho.set(hidden).await;
    let pipeline = agent.call("get_pipeline", json!({})).await;
    assert!(
        pipeline.text.contains("probability unknown"),
        "{}",
        pipeline.text
    );
    let pipeline = pipeline.content();
    assert_eq!(pipeline.get("weightedAmount"), None);
    for same in ["deals", "amount"] {
        assert_eq!(pipeline[same], shown[same]);
    }
    let expected = agent.call("get_forecast", year).await;
    assert!(
        expected.text.contains("expected unknown"),
        "{}",
        expected.text
    );
    let expected = expected.content();
    assert_eq!(expected.get("expectedAmount"), None);
    assert_eq!(expected["bestCaseAmount"], forecast["bestCaseAmount"]);
    let summary = agent.call("get_deal_summary", json!({})).await.content();
    assert_eq!(summary["totals"].get("weightedAmount"), None);
    for (tool, asked) in [("list_deals", json!({})), ("get_stale_deals", json!({}))] {
        let deals = agent.call(tool, asked).await.content();
        let deals = deals["items"].as_array().unwrap();
        assert!(!deals.is_empty(), "{tool}");
        let weighed = |deal: &Value| deal.get("weightedAmount").is_some();
        assert!(!deals.iter().any(weighed), "{tool}");
    }
}

#[tokio::test]
async fn a_hidden_field_that_a_question_needs_is_named() {
    let (house, agent) = house("dropped").await;
    for (hidden, tool, asked) in [
        ("Closing_Date", "get_forecast", json!({})),
        ("Closing_Date", "get_revenue_report", json!({})),
        ("Amount", "get_pipeline", json!({})),
        ("Amount", "get_deal_summary", json!({})),
        (
            "Closing_Date",
            "list_deals",
            json!({ "sort": "closing_date" }),
        ),
        (
            "Amount",
            "list_deals",
            json!({ "filters": { "min_amount": 1 } }),
        ),
        (
            "Next_Step",
            "count_records",
            json!({ "module": "Deals",
            "conditions": [{ "field": "Next_Step", "is": "empty" }] }),
        ),
    ] {
        house
            .zoho
            .set(json!({ "hidden_fields": [format!("Deals.{hidden}")] }))
            .await;
        let told = agent.call(tool, asked).await.failure();
        assert!(
            told.contains(&format!("does not show the field `{hidden}`")),
            "{tool}: {told}"
        );
    }
}

#[tokio::test]
async fn what_is_only_shown_is_left_out_where_it_is_hidden() {
    let (house, agent) = house("dropped").await;
    let deals = ["Next_Step", "Type", "Contact_Name", "Amount"];
    let mut hidden = deals.map(|field| format!("Deals.{field}")).to_vec();
    hidden.extend(["Events.Venue", "Calls.Call_Type"].map(str::to_owned));
    let hidden = json!({ "hidden_fields": hidden });
    house.zoho.set(hidden).await;
    let queries = async || house.zoho.seen("POST", "/crm/v8/coql").await;
    let by_date = json!({ "sort": "closing_date", "limit": 3 });
    let deals = agent.call("list_deals", by_date.clone()).await;
    assert!(deals.text.contains("amount unknown"), "{}", deals.text);
    for deal in deals.content()["items"].as_array().unwrap() {
        assert!(
            deal["name"].is_string() && deal["account"].is_string(),
            "{deal}"
        );
        for left_out in ["nextStep", "type", "contact", "contactId", "amount"] {
            assert_eq!(deal.get(left_out), None, "{deal}");
        }
    }
    // Which they are is known for a while.
    let before = queries().await;
    agent.call("list_deals", by_date).await.content();
    assert_eq!(queries().await - before, 1);
    let week = json!({ "status": "all", "from": "2020-01-01", "to": "2199-12-31" });
    let agenda = agent.call("list_activities", week).await.content();
    assert!(agenda["count"].as_u64() > Some(0), "{agenda}");
}

#[tokio::test]
async fn what_is_hidden_from_a_person_is_so_with_their_own_token() {
    for (way, hides) in [("user_token", true), ("owner", false)] {
        let house = House::with(|setup| {
            everything_allowed(setup);
            works_for(setup, REP, way);
        })
        .await;
        let agent = house.agent(SUPPORT);
        let hidden = json!({ "hidden_fields": ["Deals.Stage", "Contacts.First_Name"] });
        house.zoho.set(hidden).await;
        let all = json!({ "filters": { "status": "all" } });
        let deals = agent.call("list_deals", all).await.content();
        assert_eq!(deals["items"][0].get("stage").is_none(), hides, "{deals}");
        let found = agent.search("Anna").await.result();
        let told = found["content"][0]["text"].as_str().unwrap();
        assert_eq!(told.contains("the field `First_Name`"), hides, "{told}");
    }
}

#[tokio::test]
async fn a_field_that_is_not_listed_may_be_hidden() {
    let (house, agent) = house("dropped").await;
    hide(&house, &["Contacts.Email"]).await;
    let condition = json!([{ "field": "Email", "is": "not_empty" }]);
    for (tool, asked) in [
        (
            "describe_module",
            json!({ "module": "Contacts", "field": "Email" }),
        ),
        (
            "count_records",
            json!({ "module": "Contacts", "conditions": condition }),
        ),
    ] {
        let told = agent.call(tool, asked).await.failure();
        assert!(told.contains("no such field, or hides it"), "{told}");
    }
}
