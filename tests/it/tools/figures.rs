//! `get_revenue_report` and `get_dashboard_metrics`

use serde_json::{Value, json};

use super::{assert_close, open_house};
use crate::house::Zoho;

const LOST: &str = "('Closed Lost', 'Closed-Lost to Competition')";
const CLOSED: &str = "('Closed Won', 'Closed Lost', 'Closed-Lost to Competition')";

/// The days of an answer's period, as a condition.
fn closing(period: &Value) -> String {
    let (first, last) = period.as_str().unwrap().split_once("..").unwrap();
    format!("Closing_Date between '{first}' and '{last}'")
}

async fn sum(zoho: &Zoho, condition: &str) -> f64 {
    zoho.number(&format!(
        "select SUM(Amount) from Deals where ({condition})"
    ))
    .await
}

async fn count(zoho: &Zoho, condition: &str) -> f64 {
    zoho.number(&format!("select COUNT(id) from Deals where ({condition})"))
        .await
}

#[tokio::test]
async fn revenue_is_what_the_crm_says_for_every_period_and_comparison() {
    let (house, agent) = open_house().await;
    for (period, compare_to) in [
        (None, None),
        (Some("this_month"), Some("previous_year")),
        (Some("last_quarter"), Some("previous_period")),
        (Some("this_year"), Some("none")),
        (Some("2026-Q1"), None),
        (Some("2025-11-01..2026-02-14"), Some("previous_period")),
    ] {
        let arguments = json!({ "period": period, "compare_to": compare_to });
        let report = agent
            .call("get_revenue_report", arguments.clone())
            .await
            .content();
        let won = format!("Stage = 'Closed Won' and {}", closing(&report["period"]));
        let what = arguments.to_string();
        assert_close(&report["revenue"], sum(&house.zoho, &won).await, &what);
        assert_close(&report["wonDeals"], count(&house.zoho, &won).await, &what);
        let before = &report["comparedWith"];
        assert_eq!(before.is_null(), compare_to == Some("none"), "{what}");
        if !before.is_null() {
            let won = format!("Stage = 'Closed Won' and {}", closing(&before["period"]));
            assert_close(&before["revenue"], sum(&house.zoho, &won).await, &what);
            let change = report["revenue"].as_f64().unwrap() - before["revenue"].as_f64().unwrap();
            assert_close(&before["change"], change, &what);
        }
    }
}

#[tokio::test]
async fn the_groups_of_a_report_add_up_to_its_revenue() {
    let (house, agent) = open_house().await;
    for group_by in ["stage", "owner", "lead_source", "type", "account", "month"] {
        let arguments = json!({ "period": "this_year", "group_by": group_by });
        let report = agent.call("get_revenue_report", arguments).await.content();
        let groups = report["groups"].as_array().unwrap();
        let won = groups.iter().filter(|group| group["status"] == "won");
        let (mut amount, mut deals) = (report["otherGroupsAmount"].as_f64().unwrap_or(0.0), 0);
        for group in won {
            amount += group["amount"].as_f64().unwrap();
            deals += group["deals"].as_u64().unwrap();
        }
        assert_close(&report["revenue"], amount, group_by);
        if report["otherGroups"].is_null() {
            assert_eq!(report["wonDeals"], deals, "{group_by}");
        }
        assert!(
            groups.len() > 1 || group_by == "stage",
            "{group_by}: {report}"
        );
        let named = groups.iter().filter(|group| group["group"] != "").count();
        assert!(
            named * 2 >= groups.len(),
            "{group_by}: nameless groups {report}"
        );
        if group_by == "stage" {
            let open = format!("Stage not in {CLOSED} and {}", closing(&report["period"]));
            assert_close(
                &report["openPipelineAmount"],
                sum(&house.zoho, &open).await,
                "open",
            );
        }
    }
}

#[tokio::test]
async fn every_named_period_is_understood() {
    let (_house, agent) = open_house().await;
    for period in [
        "this_month",
        "last_month",
        "this_quarter",
        "last_quarter",
        "next_quarter",
        "this_year",
        "last_year",
        "last_30_days",
        "last_90_days",
        "2026",
        "2026-Q4",
        "2026-02",
        "2026-01-01..2026-01-01",
    ] {
        let report = agent
            .call("get_revenue_report", json!({ "period": period }))
            .await
            .content();
        let days = report["period"].as_str().unwrap();
        assert!(days.len() == 22 && days.contains(".."), "{period}: {days}");
        let metrics = agent
            .call("get_dashboard_metrics", json!({ "period": period }))
            .await;
        assert_eq!(metrics.content()["period"], days, "{period}");
    }
    for wrong in [
        "",
        "yesterday",
        "2026-Q5",
        "2026-13",
        "2026-02-30..2026-03-01",
        "2026-03-01..2026-02-01",
        "THIS_MONTH",
        "'; drop",
        "0000",
        "9999",
        "99999",
    ] {
        for tool in ["get_revenue_report", "get_dashboard_metrics"] {
            let answer = agent.call(tool, json!({ "period": wrong })).await.result();
            // The last years that a calendar has are a matter of taste; a 500 is not.
            if wrong != "9999" && wrong != "0000" {
                assert_eq!(answer["isError"], true, "{tool} {wrong}: {answer}");
                let told = answer["content"][0]["text"].as_str().unwrap();
                assert!(told.contains("`period`"), "{tool} {wrong}: {told}");
            }
        }
    }
    let long = json!({ "period": "2024-01-01..2026-01-01", "group_by": "month" });
    let told = agent.call("get_revenue_report", long).await.failure();
    assert!(told.contains("at most 12 months"), "{told}");
}

#[tokio::test]
async fn the_dashboard_shows_what_the_crm_says() {
    let (house, agent) = open_house().await;
    for compare_to in [None, Some("previous_year"), Some("none")] {
        let arguments = json!({ "compare_to": compare_to });
        let metrics = agent
            .call("get_dashboard_metrics", arguments)
            .await
            .content();
        let days = closing(&metrics["period"]);
        let zoho = &house.zoho;
        for (figure, condition) in [
            ("won", format!("Stage = 'Closed Won' and {days}")),
            ("lost", format!("Stage in {LOST} and {days}")),
            (
                "openPipeline",
                format!("Stage not in {CLOSED} and id is not null"),
            ),
        ] {
            assert_close(
                &metrics[figure]["amount"],
                sum(zoho, &condition).await,
                figure,
            );
            assert_close(
                &metrics[figure]["deals"],
                count(zoho, &condition).await,
                figure,
            );
        }
        let (won, lost) = (&metrics["won"]["deals"], &metrics["lost"]["deals"]);
        let (won, lost) = (won.as_f64().unwrap(), lost.as_f64().unwrap());
        let rate = (won / (won + lost) * 1000.0).round() / 10.0;
        assert_close(&metrics["winRatePercent"], rate, "win rate");
        assert_eq!(metrics["unavailable"], json!([]));
        let compared = compare_to != Some("none");
        assert_eq!(metrics["comparedWith"].is_string(), compared);
        assert_eq!(metrics["won"]["previousAmount"].is_number(), compared);
        assert_eq!(metrics["previousNewContacts"].is_number(), compared);
    }
}
