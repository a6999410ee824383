//! `get_deal_summary`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{all_pages, assert_close, open_house};
use crate::{agent::Agent, house::House};

const CLOSED: &str = "('Closed Won', 'Closed Lost', 'Closed-Lost to Competition')";
const LOST: &str = "('Closed Lost', 'Closed-Lost to Competition')";

#[tokio::test]
async fn totals_are_what_the_crm_says() {
    let (house, agent) = open_house().await;
    let query = "select Owner, Account_Name from Deals where (Account_Name is not null) limit 0, 1";
    let some = house.zoho.coql(query).await.remove(0);
    let (owner, account) = (&some["Owner"]["id"], &some["Account_Name"]["id"]);
    let id = |id: &Value| id.as_str().unwrap().to_owned();
    let open = format!("Stage not in {CLOSED}");
    for (arguments, condition) in [
        (json!({}), open.clone()),
        (json!({ "filters": {} }), open.clone()),
        (json!({ "filters": { "status": "open" } }), open.clone()),
        (
            json!({ "filters": { "status": "won" } }),
            "Stage = 'Closed Won'".into(),
        ),
        (
            json!({ "filters": { "status": "lost" } }),
            format!("Stage in {LOST}"),
        ),
        (
            json!({ "filters": { "status": "all" } }),
            "id is not null".into(),
        ),
        (
            json!({ "filters": { "stage": "Needs Analysis" } }),
            "Stage = 'Needs Analysis'".into(),
        ),
        (
            json!({ "filters": { "owner_id": owner } }),
            format!("({open} and Owner = {})", id(owner)),
        ),
        (
            json!({ "filters": { "account_id": account, "status": "all" } }),
            format!("Account_Name = {}", id(account)),
        ),
        (
            json!({ "filters": { "closing_from": "2026-01-01", "closing_to": "2026-12-31", "status": "all" } }),
            "Closing_Date between '2026-01-01' and '2026-12-31'".into(),
        ),
        (
            json!({ "filters": { "min_amount": 100_000 } }),
            format!("({open} and Amount >= 100000)"),
        ),
        (
            json!({ "filters": { "stage": "Needs Analysis", "status": "won" } }),
            "(Stage = 'Needs Analysis' and Stage = 'Closed Won')".into(),
        ),
    ] {
        assert_totals(&house, &agent, arguments, &condition).await;
    }
}

async fn assert_totals(house: &House, agent: &Agent, arguments: Value, condition: &str) {
    let what = arguments.to_string();
    let totals = agent.call("get_deal_summary", arguments).await.content()["totals"].clone();
    let sum = format!("select SUM(Amount) from Deals where {condition}");
    let number = format!("select COUNT(id) from Deals where {condition}");
    assert_close(&totals["amount"], house.zoho.number(&sum).await, &what);
    assert_close(&totals["deals"], house.zoho.number(&number).await, &what);
    let stages = totals["byStage"].as_array().unwrap();
    let deals: u64 = stages
        .iter()
        .filter_map(|stage| stage["deals"].as_u64())
        .sum();
    assert_eq!(totals["deals"], deals, "{what}: the stages do not add up");
}

#[tokio::test]
async fn deals_are_listed_largest_first_and_each_once() {
    let (house, agent) = open_house().await;
    let arguments = json!({ "limit": 60 });
    let listed = all_pages(&agent, "get_deal_summary", &arguments).await;
    let amounts: Vec<f64> = listed
        .iter()
        .filter_map(|deal| deal["amount"].as_f64())
        .collect();
    assert!(amounts.is_sorted_by(|a, b| a >= b), "{amounts:?}");
    let different: BTreeSet<&str> = listed
        .iter()
        .map(|deal| deal["id"].as_str().unwrap())
        .collect();
    assert_eq!(different.len(), listed.len(), "a deal came twice");
    let open = format!("Stage not in {CLOSED}");
    let number = format!("select COUNT(id) from Deals where {open}");
    assert!((house.zoho.number(&number).await - listed.len() as f64).abs() < 0.5);
}

