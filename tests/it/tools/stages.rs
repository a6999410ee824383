//! Which deals are won, lost and open, in an organisation that calls its stages as Zoho ships them and
//! in one that does not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{all_pages, assert_close, every_deal, everything_allowed, ids, open_house};
use crate::{
    agent::Agent,
    house::{House, MANAGER, SUPPORT},
    visibility::works_for,
};

const ORGANISATIONS: [&str; 2] = ["standard", "renamed"];
const KINDS: [&str; 3] = ["open", "won", "lost"];
const EVER: &str = "2024-01-01..2028-12-31";

fn kind(deal: &Value) -> &'static str {
    match deal["Stage"].as_str().unwrap() {
        "Closed Won" | "Signed" | "Renewed" => "won",
        "Closed Lost" | "Closed-Lost to Competition" | "Turned Down" | "Rival's Choice" => "lost",
        _ => "open",
    }
}

/// Every deal that passes `condition`, as the CRM has it.
async fn deals(house: &House, condition: &str) -> Vec<Value> {
    every_deal(house, "id, Stage, Amount, Account_Name", condition).await
}

fn of<'a>(deals: &'a [Value], which: &str) -> Vec<&'a Value> {
    deals.iter().filter(|deal| kind(deal) == which).collect()
}

fn amount(deals: &[&Value]) -> f64 {
    let amounts = deals.iter().map(|deal| deal["Amount"].as_f64());
    amounts.map(|amount| amount.unwrap_or(0.0)).sum()
}

