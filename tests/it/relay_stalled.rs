//! The instance that holds a stream is held up: what was sent to it is taken back, or may be done.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    agent::Answer,
    house::{House, Setup, eventually},
    redis::{Options, Redis},
    relay::apart,
    stream::Stream,
};

fn note(id: i64, record: &str) -> Value {
    let arguments = json!({ "record_id": record, "content": format!("note {id}") });
    let params = json!({ "name": "create_note", "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

async fn contact(house: &House) -> String {
    house.zoho.ids("Contacts", "id is not null").await.remove(0)
}

/// Two notes are sent while the owner of the stream stands still: it has been handed the first, and
/// the second waits.
async fn stalled(redis: &Redis, change: impl FnOnce(&mut Setup)) -> ([House; 2], Stream) {
    let (houses, mut stream) = apart(redis, change).await;
    let contact = contact(&houses[0]).await;
    houses[0].signal("-STOP");
    let notes = [note(1, &contact), note(2, &contact)];
    let told = tokio::join!(stream.post(&notes[0]), stream.post(&notes[1]));
    houses[0].signal("-CONT");
    for told in [told.0, told.1] {
        assert_eq!(told.status, 503, "{}", told.text);
        assert_eq!(told.header("retry-after"), "1");
        assert!(told.text.contains("Nothing was done"), "{}", told.text);
    }
    // By then it has had both in hand, and what it would have done is done.
    let again = stream.post(&note(3, &contact)).await;
    assert_eq!(again.status, 202, "{}", again.text);
    let answer = stream.answer(3).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(houses[0].zoho.notes_written().await, 1);
    let notes = houses[0].zoho.notes_of(&contact).await;
    assert!(!notes.iter().any(|it| it == "note 1" || it == "note 2"));
    (houses, stream)
}

#[tokio::test]
async fn what_is_told_to_be_undone_is_never_done_however_late_its_reader_wakes() {
    let redis = Redis::start();
    let (houses, _stream) = stalled(&redis, |_| ()).await;
    assert_eq!(houses[0].events("tool_call_start").len(), 1);
}

#[tokio::test]
async fn nor_is_it_on_a_cluster() {
    let redis = Redis::with(Options::cluster);
    let cluster = |setup: &mut Setup| {
        setup.set("redis.kind", "cluster");
    };
    let (_houses, _stream) = stalled(&redis, cluster).await;
    let nodes = Redis::cluster_of_three();
    let urls = nodes.each_ref().map(Redis::url);
    let (_houses, _stream) = stalled(&nodes[0], |setup| {
        cluster(setup);
        setup.set("redis.url", &format!("{urls:?}"));
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_in_hand_and_is_not_answered_may_have_been_done() {
    may_have_been_done(|_| "taken".to_owned()).await;
}

#[tokio::test]
async fn what_waits_in_the_words_of_another_redis_may_have_been_done_and_is_not_done_now() {
    // So it is on a replica that took over before it had heard that the letter was taken.
    may_have_been_done(|waits| {
        let process = waits.strip_prefix("waits ").unwrap();
        assert_eq!(process.len(), 40, "{waits}");
        format!("waits {}", process.chars().rev().collect::<String>())
    })
    .await;
}

/// A letter waits, then Redis says something else of it.
async fn may_have_been_done(instead: impl Fn(String) -> String) {
    let redis = Redis::start();
    let (houses, stream) = apart(&redis, |_| ()).await;
    let contact = contact(&houses[0]).await;
    houses[0].signal("-STOP");
    let letter = eventually("the letter", || {
        let mut keys = redis.keys().into_iter();
        keys.find(|key| {
            key.contains("}:letter:") && redis.ask::<String>(&["GET", key]).starts_with("waits")
        })
    });
    let note = note(1, &contact);
    let posted = async {
        let began = tokio::time::Instant::now();
        let told: Answer = stream.post(&note).await;
        (told, began.elapsed())
    };
    let taken = async {
        let letter = letter.await;
        let known = instead(redis.ask(&["GET", &letter]));
        let _: String = redis.ask(&["SET", &letter, &known, "PX", "60000"]);
    };
    let ((told, waited), ()) = tokio::join!(posted, taken);
    houses[0].signal("-CONT");
    assert_eq!(told.status, 503, "{}", told.text);
    assert!(told.text.contains("may have been done"), "{}", told.text);
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    // It has woken by the time that it answers this, and had the letter before.
    let mut stream = stream;
    assert!(stream.ask(2, "ping", json!({})).await["result"].is_object());
    assert_eq!(houses[0].zoho.notes_written().await, 0);
}
