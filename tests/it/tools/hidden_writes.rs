//! Writes where fields are hidden from the CRM user behind the daemon: what Zoho passes over or refuses is
//! told, and nothing is written twice.

use serde_json::{Value, json};

use super::hidden::{contact, hide, house, house_with};
use crate::{
    agent::Agent,
    house::{House, SUPPORT, Setup},
    redis::Redis,
};

fn lead(email: Option<&str>) -> Value {
    json!({ "last_name": "Hiddenfield", "company": "Veil & Co", "phone": "+1 555 0100",
        "email": email })
}

#[tokio::test]
async fn what_zoho_passes_over_is_told_and_looked_at_once_an_hour() {
    let (house, agent) = house("dropped").await;
    let made = agent
        .call("create_lead", lead(Some("h@veil.example")))
        .await;
    assert_eq!(made.content()["notKept"], json!(["email"]));
    assert!(made.told().contains("did not keep"), "{}", made.told());
    let asked = house.zoho.seen("GET", "/crm/v8/Leads/").await;
    assert_eq!(asked, 1);
    let made = agent.call("create_lead", lead(None)).await;
    assert_eq!(made.content().get("notKept"), None);
    assert_eq!(house.zoho.seen("GET", "/crm/v8/Leads/").await, asked);
    let about = contact(&agent).await;
    let task = json!({ "record_id": about, "subject": "Look behind", "priority": "High" });
    let made = agent.call("create_task", task).await.content();
    assert_eq!(made["notKept"], json!(["priority"]));
}