fn set(deals: &[&Value]) -> BTreeSet<String> {
    let ids = deals.iter().map(|deal| deal["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// A house of each organisation, with all of its deals.
async fn organisations() -> Vec<(&'static str, House, Agent, Vec<Value>)> {
    let mut all = Vec::new();
    for stages in ORGANISATIONS {
        let (house, agent) = open_house().await;
        house.zoho.set(json!({ "stages": stages })).await;
        let deals = deals(&house, "id is not null").await;
        all.push((stages, house, agent, deals));
    }
    all
}

#[tokio::test]
async fn lists_have_the_deals_of_the_stages_that_the_organisation_says() {
    for (stages, _house, agent, deals) in organisations().await {
        for which in KINDS {
            let asked = json!({ "filters": { "status": which }, "limit": 200 });
            let known = set(&of(&deals, which));
            assert!(known.len() > 20, "{stages} {which}");
            for tool in ["list_deals", "get_deal_summary"] {
                let found = all_pages(&agent, tool, &asked).await;
                let found = json!({ "items": found });
                let found: BTreeSet<_> = ids(&found).into_iter().collect();
                assert_eq!(found, known, "{stages} {tool} {which}");
            }
            let one = of(&deals, which)[0];
            let asked = json!({ "deal_id": one["id"] });
            let found = agent.call("get_deal_summary", asked).await.content();
            let closed = &found["standing"]["closed"];
            assert_eq!(*closed, which != "open", "{stages} {one}");
        }
        let stale = all_pages(
            &agent,
            "get_stale_deals",
            &json!({ "days": 1, "limit": 200 }),
        )
        .await;
        let open = set(&of(&deals, "open"));
        assert!(stale.len() > 20, "{stages}");
        for deal in stale {
            assert!(
                open.contains(deal["id"].as_str().unwrap()),
                "{stages} {deal}"
            );
        }
    }
}

#[tokio::test]
async fn figures_are_of_the_stages_that_the_organisation_says() {
    for (stages, _house, agent, deals) in organisations().await {
        let [open, won, lost] = KINDS.map(|which| of(&deals, which));
        let pipeline = agent.call("get_pipeline", json!({})).await.content();
        assert_eq!(pipeline["deals"], open.len(), "{stages}");
        assert_close(&pipeline["amount"], amount(&open), stages);
        let listed = pipeline["stages"].as_array().unwrap();
        let listed: Vec<_> = listed.iter().map(|stage| &stage["stage"]).collect();
        assert_eq!(listed.len(), 6, "{stages} {listed:?}");
        let ever = json!({ "period": EVER, "compare_to": "none" });
        let report = agent.call("get_revenue_report", ever.clone()).await;
        let report = report.content();
        assert_close(&report["revenue"], amount(&won), stages);
        assert_close(&report["openPipelineAmount"], amount(&open), stages);
        let metrics = agent.call("get_dashboard_metrics", ever).await.content();
        for (name, deals) in [("openPipeline", &open), ("won", &won), ("lost", &lost)] {
            assert_eq!(metrics[name]["deals"], deals.len(), "{stages} {name}");
            assert_close(&metrics[name]["amount"], amount(deals), name);
        }
        let forecast = agent.call("get_forecast", json!({ "period": EVER })).await;
        let forecast = forecast.content();
        assert_eq!(forecast["won"]["deals"], won.len(), "{stages}");
        let best = amount(&won) + amount(&open);
        assert_close(&forecast["bestCaseAmount"], best, stages);
    }
}

#[tokio::test]
async fn an_account_has_won_and_lost_what_the_organisation_says() {
    for (stages, _house, agent, deals) in organisations().await {
        // Together they have deals of all kinds.
        let accounts: Vec<_> = deals
            .iter()
            .take(12)
            .map(|it| &it["Account_Name"])
            .collect();
        let mut seen = BTreeSet::new();
        for account in accounts {
            let asked = json!({ "account_id": account["id"], "limit": 50 });
            let found = agent.call("get_account_360", asked).await.content();
            for which in KINDS {
                let own = of(&deals, which).into_iter();
                let own = own.filter(|deal| deal["Account_Name"]["id"] == account["id"]);
                let own: Vec<_> = own.collect();
                let total = &found["totals"][which];
                assert_eq!(total["deals"], own.len(), "{stages} {which} {found}");
                assert_close(&total["amount"], amount(&own), which);
                if !own.is_empty() {
                    seen.insert(which);
                }
                if which == "open" {
                    assert_eq!(found["openDeals"].as_array().unwrap().len(), own.len());
                }
            }
        }
        assert_eq!(seen.len(), 3, "{stages}");
    }
}

#[tokio::test]
async fn everybody_is_told_the_same_and_it_is_asked_for_once_an_hour() {
    for way in ["org", "owner", "user_token"] {
        let house = House::with(|setup| {
            everything_allowed(setup);
            works_for(setup, MANAGER, way);
        })
        .await;
        house.zoho.set(json!({ "stages": "renamed" })).await;
        let agent = house.agent(SUPPORT);
        let team = ["priya", "yuki", "callum", "nadia"];
        let team = team.map(|name| format!("'{name}@tallowmere.example'"));
        let team = format!("Owner.email in ({})", team.join(", "));
        let deals = deals(&house, &team).await;
        for which in KINDS {
            let asked = json!({ "filters": { "status": which }, "limit": 200 });
            let found = all_pages(&agent, "list_deals", &asked).await;
            let found: BTreeSet<_> = ids(&json!({ "items": found })).into_iter().collect();
            assert_eq!(found, set(&of(&deals, which)), "{way} {which}");
        }
        let fields = async || house.zoho.seen("GET", "/crm/v8/settings/fields").await;
        assert_eq!(fields().await, 1, "{way}");
        let won = of(&deals, "won")[0];
        // Whose deal it is has to be known before its notes are asked for.
        let deal = if way == "owner" { 3 } else { 2 };
        for (tool, arguments, requests) in [
            ("list_deals", json!({}), 1),
            ("get_stale_deals", json!({}), 1),
            ("get_deal_summary", json!({}), 2),
            ("get_deal_summary", json!({ "deal_id": won["id"] }), deal),
            ("get_revenue_report", json!({}), 5),
            ("get_dashboard_metrics", json!({}), 8),
            (
                "get_account_360",
                json!({ "account_id": won["Account_Name"]["id"] }),
                5,
            ),
        ] {
            let before = house.zoho.asked().await.len();
            agent.call(tool, arguments).await.content();
            let asked = house.zoho.asked().await.len() - before;
            assert_eq!(asked, requests, "{way} {tool}");
        }
        assert_eq!(fields().await, 1, "{way}");
        agent.call("get_pipeline", json!({})).await.content();
        // What a person's own user sees of the pipeline is that person's matter.
        let own = usize::from(way == "user_token");
        assert_eq!(fields().await, 1 + own, "{way}");
    }
}

#[tokio::test]
async fn deals_are_found_by_a_stage_that_is_no_longer_offered_and_none_is_moved_there() {
    let (house, agent) = open_house().await;
    house.zoho.set(json!({ "stages": "renamed" })).await;
    let gone = "Rival's Choice";
    let held = deals(&house, "Stage = 'Rival''s Choice'").await;
    let asked = json!({ "filters": { "stage": gone }, "limit": 200 });
    for tool in ["list_deals", "get_deal_summary"] {
        let found = agent.call(tool, asked.clone()).await.content();
        assert_eq!(
            found["items"].as_array().unwrap().len(),
            held.len(),
            "{tool}"
        );
    }
    let open = deals(&house, "Stage = 'Inbound'").await;
    let moved = json!({ "deal_id": open[0]["id"], "stage": gone });
    let said = agent.call("update_deal_stage", moved).await.failure();
    assert!(
        said.contains("Turned Down"),
        "the stages that there are: {said}"
    );
}

#[tokio::test]
async fn where_fields_may_not_be_read_zohos_own_names_serve() {
    let (house, agent) = open_house().await;
    let scopes = "ZohoCRM.modules.ALL ZohoCRM.coql.READ ZohoCRM.users.READ ZohoCRM.org.READ";
    house.zoho.set(json!({ "scopes": scopes })).await;
    let deals = deals(&house, "id is not null").await;
    for which in KINDS {
        let asked = json!({ "filters": { "status": which }, "limit": 200 });
        let found = all_pages(&agent, "list_deals", &asked).await;
        let found: BTreeSet<_> = ids(&json!({ "items": found })).into_iter().collect();
        assert_eq!(found, set(&of(&deals, which)), "{which}");
    }
    let asked = house.zoho.seen("GET", "/crm/v8/settings/fields").await;
    assert_eq!(asked, 1, "and that it may not is not asked each time");
}

#[tokio::test]
async fn where_zoho_cannot_say_the_call_fails_and_a_list_of_all_does_not() {
    let (house, agent) = open_house().await;
    let fault = json!({ "fault": "status", "status": 503, "path": "/crm/v8/settings/fields" });
    house.zoho.fault(fault).await;
    let told = agent.call("list_deals", json!({})).await.failure();
    assert!(told.contains("does not answer"), "{told}");
    let all = json!({ "filters": { "status": "all" } });
    agent.call("list_deals", all).await.content();
    house.zoho.mend().await;
    agent.call("list_deals", json!({})).await.content();
}
