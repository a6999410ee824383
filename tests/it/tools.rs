//! The tools against the sandbox, checked against what the sandbox itself says.

mod activities;
mod arguments;
mod ceiling;
mod counts;
mod deals;
mod figures;
mod hidden;
mod hidden_parts;
mod hidden_search;
mod hidden_writes;
mod history;
mod notes;
mod pipeline;
mod records;
mod remedies;
mod search;
mod self_knowledge;
mod stages;
mod writes;

use serde_json::Value;

use crate::{
    agent::Agent,
    house::{House, SUPPORT, Setup},
};

/// A house where one agent may call every tool and have as many rows as Zoho gives.
async fn open_house() -> (House, Agent) {
    let house = House::with(everything_allowed).await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

/// The same, where the CRM user behind the daemon is one from whom fields can be hidden.
async fn open_to_one() -> (House, Agent) {
    let house = House::with(|setup| {
        everything_allowed(setup);
        setup.zoho_user("rep-1");
    })
    .await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

pub(crate) fn everything_allowed(setup: &mut Setup) {
    setup.set(
        "roles.customer-service.tools",
        r#"["search_contacts", "get_contact_history", "create_note", "get_deal_summary",
            "get_revenue_report", "get_dashboard_metrics", "create_task", "log_call",
            "complete_task", "update_deal_stage", "update_contact", "create_lead", "count_records",
            "describe_module", "get_account_360", "get_contact", "get_credit_usage",
            "get_forecast", "get_pipeline", "get_stale_deals", "list_activities", "list_deals",
            "search_accounts", "search_leads", "whoami"]"#,
    );
    setup.set("roles.customer-service.max_records_per_query", "200");
}

pub(crate) fn ids(content: &Value) -> Vec<String> {
    let items = content["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Those columns of every deal that passes `condition`, as the CRM has them.
pub(crate) async fn every_deal(house: &House, columns: &str, condition: &str) -> Vec<Value> {
    let mut deals = Vec::new();
    loop {
        let from = deals.len();
        let query = format!("select {columns} from Deals where {condition} limit {from}, 200");
        let rows = house.zoho.coql(&query).await;
        let last = rows.len() < 200;
        deals.extend(rows);
        if last {
            return deals;
        }
    }
}

/// All pages of a list, until there is no cursor.
pub(crate) async fn all_pages(agent: &Agent, tool: &str, arguments: &Value) -> Vec<Value> {
    let (mut items, mut arguments) = (Vec::new(), arguments.clone());
    for _ in 0..100 {
        let page = agent.call(tool, arguments.clone()).await.content();
        items.extend(page["items"].as_array().unwrap().clone());
        assert_eq!(page["more"] == true, page["cursor"].is_string(), "{page}");
        if page["cursor"].is_null() {
            return items;
        }
        arguments["cursor"] = page["cursor"].clone();
    }
    panic!("{tool} has no end");
}

pub(crate) fn assert_close(ours: &Value, theirs: f64, what: &str) {
    let ours = ours.as_f64().unwrap_or_else(|| panic!("{what}: {ours}"));
    assert!((ours - theirs).abs() < 0.01, "{what}: {ours} {theirs}");
}
