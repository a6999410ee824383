//! Idempotency keys that several instances share over Redis.

use std::time::Duration;

use futures_util::future::join_all;
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
    for _ in 0..400 {
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
    let keys = keys.iter().filter(|key| key.starts_with("zm:idem:{k}:k:"));
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

/// Two instances that give up on Zoho, and on a write, before a test does.
async fn hasty_pair(redis: &Redis) -> [House; 2] {
    pair(redis, |setup| {
        setup.set("zoho.request_timeout", "400ms");
        setup.set("mcp.tool_timeout", "3s");
    })
    .await
}

#[tokio::test]
async fn whatever_fault_a_write_meets_its_key_writes_once() {
    let redis = Redis::start();
    let houses = hasty_pair(&redis).await;
    let zoho = &houses[0].zoho;
    for (n, fault) in [
        json!({ "fault": "status", "status": 500 }),
        json!({ "fault": "status", "status": 503, "body": "<h1>down</h1>" }),
        json!({ "fault": "status", "status": 429 }),
        json!({ "fault": "status", "status": 429, "body": { "code": 429, "details": [] } }),
        json!({ "fault": "html" }),
        json!({ "fault": "truncate" }),
        json!({ "fault": "drip", "delay": "200ms" }),
        json!({ "fault": "latency", "delay": "1s" }),
        json!({ "fault": "reset_before" }),
        json!({ "fault": "reset_after_commit" }),
        json!({ "fault": "revoke_tokens" }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut note = note(&houses[0], &format!("in spite of {fault}")).await;
        note["idempotency_key"] = json!(format!("fault-{n}"));
        let mut once = fault.clone();
        once["path"] = json!("/crm/v8/Notes");
        once["times"] = json!(1);
        zoho.fault(once).await;
        let before = zoho.notes_written().await;
        write(&houses[n % 2], &note).await;
        let made = written(&houses[(n + 1) % 2], &note).await;
        let again = written(&houses[n % 2], &note).await;
        assert_eq!(made["noteId"], again["noteId"], "{fault}");
        assert_eq!(zoho.notes_written().await - before, 1, "{fault}");
        zoho.mend().await;
    }
}

#[tokio::test]
async fn one_key_at_the_same_time_on_all_instances_writes_once() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    let note = note(&houses[0], "all at once").await;
    let calls = (0..16).map(|n| written(&houses[n % 2], &note));
    let made = join_all(calls).await;
    assert!(made.iter().all(|one| one["noteId"] == made[0]["noteId"]));
    assert_eq!(houses[0].zoho.notes_written().await, 1);
}

#[tokio::test]
async fn an_instance_that_is_killed_in_a_write_leaves_one_note() {
    let redis = Redis::start();
    let mut houses = hasty_pair(&redis).await;
    let zoho = houses[0].zoho.clone();
    for (n, fault) in ["latency", "reset_before"].into_iter().enumerate() {
        let note = note(&houses[n], &format!("killed with {fault}")).await;
        let before = zoho.notes_written().await;
        let met = json!({ "fault": fault, "path": "/crm/v8/Notes", "times": 1, "delay": "30s" });
        zoho.fault(met).await;
        let sent = zoho.seen("POST", "/crm/v8/Notes").await;
        let agent = houses[n].agent(SUPPORT);
        let params = json!({ "name": "create_note", "arguments": note });
        let lost = tokio::spawn(async move { agent.try_ask("tools/call", params).await });
        while zoho.seen("POST", "/crm/v8/Notes").await == sent {
            tokio::task::yield_now().await;
        }
        houses[n].crash();
        lost.await.unwrap();
        let other = &houses[1 - n];
        let made = written(other, &note).await;
        assert_eq!(written(other, &note).await["noteId"], made["noteId"]);
        assert_eq!(zoho.notes_written().await - before, 1, "{fault}");
        houses[n].start_again().await;
        let again = written(&houses[n], &note).await;
        assert_eq!(again["noteId"], made["noteId"], "{fault}");
    }
}

#[tokio::test]
async fn a_lost_write_is_not_taken_for_a_note_that_another_instance_wrote() {
    let redis = Redis::start();
    let houses = hasty_pair(&redis).await;
    let mut note = note(&houses[0], "Called, no answer").await;
    write(&houses[0], &note).await.content();
    note["idempotency_key"] = json!("another");
    let fault = json!({ "fault": "status", "status": 503, "path": "/crm/v8/Notes", "times": 1 });
    houses[0].zoho.fault(fault).await;
    write(&houses[1], &note).await.failure();
    let made = written(&houses[1], &note).await;
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

/// Redis loses all that it has: at once, or with its process.
fn lose(redis: &mut Redis, how: &str) {
    if how == "flushed" {
        return redis.ask(&["FLUSHALL"]);
    }
    redis.kill();
    redis.restart();
}

#[tokio::test]
async fn keys_that_redis_loses_are_put_back() {
    let mut redis = Redis::start();
    let houses = hasty_pair(&redis).await;
    let zoho = &houses[0].zoho;
    for how in ["flushed", "restarted"] {
        let settled = note(&houses[0], &format!("settled before {how}")).await;
        let made = written(&houses[0], &settled).await;
        let open = note(&houses[0], &format!("in doubt before it is {how}")).await;
        let fault = json!({ "fault": "reset_after_commit", "path": "/crm/v8/Notes", "times": 1 });
        zoho.fault(fault).await;
        write(&houses[0], &open).await.failure();
        let before = zoho.notes_written().await;
        lose(&mut redis, how);
        for house in [&houses[1], &houses[0]] {
            let again = written(house, &settled).await;
            assert_eq!(again["outcome"], "replayed", "{how}");
            assert_eq!(again["noteId"], made["noteId"], "{how}");
        }
        assert_eq!(written(&houses[1], &open).await["outcome"], "found");
        assert_eq!(written(&houses[0], &open).await["outcome"], "replayed");
        assert_eq!(zoho.notes_written().await, before, "{how}");
        let mut other = settled;
        other["content"] = json!("something else");
        let told = write(&houses[1], &other).await.failure();
        assert!(told.contains("already used with other arguments"), "{told}");
    }
}

#[tokio::test]
async fn whose_a_note_is_survives_what_redis_loses() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    let mut note = note(&houses[0], "Called, no answer").await;
    written(&houses[0], &note).await;
    lose(&mut redis, "restarted");
    note["idempotency_key"] = json!("another");
    assert_eq!(written(&houses[1], &note).await["outcome"], "created");
    assert_eq!(houses[0].zoho.notes_written().await, 2);
}
