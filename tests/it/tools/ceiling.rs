//! The most records that a role gives an answer.

use serde_json::{Value, json};

use super::everything_allowed;
use crate::house::{House, SUPPORT, eventually};

#[tokio::test]
async fn no_tool_returns_more_records_than_the_role_allows() {
    for ceiling in [1, 3] {
        let house = House::with(|setup| {
            everything_allowed(setup);
            let most = ceiling.to_string();
            setup.set("roles.customer-service.max_records_per_query", &most);
        })
        .await;
        let agent = house.agent(SUPPORT);
        let calls = calls(&house).await;
        assert_eq!(calls.len(), agent.tools().await.len() + 2);
        for (tool, arguments) in &calls {
            agent.call(tool, arguments.clone()).await.content();
        }
        let ends = eventually("all calls to be recorded", || {
            let ends = house.events("tool_call_success");
            (ends.len() == calls.len()).then_some(ends)
        })
        .await;
        for line in ends {
            let records = line["recordsReturned"].as_u64();
            assert!(
                records.is_some_and(|records| records <= ceiling),
                "{ceiling}: {line}"
            );
        }
    }
}

#[tokio::test]
async fn an_account_says_that_the_role_cut_its_lists() {
    let house = House::with(|setup| {
        everything_allowed(setup);
        setup.set("roles.customer-service.max_records_per_query", "3");
    })
    .await;
    let id = crowded_account(&house).await;
    let answer = house
        .agent(SUPPORT)
        .call("get_account_360", json!({ "account_id": id }))
        .await;
    assert!(answer.text.contains("allows 3 records"), "{}", answer.text);
    let seen = answer.content();
    let rows = |list: &str| seen[list].as_array().unwrap().len();
    let shown = rows("contacts") + rows("openDeals") + rows("cases");
    assert_eq!((rows("contacts"), shown), (1, 2), "{seen}");
    assert_eq!(
        (&seen["moreContacts"], &seen["limitedTo"]),
        (&json!(true), &json!(3))
    );
}

#[tokio::test]
async fn every_list_says_that_the_role_cut_it() {
    let house = House::with(|setup| {
        everything_allowed(setup);
        setup.set("roles.customer-service.max_records_per_query", "3");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let always = json!({ "status": "all", "from": "1990-01-01", "to": "2199-12-31" });
    for (tool, arguments) in [
        ("list_activities", always),
        ("list_deals", json!({})),
        ("search_contacts", json!({ "query": "example" })),
    ] {
        let answer = agent.call(tool, arguments).await;
        assert!(
            answer.text.contains("role allows 3 rows"),
            "{}",
            answer.text
        );
        assert_eq!(answer.content()["limitedTo"], 3, "{tool}");
    }
}

/// The account with the most contacts among those with many open deals.
async fn crowded_account(house: &House) -> Value {
    let query = "select Account_Name, COUNT(id) as n from Deals where (Account_Name is not null \
                 and Stage not in ('Closed Won', 'Closed Lost', 'Closed-Lost to Competition')) \
                 group by Account_Name order by n desc limit 0, 20";
    let mut best = (0, Value::Null);
    for row in house.zoho.coql(query).await {
        let id = &row["Account_Name"]["id"];
        let people = format!("Account_Name = '{}'", id.as_str().unwrap());
        let people = house.zoho.ids("Contacts", &people).await.len();
        if people > best.0 {
            best = (people, id.clone());
        }
    }
    assert!(best.0 > 1, "no account is crowded");
    best.1
}

/// A call of each tool; two where there are two kinds of answer.
async fn calls(house: &House) -> Vec<(&'static str, Value)> {
    let first = |module, condition| async move {
        let ids = house.zoho.ids(module, condition).await;
        json!(ids[0])
    };
    let contact = first("Contacts", "Phone is not null").await;
    let deal = first("Deals", "Stage = 'Qualification'").await;
    let task = first("Tasks", "Status = 'Not Started'").await;
    let account = crowded_account(house).await;
    let call = json!({ "record_id": contact, "subject": "x", "direction": "Inbound",
        "start_time": "2026-01-05T10:00:00Z", "duration_minutes": 1 });
    let note = json!({ "record_id": deal, "module": "Deals", "content": "x" });
    let moved = json!({ "deal_id": deal, "stage": "Needs Analysis" });
    vec![
        ("create_note", note.clone()),
        ("create_note", note),
        ("complete_task", json!({ "task_id": task })),
        ("count_records", json!({ "module": "Deals" })),
        ("create_lead", json!({ "last_name": "x", "company": "y" })),
        (
            "create_task",
            json!({ "record_id": contact, "subject": "x" }),
        ),
        ("describe_module", json!({ "module": "Deals" })),
        (
            "get_account_360",
            json!({ "account_id": account, "limit": 200 }),
        ),
        ("get_contact", json!({ "contact_id": contact })),
        (
            "get_contact_history",
            json!({ "contact_id": contact, "limit": 200 }),
        ),
        ("get_credit_usage", json!({})),
        ("get_dashboard_metrics", json!({})),
        ("get_deal_summary", json!({ "deal_id": deal })),
        ("get_deal_summary", json!({ "limit": 200 })),
        ("get_forecast", json!({})),
        ("get_pipeline", json!({})),
        (
            "get_revenue_report",
            json!({ "period": "last_year", "group_by": "owner" }),
        ),
        ("get_stale_deals", json!({ "limit": 200 })),
        ("list_activities", json!({ "limit": 200 })),
        ("list_deals", json!({ "limit": 200 })),
        ("log_call", call),
        ("search_accounts", json!({ "name": "a", "limit": 200 })),
        ("search_contacts", json!({ "name": "a", "limit": 200 })),
        ("search_leads", json!({ "name": "a", "limit": 200 })),
        (
            "update_contact",
            json!({ "contact_id": contact, "title": "x" }),
        ),
        ("update_deal_stage", moved),
        ("whoami", json!({})),
    ]
}