#[tokio::test]
async fn what_zoho_passed_over_is_told_by_the_key_too() {
    let redis = Redis::start();
    let sharing = |setup: &mut Setup| {
        setup.set("redis.url", &redis.url());
        setup.set("redis.timeout", "2s");
    };
    let (house, agent) = house_with("dropped", sharing).await;
    let mut lead = lead(Some("h@veil.example"));
    lead["idempotency_key"] = json!("veiled");
    let made = agent.call("create_lead", lead.clone()).await.content();
    let other = house.replica(|_| ()).await;
    for agent in [agent, other.agent(SUPPORT)] {
        let again = agent.call("create_lead", lead.clone()).await.content();
        assert_eq!(again["outcome"], "replayed");
        assert_eq!(again["recordId"], made["recordId"]);
        assert_eq!(again["notKept"], json!(["email"]));
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_told_and_told_again() {
    let (house, agent) = house("dropped").await;
    let down =
        json!({ "fault": "status", "status": 500, "method": "GET", "path": "/crm/v8/Leads/" });
    house.zoho.fault(down).await;
    let mut lead = lead(Some("h@veil.example"));
    lead["idempotency_key"] = json!("unseen");
    for outcome in ["created", "replayed"] {
        let made = agent.call("create_lead", lead.clone()).await;
        assert!(
            made.text.contains("could not be looked up"),
            "{}",
            made.text
        );
        assert_eq!(made.content()["outcome"], outcome);
    }
}

#[tokio::test]
async fn what_zoho_refuses_names_the_argument_and_writes_nothing() {
    let (house, agent) = house("refused").await;
    let told = agent
        .call("create_lead", lead(Some("h@veil.example")))
        .await;
    let told = told.failure();
    assert!(
        told.contains("`email`") && told.contains("may not write"),
        "{told}"
    );
    assert_eq!(house.zoho.written("Leads").await, 0);
    agent.call("create_lead", lead(None)).await.content();
    // Of a record that is there already it is known before anything is sent.
    let change = json!({ "contact_id": contact(&agent).await, "mobile": "+1 555 0101" });
    let told = agent.call("update_contact", change).await.failure();
    assert!(
        told.contains("`mobile`") && told.contains("may not use"),
        "{told}"
    );
    assert_eq!(house.zoho.seen("PUT", "/crm").await, 0);
}

#[tokio::test]
async fn a_lead_that_shows_only_a_part_is_not_taken_for_the_lost_one_nor_sent_again() {
    for (fault, written) in [("reset_after_commit", 1), ("reset_before", 0)] {
        let (house, agent) = house("dropped").await;
        // Another one of that name, of which the address is hidden as well.
        agent
            .call("create_lead", lead(Some("a@veil.example")))
            .await
            .content();
        let fault =
            json!({ "fault": fault, "path": "/crm/v8/Leads", "method": "POST", "times": 1 });
        house.zoho.fault(fault).await;
        let mut lead = lead(Some("h@veil.example"));
        lead["idempotency_key"] = json!("behind-a-veil");
        agent.call("create_lead", lead.clone()).await.failure();
        let told = told_at_last(&agent, ("create_lead", &lead)).await;
        let told = told["content"][0]["text"].as_str().unwrap();
        assert!(told.contains("do not call again"), "{told}");
        assert_eq!(house.zoho.written("Leads").await, 1 + written);
    }
}

#[tokio::test]
async fn of_many_that_show_only_a_part_none_is_taken_and_none_is_added() {
    let (house, agent) = house("dropped").await;
    let mut task =
        json!({ "record_id": contact(&agent).await, "subject": "Same", "priority": "High" });
    for _ in 0..7 {
        agent.call("create_task", task.clone()).await.content();
    }
    task["idempotency_key"] = json!("one-of-many");
    lose(&house, &agent, "Tasks", ("create_task", &task)).await;
    let told = told_at_last(&agent, ("create_task", &task)).await;
    let told = told["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("do not call again"), "{told}");
    assert_eq!(house.zoho.written("Tasks").await, 8);
}

/// A task and a call about a contact and about a deal, and the field that links them.
async fn links(agent: &Agent) -> Vec<(&'static str, Value, String)> {
    let mut links = Vec::new();
    let deals = agent.call("list_deals", json!({ "limit": 1 })).await;
    let deal = deals.content()["items"][0]["id"].clone();
    for (about, id, link) in [
        ("Contacts", contact(agent).await, "Who_Id"),
        ("Deals", deal, "What_Id"),
    ] {
        let task = json!({ "record_id": id, "module": about, "subject": "Link" });
        let mut call = task.clone();
        call["direction"] = json!("Outbound");
        call["start_time"] = json!("2025-01-02T10:00:00Z");
        call["duration_minutes"] = json!(5);
        links.push(("create_task", task, format!("Tasks.{link}")));
        links.push(("log_call", call, format!("Calls.{link}")));
    }
    links
}

#[tokio::test]
async fn what_is_attached_to_no_record_says_so_and_says_it_again() {
    let (house, agent) = house("dropped").await;
    for (tool, mut write, link) in links(&agent).await {
        hide(&house, &[&link]).await;
        write["idempotency_key"] = json!(link);
        for outcome in ["created", "replayed"] {
            let made = agent.call(tool, write.clone()).await;
            assert!(
                made.text.contains("not attached to the record"),
                "{}",
                made.text
            );
            let made = made.content();
            assert_eq!(made["outcome"], outcome);
            assert_eq!(made["notKept"], json!(["record_id"]), "{link}");
        }
    }
    hide(&house, &[]).await;
    for (tool, write, _) in links(&agent).await {
        let made = agent.call(tool, write).await.content();
        assert_eq!(made.get("notKept"), None, "{made}");
    }
    // What is kept is known now.
    let looks = async || {
        house.zoho.seen("GET", "/crm/v8/Tasks/").await
            + house.zoho.seen("GET", "/crm/v8/Calls/").await
    };
    let before = looks().await;
    for (tool, write, _) in links(&agent).await {
        agent.call(tool, write).await.content();
    }
    assert_eq!(looks().await, before);
}

#[tokio::test]
async fn a_link_that_zoho_refuses_is_told_as_the_argument() {
    let (house, agent) = house("refused").await;
    for (tool, write, link) in links(&agent).await {
        hide(&house, &[&link]).await;
        let told = agent.call(tool, write).await.failure();
        let named = told.contains("`record_id`") && told.contains("may not write");
        assert!(named, "{link}: {told}");
    }
    let written = house.zoho.written("Tasks").await + house.zoho.written("Calls").await;
    assert_eq!(written, 0);
    hide(&house, &[]).await;
    for (tool, write, _) in links(&agent).await {
        agent.call(tool, write).await.content();
    }
}

#[tokio::test]
async fn a_note_whose_record_zoho_passes_over_is_not_made_and_the_argument_is_named() {
    let (house, agent) = house("dropped").await;
    let note = json!({ "record_id": contact(&agent).await, "content": "Nowhere" });
    hide(&house, &["Notes.Parent_Id"]).await;
    let told = agent.call("create_note", note.clone()).await.failure();
    let named = told.contains("`record_id`") && told.contains("may not write that field");
    assert!(named && !told.contains("leave it out"), "{told}");
    assert_eq!(house.zoho.notes_written().await, 0);
    hide(&house, &[]).await;
    agent.call("create_note", note).await.content();
}

#[tokio::test]
async fn a_note_whose_text_zoho_passes_over_says_so_and_says_it_again() {
    let (house, agent) = house("dropped").await;
    let mut note = json!({ "record_id": contact(&agent).await, "title": "Veiled title",
        "content": "Veiled content" });
    for (field, argument, loses_text) in [
        ("Notes.Note_Content", "content", true),
        ("Notes.Note_Title", "title", false),
    ] {
        hide(&house, &[field]).await;
        note["idempotency_key"] = json!(argument);
        for outcome in ["created", "replayed"] {
            let made = agent.call("create_note", note.clone()).await;
            assert_eq!(made.text.contains("without its text"), loses_text);
            assert!(made.told().contains("did not keep"), "{}", made.told());
            let made = made.content();
            assert_eq!(made["outcome"], outcome);
            assert_eq!(made["notKept"], json!([argument]), "{made}");
        }
    }
    hide(&house, &[]).await;
    let looks = async || house.zoho.seen("GET", "/crm/v8/Contacts/").await;
    for (key, looked) in [("kept", 1), ("known", 0)] {
        note["idempotency_key"] = json!(key);
        let before = looks().await;
        let made = agent.call("create_note", note.clone()).await.content();
        assert_eq!(made.get("notKept"), None, "{made}");
        assert_eq!(looks().await - before, looked, "{key}");
    }
}

/// Loses the answer of a write to that module, and says what is told of it.
pub(super) async fn lose(
    house: &House,
    agent: &Agent,
    module: &str,
    (tool, write): (&str, &Value),
) -> String {
    let method = match tool.starts_with("update") {
        true => "PUT",
        false => "POST",
    };
    let path = format!("/crm/v8/{module}");
    let lost = json!({ "fault": "reset_after_commit", "method": method, "path": path, "times": 1 });
    house.zoho.fault(lost).await;
    agent.call(tool, write.clone()).await.failure()
}

/// What a write is told whose answer was lost, once its fate is known.
async fn told_at_last(agent: &Agent, (tool, write): (&str, &Value)) -> Value {
    loop {
        let again = agent.call(tool, write.clone()).await.result();
        let told = again["content"][0]["text"].as_str().unwrap();
        if !told.contains("not known yet") {
            return again;
        }
    }
}

/// Loses the answer of a task, and repeats it with those fields hidden.
async fn lost(house: &House, agent: &Agent, write: (&str, Value), hidden: &[&str]) -> Value {
    let (tool, mut write) = write;
    write["idempotency_key"] = json!("lost");
    lose(house, agent, "Tasks", (tool, &write)).await;
    hide(house, hidden).await;
    told_at_last(agent, (tool, &write)).await
}

#[tokio::test]
async fn a_lost_write_that_cannot_be_found_is_not_sent_again() {
    for at in [0, 2] {
        let (house, agent) = house("dropped").await;
        let (tool, write, link) = links(&agent).await.swap_remove(at);
        hide(&house, &[&link]).await;
        let told = lost(&house, &agent, (tool, write), &[&link]).await;
        let text = told["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("do not call again"), "{told}");
        assert_eq!(house.zoho.written("Tasks").await, 1);
    }
}

#[tokio::test]
async fn a_lost_write_without_its_link_is_not_sent_again_where_the_link_is_shown_again() {
    for at in [0, 2] {
        let (house, agent) = house("dropped").await;
        let (tool, write, link) = links(&agent).await.swap_remove(at);
        // A link that was kept before.
        hide(&house, &[]).await;
        let mut seen = write.clone();
        seen["subject"] = json!("Seen");
        agent.call(tool, seen).await.content();
        hide(&house, &[&link]).await;
        let told = lost(&house, &agent, (tool, write), &[]).await;
        let text = told["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("do not call again"), "{told}");
        assert_eq!(house.zoho.written("Tasks").await, 2);
    }
}

/// A note whose answer is lost, with those fields hidden, repeated until its fate is told.
async fn lost_note(house: &House, agent: &Agent, hidden: &[&str], later: &[&str]) -> Value {
    let note = json!({ "record_id": contact(agent).await, "title": "Veiled title",
        "content": "Veiled content", "idempotency_key": "lost-note" });
    hide(house, hidden).await;
    lose(house, agent, "Notes", ("create_note", &note)).await;
    hide(house, later).await;
    told_at_last(agent, ("create_note", &note)).await
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
async fn a_stage_that_is_hidden_is_named_until_it_is_shown() {
    let (house, agent) = house("dropped").await;
    let deals = agent.call("list_deals", json!({ "limit": 1 })).await;
    let deal = deals.content()["items"][0]["id"].clone();
    hide(&house, &["Deals.Stage"]).await;
    // One that has not seen the stages yet.
    let other = house.replica(|_| ()).await;
    let agent = other.agent(SUPPORT);
    let step = json!({ "deal_id": deal, "stage": "Needs Analysis" });
    let told = agent
        .call("update_deal_stage", step.clone())
        .await
        .failure();
    assert!(
        told.contains("`stage`") && !told.contains("No such"),
        "{told}"
    );
    hide(&house, &[]).await;
    agent.call("update_deal_stage", step).await.content();
}
