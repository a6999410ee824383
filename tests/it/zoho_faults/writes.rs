//! Writes: never sent twice, and never said to have failed when they may have happened.

use std::time::Duration;

use serde_json::{Value, json};

use super::{contact, failure, hasty_house};
use crate::house::{House, SUPPORT};

async fn write(house: &House, note: &Value) -> crate::agent::Answer {
    house.agent(SUPPORT).call("create_note", note.clone()).await
}

/// Repeats it for as long as it is told that its fate is not known yet.
async fn settled(house: &House, note: &Value) -> Value {
    for _ in 0..400 {
        let answer = write(house, note).await;
        if !answer.text.contains("not known yet") {
            return answer.content();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for the fate of a note");
}

async fn fault(house: &House, mut fault: Value) {
    fault["path"] = json!("/crm/v8/Notes");
    fault["times"] = json!(1);
    house.zoho.fault(fault).await;
}

#[tokio::test]
async fn a_write_is_sent_once_whatever_comes_back() {
    let house = hasty_house().await;
    let id = contact(&house).await;
    let unknown = |fault: Value, written| {
        (
            fault,
            "ambiguous_write",
            "may or may not have happened",
            written,
        )
    };
    let too_many = json!({ "fault": "status", "status": 429 });
    for (kind, error, told, written) in [
        unknown(json!({ "fault": "status", "status": 500 }), 0),
        unknown(json!({ "fault": "status", "status": 503 }), 0),
        (too_many, "zoho_busy", "Zoho CRM is busy", 0),
        (
            json!({ "fault": "status", "status": 400, "body": "<html>" }),
            "zoho_refused_input",
            "refused a value",
            0,
        ),
        unknown(json!({ "fault": "reset_before" }), 0),
        unknown(json!({ "fault": "reset_after_commit" }), 1),
        unknown(json!({ "fault": "truncate" }), 1),
        unknown(json!({ "fault": "html" }), 0),
        unknown(json!({ "fault": "latency", "delay": "2s" }), 1),
    ] {
        let sent = house.zoho.seen("POST", "/crm/v8/Notes").await;
        let notes = house.zoho.notes_written().await;
        fault(&house, kind.clone()).await;
        let note = json!({ "record_id": id, "content": format!("with {kind}") });
        let answer = write(&house, &note).await;
        assert!(answer.failure().contains(told), "{kind}: {}", answer.text);
        let line = failure(&house, error).await;
        assert_eq!(line["toolName"], "create_note");
        assert_eq!(
            house.zoho.seen("POST", "/crm/v8/Notes").await - sent,
            1,
            "{kind}"
        );
        let new = house.zoho.notes_written().await - notes;
        // What a page for people stands for, nobody knows.
        assert!(
            new == written || kind["fault"] == "html",
            "{kind}: {new} notes"
        );
    }
}

#[tokio::test]
async fn an_unknown_fate_is_cleared_up_by_the_same_key() {
    let house = hasty_house().await;
    let id = contact(&house).await;
    for (kind, outcome) in [
        ("reset_after_commit", "found"),
        ("truncate", "found"),
        ("reset_before", "created"),
    ] {
        let before = house.zoho.notes_written().await;
        fault(&house, json!({ "fault": kind })).await;
        let note = json!({ "record_id": id, "title": "T", "content": format!("<{kind}> & more"),
            "idempotency_key": kind });
        let told = write(&house, &note).await.failure();
        assert!(told.contains("repeat it with the same key"), "{told}");
        let made = settled(&house, &note).await;
        assert_eq!(made["outcome"], outcome, "{kind}");
        let again = write(&house, &note).await.content();
        assert_eq!(
            (&again["outcome"], &again["noteId"]),
            (&json!("replayed"), &made["noteId"])
        );
        assert_eq!(house.zoho.notes_written().await - before, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_lost_write_is_not_taken_for_the_note_of_another_call() {
    let house = hasty_house().await;
    let id = contact(&house).await;
    let note = |key: Option<&str>| {
        let mut note = json!({ "record_id": id, "content": "Called, no answer" });
        if let Some(key) = key {
            note["idempotency_key"] = json!(key);
        }
        note
    };
    let mut written = Vec::new();
    for key in [Some("a"), None] {
        let made = write(&house, &note(key)).await.content();
        written.push(made["noteId"].clone());
    }
    fault(&house, json!({ "fault": "status", "status": 503 })).await;
    write(&house, &note(Some("b"))).await.failure();
    let made = settled(&house, &note(Some("b"))).await;
    assert_eq!(made["outcome"], "created");
    assert!(!written.contains(&made["noteId"]), "{made}");
    assert_eq!(house.zoho.notes_written().await, 3);
}

#[tokio::test]
async fn an_agent_that_goes_away_during_a_write_can_come_back_for_it() {
    let house = House::start().await;
    let id = contact(&house).await;
    fault(&house, json!({ "fault": "latency", "delay": "3s" })).await;
    let note = json!({ "record_id": id, "content": "gone", "idempotency_key": "gone" });
    let agent = house.agent(SUPPORT);
    let call = tokio::spawn({
        let note = note.clone();
        async move { agent.call("create_note", note).await }
    });
    // The note is in the CRM, its answer is not here yet.
    while house.zoho.notes_written().await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call.abort();
    house.event("tool_call_cancelled").await;
    let made = write(&house, &note).await.content();
    assert_eq!(made["outcome"], "found");
    assert_eq!(house.zoho.notes_written().await, 1);
}

#[tokio::test]
async fn a_token_refused_before_a_write_costs_no_second_note() {
    let house = hasty_house().await;
    let id = contact(&house).await;
    fault(&house, json!({ "fault": "revoke_tokens" })).await;
    let note = json!({ "record_id": id, "content": "after a new token" });
    assert_eq!(write(&house, &note).await.content()["outcome"], "created");
    assert_eq!(house.zoho.notes_written().await, 1);
}

#[tokio::test]
async fn an_agent_that_comes_back_before_zoho_has_written_is_told_to_wait() {
    let house = House::with(|setup| {
        setup.set("zoho.request_timeout", "5s");
    })
    .await;
    let id = contact(&house).await;
    fault(&house, json!({ "fault": "late_commit", "delay": "3s" })).await;
    let note = json!({ "record_id": id, "content": "late", "idempotency_key": "late" });
    let agent = house.agent(SUPPORT);
    let call = tokio::spawn({
        let note = note.clone();
        async move { agent.call("create_note", note).await }
    });
    while house.zoho.seen("POST", "/crm/v8/Notes").await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call.abort();
    house.event("tool_call_cancelled").await;
    let told = write(&house, &note).await.failure();
    assert!(told.contains("not known yet"), "{told}");
    assert!(told.contains("seconds"), "{told}");
    failure(&house, "idempotency_key_unsettled").await;
    assert_eq!(settled(&house, &note).await["outcome"], "found");
    assert_eq!(house.zoho.notes_written().await, 1);
}

#[tokio::test]
async fn a_second_attempt_that_is_lost_is_waited_for_too() {
    let house = hasty_house().await;
    let id = contact(&house).await;
    let note = json!({ "record_id": id, "content": "twice", "idempotency_key": "twice" });
    fault(&house, json!({ "fault": "reset_before" })).await;
    write(&house, &note).await.failure();
    fault(&house, json!({ "fault": "late_commit", "delay": "700ms" })).await;
    let mut told = String::from("not known yet");
    while told.contains("not known yet") {
        told = write(&house, &note).await.failure();
    }
    assert!(told.contains("may or may not have happened"), "{told}");
    assert_eq!(settled(&house, &note).await["outcome"], "found");
    assert_eq!(house.zoho.notes_written().await, 1);
}
