//! Idempotency keys that several instances share over Redis.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    agent::Answer,
    house::{House, SUPPORT},
    pair::pair,
    redis::Redis,
};

async fn write(house: &House, note: &Value) -> Answer {
    house.agent(SUPPORT).call("create_note", note.clone()).await
}

/// Tries until it is told anything but to come back.
async fn written(house: &House, note: &Value) -> Value {
    for _ in 0..200 {
        let result = write(house, note).await.result();
        if result["isError"] != true {
            return result["structuredContent"].clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for the note to be written");
}

async fn note(house: &House, content: &str) -> Value {
    let id = house.zoho.ids("Contacts", "id is not null").await.remove(0);
    json!({ "record_id": id, "content": content, "idempotency_key": content.len().to_string() })
}

#[tokio::test]
async fn a_key_writes_once_on_all_instances_and_across_a_restart() {
    let redis = Redis::start();
    let mut houses = pair(&redis, |_| ()).await;
    let mut note = note(&houses[0], "Wants a call from Giulia on Friday").await;
    let made = write(&houses[0], &note).await.content();
    let again = write(&houses[1], &note).await.content();
    houses[0].crash();
    houses[0].start_again().await;
    let restarted = write(&houses[0], &note).await.content();
    for replayed in [&again, &restarted] {
        assert_eq!(replayed["outcome"], "replayed");
        assert_eq!(replayed["noteId"], made["noteId"]);
    }
    note["content"] = json!("something else");
    for house in &houses {
        let told = write(house, &note).await.failure();
        assert!(told.contains("already used with other arguments"), "{told}");
    }
    assert_eq!(houses[0].zoho.notes_written().await, 1);
    let keys = redis.keys();
    let keys = keys.iter().filter(|key| key.starts_with("zm:idem:k:"));
    for key in keys {
        let kept: Vec<String> = redis.ask(&["HVALS", key]);
        assert!(!kept.concat().contains("Giulia"), "{kept:?}");
        let life: i64 = redis.ask(&["TTL", key]);
        assert!((86_000..=86_400).contains(&life), "{life}");
    }
}

#[tokio::test]
async fn an_unknown_fate_is_cleared_up_by_another_instance() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("zoho.request_timeout", "400ms");
    })
    .await;
    for (kind, outcome) in [("reset_after_commit", "found"), ("reset_before", "created")] {
        let note = note(&houses[0], kind).await;
        let fault = json!({ "fault": kind, "path": "/crm/v8/Notes", "times": 1 });
        houses[0].zoho.fault(fault).await;
        write(&houses[0], &note).await.failure();
        let made = written(&houses[1], &note).await;
        assert_eq!(made["outcome"], outcome, "{kind}");
    }
    assert_eq!(houses[0].zoho.notes_written().await, 2);
}

#[tokio::test]
async fn a_lost_write_is_not_taken_for_a_note_that_another_instance_wrote() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    let mut note = note(&houses[0], "Called, no answer").await;
    write(&houses[0], &note).await.content();
    note["idempotency_key"] = json!("another");
    let fault = json!({ "fault": "status", "status": 503, "path": "/crm/v8/Notes", "times": 1 });
    houses[0].zoho.fault(fault).await;
    write(&houses[1], &note).await.failure();
    let made = write(&houses[1], &note).await.content();
    assert_eq!(made["outcome"], "created");
    assert_eq!(houses[0].zoho.notes_written().await, 2);
}

#[tokio::test]
async fn without_redis_a_key_that_may_be_known_there_writes_nothing() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    let known = note(&houses[0], "before").await;
    write(&houses[0], &known).await.content();
    redis.kill();
    // What this instance wrote itself it knows.
    let again = write(&houses[0], &known).await.content();
    assert_eq!(again["outcome"], "replayed");
    let told = write(&houses[1], &known).await.failure();
    assert!(told.contains("Nothing was written now"), "{told}");
    let mut keyless = note(&houses[0], "without a key").await;
    keyless.as_object_mut().unwrap().remove("idempotency_key");
    write(&houses[1], &keyless).await.content();
    redis.restart();
    let fresh = note(&houses[1], "afterwards").await;
    assert_eq!(written(&houses[1], &fresh).await["outcome"], "created");
    assert_eq!(houses[0].zoho.notes_written().await, 3);
}
