//! Answers of several parts where a field is hidden that one of them needs: what is missing is named.

use serde_json::{Value, json};

use super::open_to_one;
use crate::{agent::Agent, house::House};

async fn hide(house: &House, fields: &[&str]) {
    house.zoho.set(json!({ "hidden_fields": fields })).await;
}

async fn status_of(agent: &Agent, asked: Value) -> (String, Value, Value) {
    let kind = asked["types"][0].as_str().unwrap().to_owned();
    let told = agent.call("get_contact_history", asked).await;
    let content = told.content();
    let sources = content["sources"].as_array().unwrap();
    let source = sources.iter().find(|source| source["source"] == kind);
    let status = source.unwrap()["status"].clone();
    (told.told(), status, content["items"].clone())
}

#[tokio::test]
async fn a_history_says_of_which_list_it_is_not_shown_when_it_took_place() {
    let (house, agent) = open_to_one().await;
    let found = agent
        .call("search_contacts", json!({ "query": "example", "limit": 1 }))
        .await;
    let contact = found.content()["items"][0]["id"].clone();
    let note = json!({ "record_id": contact, "content": "Timeless" });
    agent.call("create_note", note).await.content();
    let call = json!({ "record_id": contact, "subject": "Timeless", "direction": "Outbound",
        "start_time": "2020-01-02T10:00:00Z", "duration_minutes": 5 });
    agent.call("log_call", call).await.content();
    for (kind, field, left) in [
        ("notes", "Notes.Created_Time", 0),
        ("calls", "Calls.Call_Start_Time", 1),
    ] {
        let since = json!({ "contact_id": contact, "types": [kind], "since": "2020-01-01" });
        hide(&house, &[]).await;
        let (text, status, items) = status_of(&agent, since.clone()).await;
        assert_eq!(status, "ok", "{text}");
        assert!(items[0]["time"].is_string(), "{items}");
        hide(&house, &[field]).await;
        let (text, status, items) = status_of(&agent, since).await;
        assert_eq!(status, "untimed", "{text}");
        let named = field.split_once('.').unwrap().1;
        assert!(text.contains(&format!("shows no {named}")), "{text}");
        let items = items.as_array().unwrap();
        assert_eq!(items.is_empty(), left == 0, "{items:?}");
        assert!(items.iter().all(|item| item.get("time").is_none()));
    }
}

#[tokio::test]
async fn whether_a_task_is_overdue_is_left_open_where_its_status_is_hidden() {
    let (house, agent) = open_to_one().await;
    let all = json!({ "types": ["tasks"], "status": "all", "from": "2020-01-01",
        "to": "2199-12-31", "limit": 200 });
    let shown = agent.call("list_activities", all.clone()).await.content();
    let late = |task: &&Value| task["overdue"] == true;
    let items = shown["items"].as_array().unwrap();
    assert!(items.iter().any(|task| late(&task)), "{items:?}");
    hide(&house, &["Tasks.Status"]).await;
    let hidden = agent.call("list_activities", all).await.content();
    let hidden = hidden["items"].as_array().unwrap();
    for (shown, hidden) in items.iter().zip(hidden) {
        assert_eq!(shown["id"], hidden["id"]);
        match shown["overdue"] == true {
            true => assert_eq!(hidden.get("overdue"), None, "{hidden}"),
            false => assert_ne!(hidden["overdue"], true, "{hidden}"),
        }
    }
}

#[tokio::test]
async fn the_parts_of_an_overview_that_a_hidden_field_takes_away_name_it() {
    let (house, agent) = open_to_one().await;
    let deals = agent.call("list_deals", json!({ "limit": 1 })).await;
    let account = json!({ "account_id": deals.content()["items"][0]["accountId"] });
    hide(&house, &["Deals.Amount"]).await;
    for (tool, asked) in [
        ("get_account_360", account),
        ("get_dashboard_metrics", json!({})),
    ] {
        let told = agent.call(tool, asked).await;
        let content = told.content();
        let missing = content["unavailable"].as_array().unwrap();
        let named = |part: &Value| {
            let part = part.as_str().unwrap();
            part.ends_with("(the field Amount is hidden)")
        };
        assert!(missing.iter().any(named), "{tool}: {content}");
        assert!(told.told().contains("the field Amount is hidden"));
    }
}