#[tokio::test]
async fn one_deal_stands_as_the_crm_says_with_its_last_notes() {
    let (house, agent) = open_house().await;
    let query = format!(
        "select id, Amount, Stage, Probability, Closing_Date from Deals \
         where (Stage not in {CLOSED} and Amount > 0) limit 0, 1"
    );
    let deal = house.zoho.coql(&query).await.remove(0);
    let id = deal["id"].as_str().unwrap();
    house
        .zoho
        .note("Deals", id, "Latest", "they\u{200b} agreed")
        .await;
    let content = agent
        .call("get_deal_summary", json!({ "deal_id": id }))
        .await
        .content();
    let item = &content["items"][0];
    assert_eq!((&item["id"], &item["stage"]), (&deal["id"], &deal["Stage"]));
    assert_eq!(item["closingDate"], deal["Closing_Date"]);
    let (amount, percent) = (
        deal["Amount"].as_f64().unwrap(),
        deal["Probability"].as_f64().unwrap(),
    );
    assert_close(
        &item["weightedAmount"],
        amount * percent / 100.0,
        "weighted",
    );
    assert_eq!(content["standing"]["closed"], false);
    let note = &content["standing"]["lastNotes"][0];
    assert_eq!(
        (&note["title"], &note["text"]),
        (&json!("Latest"), &json!("they agreed"))
    );
}

#[tokio::test]
async fn what_cannot_be_answered_says_what_to_change() {
    let (_house, agent) = open_house().await;
    for (arguments, told) in [
        (json!({ "deal_id": "12345" }), "Do not guess ids"),
        (json!({ "deal_id": "1", "filters": {} }), "it stands alone"),
        (json!({ "deal_id": "1", "cursor": "c1" }), "it stands alone"),
        (
            json!({ "filters": { "closing_from": "2026-02-01", "closing_to": "2026-01-01" } }),
            "swap them",
        ),
        (
            json!({ "filters": { "closing_from": "2026-02-30" } }),
            "`filters.closing_from` names a date that does not exist",
        ),
        (
            json!({ "filters": { "min_amount": -1 } }),
            "`filters.min_amount` must be",
        ),
        (
            json!({ "filters": { "min_amount": "100" } }),
            "`filters.min_amount` must be",
        ),
        (
            json!({ "filters": { "status": "Open" } }),
            "one of open, won, lost, all",
        ),
        (
            json!({ "filters": { "owner_id": "me" } }),
            "`filters.owner_id` must be",
        ),
        (json!({ "filters": [] }), "`filters` must be an object"),
        (
            json!({ "filters": { "sql": "1" } }),
            "unknown argument in `filters`",
        ),
    ] {
        let failure = agent
            .call("get_deal_summary", arguments.clone())
            .await
            .failure();
        assert!(failure.contains(told), "{arguments}: {failure}");
    }
}

#[tokio::test]
async fn a_selection_without_deals_is_an_answer() {
    let (_house, agent) = open_house().await;
    let none = json!({ "filters": { "min_amount": 999_999_999_999_u64 } });
    let content = agent.call("get_deal_summary", none).await.content();
    assert_eq!(
        (&content["count"], &content["totals"]["deals"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(content["totals"]["weightedAmount"].to_string(), "0.0");
}

#[tokio::test]
async fn a_stage_that_no_deal_can_have_is_answered_with_those_it_can() {
    let (_house, agent) = open_house().await;
    for tool in ["get_deal_summary", "list_deals"] {
        let asked = json!({ "filters": { "stage": "Negotiations" } });
        let told = agent.call(tool, asked).await.failure();
        assert!(told.contains("is no stage of a deal"), "{tool}: {told}");
        assert!(told.contains("Qualification, Needs Analysis"), "{told}");
        // As deals hold it.
        assert!(told.contains(", Id. Decision Makers, "), "{told}");
    }
    // As people see it, which is not what the deals hold.
    let asked = json!({ "filters": { "stage": "identify decision makers" } });
    let content = agent.call("get_deal_summary", asked).await.content();
    assert_eq!(content["items"][0]["stage"], "Id. Decision Makers");
    let asked = json!({ "filters": { "stage": "Needs Analysis", "status": "won" } });
    let result = agent.call("get_deal_summary", asked).await.result();
    let told = result["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("A status has to fit the stage"), "{told}");
    let both = json!({ "deal_id": "1", "limit": 5 });
    let told = agent.call("get_deal_summary", both).await.failure();
    assert!(
        told.contains("leave out filters, limit and cursor"),
        "{told}"
    );
}
