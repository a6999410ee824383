//! `list_deals`, `get_pipeline`, `get_forecast`, `get_stale_deals`

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{all_pages, assert_close, every_deal, open_house};
use crate::house::House;

/// Where the company of the sandbox has its days.
const COMPANY: &str = "America/Chicago";

/// Every deal as the CRM has it, summed up by the tests themselves.
async fn deals(house: &House) -> Vec<Value> {
    let columns = "id, Stage, Amount, Probability, Expected_Revenue, Closing_Date, Owner, \
                   Created_Time, Last_Activity_Time";
    every_deal(house, columns, "id is not null").await
}

fn is_open(deal: &Value) -> bool {
    !deal["Stage"].as_str().unwrap().starts_with("Closed")
}

fn amount(deal: &Value) -> f64 {
    deal["Amount"].as_f64().unwrap_or(0.0)
}

fn weighted(deal: &Value) -> f64 {
    amount(deal) * deal["Probability"].as_f64().unwrap_or(0.0) / 100.0
}

fn total(deals: &[&Value], what: fn(&Value) -> f64) -> f64 {
    deals.iter().map(|deal| what(deal)).sum()
}

fn set<'a>(deals: impl IntoIterator<Item = &'a Value>) -> BTreeSet<&'a str> {
    deals
        .into_iter()
        .map(|deal| deal["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn deals_are_listed_in_the_order_that_was_asked_for() {
    let (house, agent) = open_house().await;
    let all = deals(&house).await;
    for (sort, field, ascending) in [
        (None, "closingDate", true),
        (Some("closing_date"), "closingDate", true),
        (Some("created"), "createdTime", false),
    ] {
        let mut asked = json!({ "limit": 70 });
        if let Some(sort) = sort {
            asked["sort"] = json!(sort);
        }
        let listed = all_pages(&agent, "list_deals", &asked).await;
        assert_eq!(
            set(&listed),
            set(all.iter().filter(|deal| is_open(deal))),
            "{sort:?}"
        );
        let mut values: Vec<&str> = listed
            .iter()
            .filter_map(|deal| deal[field].as_str())
            .collect();
        if !ascending {
            values.reverse();
        }
        assert!(values.is_sorted(), "{sort:?}: {values:?}");
    }
    let asked = json!({ "filters": { "stage": "Needs Analysis", "status": "won" } });
    let answer = agent.call("list_deals", asked).await;
    assert!(answer.text.contains("No deal passes"), "{}", answer.text);
    let asked = json!({ "filters": { "closing_from": "2026-02-01", "closing_to": "2026-01-01" } });
    let told = agent.call("list_deals", asked).await.failure();
    assert!(told.contains("filters.closing_from"), "{told}");
}

#[tokio::test]
async fn the_pipeline_is_what_the_open_deals_add_up_to() {
    let (house, agent) = open_house().await;
    let all = deals(&house).await;
    let owner = all[0]["Owner"]["id"].clone();
    for asked in [json!({}), json!({ "owner_id": owner })] {
        let mine = |deal: &&Value| asked["owner_id"].is_null() || deal["Owner"]["id"] == owner;
        let open: Vec<&Value> = all
            .iter()
            .filter(|deal| is_open(deal))
            .filter(mine)
            .collect();
        let pipeline = agent.call("get_pipeline", asked.clone()).await.content();
        assert_eq!(pipeline["deals"], open.len());
        assert_close(&pipeline["amount"], total(&open, amount), "amount");
        assert_close(
            &pipeline["weightedAmount"],
            total(&open, weighted),
            "weighted",
        );
        let mut by_stage: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for deal in &open {
            by_stage
                .entry(deal["Stage"].as_str().unwrap())
                .or_default()
                .push(deal);
        }
        for stage in pipeline["stages"].as_array().unwrap() {
            let name = stage["stage"].as_str().unwrap();
            let deals = by_stage.remove(name).unwrap_or_default();
            assert_eq!(stage["deals"], deals.len(), "{name}");
            assert_close(&stage["amount"], total(&deals, amount), name);
            assert_close(&stage["weightedAmount"], total(&deals, weighted), name);
        }
        assert!(by_stage.is_empty(), "{by_stage:?}");
    }
    let pipeline = agent.call("get_pipeline", json!({})).await.content();
    let first = &pipeline["stages"][0];
    assert_eq!(
        (&first["stage"], &first["probability"]),
        (&json!("Qualification"), &json!(10.0))
    );
    assert_eq!(first["forecastCategory"], "Pipeline");
}

#[tokio::test]
async fn all_tools_weigh_deals_alike_whatever_zoho_has_computed() {
    let (house, agent) = open_house().await;
    let all = deals(&house).await;
    let open: Vec<&Value> = all.iter().filter(|deal| is_open(deal)).collect();
    let uncomputed = |deal: &&&Value| deal["Expected_Revenue"].is_null() && amount(deal) > 0.0;
    assert!(open.iter().filter(uncomputed).count() > 5);
    let expected = total(&open, weighted);
    let pipeline = agent.call("get_pipeline", json!({})).await.content();
    assert_close(&pipeline["weightedAmount"], expected, "pipeline");
    // It lists ten, and weighs all.
    let summary = agent.call("get_deal_summary", json!({})).await.content();
    let totals = &summary["totals"];
    assert_close(&totals["weightedAmount"], expected, "summary");
}

#[tokio::test]
async fn a_forecast_is_what_is_won_and_what_may_be() {
    let (house, agent) = open_house().await;
    let all = deals(&house).await;
    for period in ["this_quarter", "this_year", "next_quarter"] {
        let asked = json!({ "period": period });
        let forecast = agent.call("get_forecast", asked).await.content();
        let (first, last) = forecast["period"]
            .as_str()
            .unwrap()
            .split_once("..")
            .unwrap();
        let now: jiff::Timestamp = forecast["asOf"].as_str().unwrap().parse().unwrap();
        let today = now.in_tz(COMPANY).unwrap().date().to_string();
        let due = |deal: &&Value| {
            let day = deal["Closing_Date"].as_str();
            day.is_some_and(|day| (first..=last).contains(&day))
        };
        let due: Vec<&Value> = all.iter().filter(due).collect();
        let won: Vec<&Value> = due
            .iter()
            .copied()
            .filter(|deal| deal["Stage"] == "Closed Won")
            .collect();
        let open: Vec<&Value> = due.iter().copied().filter(|deal| is_open(deal)).collect();
        assert_eq!(forecast["won"]["deals"], won.len(), "{period}");
        let won = total(&won, amount);
        assert_close(&forecast["won"]["amount"], won, period);
        assert_close(
            &forecast["expectedAmount"],
            won + total(&open, weighted),
            period,
        );
        assert_close(
            &forecast["bestCaseAmount"],
            won + total(&open, amount),
            period,
        );
        let late: Vec<&Value> = open
            .iter()
            .copied()
            .filter(|deal| deal["Closing_Date"].as_str().unwrap() < today.as_str())
            .collect();
        assert_close(&forecast["overdue"]["amount"], total(&late, amount), period);
    }
    let told = agent
        .call("get_forecast", json!({ "period": "soon" }))
        .await
        .failure();
    assert!(told.contains("`period` names no period"), "{told}");
}

#[tokio::test]
async fn stale_deals_are_those_that_nobody_touched_or_closed_in_time() {
    let (house, agent) = open_house().await;
    let all = deals(&house).await;
    for days in [10_i32, 60] {
        let asked = json!({ "days": days, "limit": 60 });
        let found = all_pages(&agent, "get_stale_deals", &asked).await;
        let page = agent.call("get_stale_deals", asked).await.content();
        let today: jiff::Timestamp = page["asOf"].as_str().unwrap().parse().unwrap();
        let stale = all.iter().filter(|deal| is_open(deal)).filter(|deal| {
            let touched = deal["Last_Activity_Time"]
                .as_str()
                .or(deal["Created_Time"].as_str());
            let touched: jiff::Timestamp = touched.unwrap().parse().unwrap();
            let idle = today.duration_since(touched).as_hours() >= i64::from(days) * 24;
            let closing = deal["Closing_Date"].as_str().unwrap_or("9999");
            idle || closing < today.to_string().get(..10).unwrap()
        });
        let (found, stale) = (set(&found), set(stale));
        // Days of the organisation begin at another moment than those of the test.
        let different = found.symmetric_difference(&stale).count();
        assert!(
            !stale.is_empty() && different <= 3,
            "{days}: {different} of {}",
            stale.len()
        );
        for deal in page["items"].as_array().unwrap() {
            let because = deal["staleBecause"].as_array().unwrap();
            assert!(!because.is_empty(), "{deal}");
            let idle = deal["idleDays"].as_i64().unwrap() >= i64::from(days);
            assert_eq!(because.contains(&json!("no_activity")), idle, "{deal}");
        }
    }
    let told = agent
        .call("get_stale_deals", json!({ "days": 0 }))
        .await
        .failure();
    assert!(told.contains("a whole number from 1 to 365"), "{told}");
}

#[tokio::test]
async fn deals_of_a_stage_are_asked_for_by_any_name_of_it() {
    let (_house, agent) = open_house().await;
    let listed = |stage: &str| json!({ "filters": { "stage": stage }, "limit": 200 });
    let exact = agent.call("list_deals", listed("Needs Analysis")).await;
    let loose = agent.call("list_deals", listed("needs analysis")).await;
    let (exact, loose) = (exact.content(), loose.content());
    assert!(exact["count"].as_u64().unwrap() > 0);
    assert_eq!(exact["items"], loose["items"]);
    let told = agent.call("list_deals", listed("Dreaming")).await.failure();
    assert!(
        told.contains("no stage of a deal") && told.contains("Needs Analysis"),
        "{told}"
    );
}
