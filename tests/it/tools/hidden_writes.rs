//! Writes where fields are hidden from the CRM user behind the daemon: nothing is written twice, and
//! what was lost is told.

use serde_json::{Value, json};

use super::hidden::{contact, hide, house, links, lost};
use crate::{
    agent::Agent,
    house::{House, SUPPORT},
};

/// A note whose answer is lost, with those fields hidden, repeated until its fate is told.
async fn lost_note(house: &House, agent: &Agent, hidden: &[&str], later: &[&str]) -> Value {
    let note = json!({ "record_id": contact(agent).await, "title": "Veiled title",
        "content": "Veiled content", "idempotency_key": "lost-note" });
    hide(house, hidden).await;
    let fault = json!({ "fault": "reset_after_commit", "method": "POST", "path": "/crm/v8/Notes",
        "times": 1 });
    house.zoho.fault(fault).await;
    agent.call("create_note", note.clone()).await.failure();
    hide(house, later).await;
    loop {
        let again = agent.call("create_note", note.clone()).await.result();
        let told = again["content"][0]["text"].as_str().unwrap();
        if !told.contains("not known yet") {
            return again;
        }
    }
}

#[tokio::test]
async fn a_lost_note_that_shows_only_a_part_is_written_once() {
    let (text, time) = (&["Notes.Note_Content"][..], &["Notes.Created_Time"][..]);
    for (hidden, later) in [(text, text), (text, &[]), (time, time)] {
        let (house, agent) = house("dropped").await;
        let told = lost_note(&house, &agent, hidden, later).await;
        let told = told["content"][0]["text"].as_str().unwrap();
        assert!(told.contains("do not call again"), "{hidden:?}: {told}");
        assert_eq!(house.zoho.written("Notes").await, 1, "{hidden:?}");
    }
}

#[tokio::test]
async fn a_lost_write_without_its_link_is_found_though_links_were_kept_before() {
    let (house, agent) = house("dropped").await;
    let (tool, write, link) = links(&agent).await.swap_remove(0);
    hide(&house, &[]).await;
    let mut seen = write.clone();
    seen["subject"] = json!("Seen");
    agent.call(tool, seen).await.content();
    hide(&house, &[&link]).await;
    let told = lost(&house, &agent, (tool, write), &[]).await;
    assert_eq!(told["structuredContent"]["outcome"], "found", "{told}");
    assert_eq!(house.zoho.written("Tasks").await, 2);
}

#[tokio::test]
async fn a_stage_that_is_hidden_is_named() {
    let (house, agent) = house("dropped").await;
    let deals = agent.call("list_deals", json!({ "limit": 1 })).await;
    let deal = deals.content()["items"][0]["id"].clone();
    hide(&house, &["Deals.Stage"]).await;
    // One that has not seen the stages yet.
    let other = house.replica(|_| ()).await;
    let agent = other.agent(SUPPORT);
    let step = json!({ "deal_id": deal, "stage": "Needs Analysis" });
    let told = agent.call("update_deal_stage", step).await.failure();
    assert!(
        told.contains("`stage`") && !told.contains("No such"),
        "{told}"
    );
}
