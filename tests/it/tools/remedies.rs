//! What an agent is told to do after a write that failed: something that helps, and makes no second record.

use serde_json::{Value, json};

use super::{
    hidden::{contact, hide, house, open_to_an_owner},
    hidden_writes::lose,
};
use crate::house::SUPPORT;

/// A write of each tool that adds something, and the module that it goes to.
fn additions(contact: &Value) -> [(&'static str, &'static str, Value); 4] {
    [
        (
            "create_note",
            "Notes",
            json!({ "record_id": contact, "content": "Veil" }),
        ),
        (
            "create_task",
            "Tasks",
            json!({ "record_id": contact, "subject": "Veil" }),
        ),
        (
            "log_call",
            "Calls",
            json!({ "record_id": contact, "subject": "Veil", "direction": "Inbound",
                "start_time": "2025-01-02T10:00:00Z", "duration_minutes": 5 }),
        ),
        (
            "create_lead",
            "Leads",
            json!({ "last_name": "Veil", "company": "Veil & Co" }),
        ),
    ]
}

#[tokio::test]
async fn after_a_lost_answer_it_is_said_where_to_look_and_not_to_write_again() {
    let (house, agent) = house("dropped").await;
    let places = [
        "get_contact_history",
        "list_activities",
        "list_activities",
        "search_leads",
    ];
    let writes = additions(&contact(&agent).await);
    for ((tool, module, write), place) in writes.into_iter().zip(places) {
        let told = lose(&house, &agent, module, (tool, &write)).await;
        for part in [
            "idempotency_key",
            "do not call again",
            place,
            "tell the user",
        ] {
            assert!(told.contains(part), "{tool}: {told}");
        }
    }
}

#[tokio::test]
async fn after_the_lost_answer_of_a_change_the_record_is_read_again() {
    let (house, agent) = house("dropped").await;
    let change = json!({ "contact_id": contact(&agent).await, "title": "Boss" });
    let told = lose(&house, &agent, "Contacts", ("update_contact", &change)).await;
    assert!(told.contains("read the record again"), "{told}");
}

#[tokio::test]
async fn what_a_tool_needs_is_not_to_be_left_out() {
    let (house, agent) = house("refused").await;
    let about = contact(&agent).await;
    let lead = json!({ "last_name": "Veil", "company": "Veil & Co", "phone": "+1 555 0100" });
    let task = json!({ "record_id": about, "subject": "Veil", "priority": "High" });
    let title = json!({ "contact_id": about, "title": "Boss" });
    for (hidden, tool, asked, argument, may_be_left_out) in [
        ("Leads.Company", "create_lead", &lead, "company", false),
        ("Leads.Phone", "create_lead", &lead, "phone", true),
        ("Tasks.Who_Id", "create_task", &task, "record_id", false),
        ("Tasks.Subject", "create_task", &task, "subject", false),
        ("Tasks.Priority", "create_task", &task, "priority", true),
        ("Contacts.Title", "update_contact", &title, "title", false),
    ] {
        hide(&house, &[hidden]).await;
        let told = agent.call(tool, asked.clone()).await.failure();
        assert!(told.contains(&format!("`{argument}`")), "{hidden}: {told}");
        assert!(told.contains("operator"), "{hidden}: {told}");
        let advised = told.contains("leave it out");
        assert_eq!(advised, may_be_left_out, "{hidden}: {told}");
    }
}

#[tokio::test]
async fn what_nobody_gave_is_not_sent() {
    let (house, agent) = house("refused").await;
    hide(&house, &["Tasks.Priority", "Tasks.Status"]).await;
    let task = json!({ "record_id": contact(&agent).await, "subject": "Veil" });
    let made = agent.call("create_task", task).await.content();
    hide(&house, &[]).await;
    let id = made["recordId"].as_str().unwrap();
    let query = format!("select Status, Priority from Tasks where id = {id}");
    let task = &house.zoho.coql(&query).await[0];
    assert_eq!(
        (&task["Status"], &task["Priority"]),
        (&json!("Not Started"), &json!("Normal"))
    );
}

/// The most credits that a tool says it costs.
fn most(description: &str) -> u64 {
    let costs = description.split("Costs ").nth(1).unwrap();
    let costs = costs.split(" API").next().unwrap();
    costs.split(' ').next_back().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_first_write_of_a_client_costs_no_more_than_its_tool_says() {
    for at in 0..4 {
        let (house, agent) = open_to_an_owner().await;
        let about = contact(&agent).await;
        let other = house.replica(|_| ()).await;
        let agent = other.agent(SUPPORT);
        let listed = agent.list().await.result()["tools"].clone();
        let (tool, _, mut write) = additions(&about).into_iter().nth(at).unwrap();
        let listed = listed.as_array().unwrap().iter();
        let says = listed.filter(|listed| listed["name"] == tool);
        let says = says.map(|tool| most(tool["description"].as_str().unwrap()));
        let says: Vec<_> = says.collect();
        write["idempotency_key"] = json!("first");
        agent.call(tool, write).await.content();
        let ended = other.event("tool_call_success").await;
        assert_eq!(says, [ended["credits"].as_u64().unwrap()], "{tool}");
    }
}
