//! Answers of several parts where a field is hidden that one of them needs: what is missing is named.

use serde_json::{Value, json};

use super::{
    hidden::{contact, hide, open_to_an_owner},
    open_to_one,
};
use crate::agent::Agent;

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
    let contact = contact(&agent).await;
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
        assert!(text.contains(&format!("has or shows no {named}")), "{text}");
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

#[tokio::test]
async fn a_history_names_the_lists_of_which_it_is_not_shown_whose_they_are() {
    let (house, agent) = open_to_an_owner().await;
    let contact = contact(&agent).await;
    let task = json!({ "record_id": contact, "subject": "Veiled" });
    agent.call("create_task", task).await.content();
    let looks = async || house.zoho.seen("GET", "/crm/v8/settings/fields").await;
    let tasks = json!({ "contact_id": contact, "types": ["notes", "tasks"] });
    let shown = agent.call("get_contact_history", tasks.clone()).await;
    assert!(shown.content()["count"].as_u64() > Some(0));
    assert_eq!(looks().await, 0, "what was found was shown");
    let all = ["Tasks", "Calls", "Events", "Deals"].map(|module| format!("{module}.Owner"));
    hide(&house, &all.each_ref().map(String::as_str)).await;
    for _ in 0..2 {
        let told = agent
            .call("get_contact_history", json!({ "contact_id": contact }))
            .await;
        let history = told.content();
        for source in history["sources"].as_array().unwrap() {
            let is_hidden = source["source"] != "notes";
            assert_eq!(source["status"] == "hidden", is_hidden, "{history}");
            let named = format!(
                "The {} could not be read",
                source["source"].as_str().unwrap()
            );
            assert_eq!(told.text.contains(&named), is_hidden, "{}", told.text);
        }
        assert!(told.text.contains("their field `Owner`"), "{}", told.text);
        assert_eq!(history["more"], false, "to go on would be in vain");
    }
    assert_eq!(looks().await, 4, "once of each module");
    let told = json!({ "contact_id": contact, "types": ["tasks"] });
    let told = agent.call("get_contact_history", told).await.failure();
    assert!(told.contains("the field `Owner`"), "{told}");
    assert!(!told.contains("another field"), "{told}");
}

#[tokio::test]
async fn an_overview_names_the_list_of_which_it_is_not_shown_whose_they_are() {
    let (house, agent) = open_to_an_owner().await;
    let accounts = agent.call("search_accounts", json!({ "query": "example" }));
    let accounts = accounts.await.content();
    hide(&house, &["Contacts.Owner"]).await;
    let accounts = accounts["items"].as_array().unwrap();
    assert!(accounts.len() > 1);
    for account in accounts.iter().take(3) {
        let account = json!({ "account_id": account["id"] });
        let overview = agent.call("get_account_360", account).await.content();
        let missing = json!(["contacts (the field Owner is hidden)"]);
        assert_eq!(overview["unavailable"], missing, "{overview}");
        assert_eq!(overview.get("contacts"), None);
    }
}

#[tokio::test]
async fn whether_a_task_is_overdue_is_not_denied_where_its_day_was_hidden() {
    let (house, agent) = open_to_one().await;
    let asked = |status: &str| json!({ "types": ["tasks"], "status": status, "from": "2020-01-01", "to": "2199-12-31" });
    hide(&house, &["Tasks.Due_Date"]).await;
    agent.call("list_activities", asked("all")).await.failure();
    hide(&house, &[]).await;
    // It is left out for a while.
    for (status, overdue) in [("all", Value::Null), ("overdue", json!(true))] {
        let tasks = agent.call("list_activities", asked(status)).await.content();
        let tasks = tasks["items"].as_array().unwrap();
        assert!(!tasks.is_empty(), "{status}");
        for task in tasks {
            assert_eq!(task.get("time"), None, "{task}");
            let is_done = task["status"] == "Completed";
            let expected = if is_done { &json!(false) } else { &overdue };
            assert_eq!(&task["overdue"], expected, "{status}: {task}");
        }
    }
}

#[tokio::test]
async fn a_deal_says_where_it_is_not_shown_whether_it_is_overdue() {
    let (house, agent) = open_to_one().await;
    let open = json!({ "limit": 1, "filters": { "status": "open" } });
    let deals = agent.call("list_deals", open).await.content();
    let deal = json!({ "deal_id": deals["items"][0]["id"] });
    for (hidden, told) in [
        ("Closing_Date", "no closing date is set or shown"),
        ("Stage", "the stage is not shown"),
    ] {
        hide(&house, &[]).await;
        let shown = agent.call("get_deal_summary", deal.clone()).await;
        assert!(!shown.text.contains("not known"), "{}", shown.text);
        hide(&house, &[&format!("Deals.{hidden}")]).await;
        let summary = agent.call("get_deal_summary", deal.clone()).await;
        assert!(summary.text.contains(told), "{}", summary.text);
    }
}

#[tokio::test]
async fn a_list_that_needs_a_hidden_status_says_what_does_not() {
    let (house, agent) = open_to_one().await;
    hide(&house, &["Tasks.Status"]).await;
    for status in ["open", "overdue"] {
        let asked = json!({ "types": ["tasks"], "status": status });
        let told = agent.call("list_activities", asked).await.failure();
        assert!(told.contains("the field `Status`"), "{told}");
        assert!(told.contains("`status` all"), "{told}");
        assert!(!told.contains("name another field"), "{told}");
    }
    let all = json!({ "types": ["tasks"], "status": "all" });
    agent.call("list_activities", all).await.content();
}

#[tokio::test]
async fn a_report_by_month_asks_once_where_a_field_is_hidden_that_it_needs() {
    let (house, agent) = open_to_one().await;
    let months = json!({ "period": "this_year", "group_by": "month" });
    agent
        .call("get_revenue_report", months.clone())
        .await
        .content();
    hide(&house, &["Deals.Closing_Date"]).await;
    let before = house.zoho.seen("POST", "/crm/v8/coql").await;
    let told = agent.call("get_revenue_report", months).await.failure();
    assert!(told.contains("the field `Closing_Date`"), "{told}");
    assert_eq!(house.zoho.seen("POST", "/crm/v8/coql").await - before, 1);
}
