//! What becomes of a write in flight when its session of `/mcp` ends: whoever only loses the session
//! is answered, and whoever may not go on is told to look.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    agent::{Agent, Answer},
    house::{DASHBOARD, House, SUPPORT},
    http_sessions::{ID, alone, delete, opened, together},
    redis::Redis,
};

/// What to call for a note that Zoho takes its time to write.
pub(crate) async fn slow_note(house: &House, delay: &str) -> Value {
    let contact = house.zoho.ids("Contacts", "id is not null").await.remove(0);
    let fault = json!({ "fault": "late_commit", "method": "POST", "path": "/crm/v8/Notes",
        "delay": delay, "times": 1 });
    house.zoho.fault(fault).await;
    let note = json!({ "record_id": contact, "content": "slow", "idempotency_key": "slow" });
    json!({ "name": "create_note", "arguments": note })
}

/// Waits until Zoho has heard of the one note of a test.
pub(crate) async fn zoho_has_heard(house: &House) {
    while house.zoho.seen("POST", "/crm/v8/Notes").await == 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

/// A note that Zoho takes its time to write, once Zoho has heard of it.
pub(crate) async fn note_in_flight(
    house: &House,
    agent: &Agent,
    delay: &str,
) -> JoinHandle<Answer> {
    in_flight(house, agent, slow_note(house, delay).await).await
}

async fn in_flight(house: &House, agent: &Agent, params: Value) -> JoinHandle<Answer> {
    let agent = agent.clone();
    let call = tokio::spawn(async move { agent.ask("tools/call", params).await });
    zoho_has_heard(house).await;
    call
}

pub(crate) async fn closed(house: &House, reason: &str) {
    let is_end = |line: &Value| line["event"] == "session_close" && line["reason"] == reason;
    house.recorded("the end of the session", is_end).await;
}

#[tokio::test]
async fn a_write_is_answered_although_redis_loses_its_session() {
    let redis = Redis::start();
    let houses = together(&redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    let call = note_in_flight(&houses[0], &agent, "5s").await;
    let _: String = redis.ask(&["FLUSHALL"]);
    closed(&houses[0], "expired").await;
    assert!(!call.is_finished());
    assert_eq!(call.await.unwrap().content()["outcome"], "created");
    assert!(houses[0].events("tool_call_cancelled").is_empty());
}

#[tokio::test]
async fn a_write_is_answered_although_its_session_is_too_old() {
    let house = alone(|setup| {
        setup.set("mcp.max_session_age", "2s");
        setup.set("mcp.session_idle", "2s");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    let call = note_in_flight(&house, &agent, "5s").await;
    closed(&house, "too_old").await;
    assert_eq!(call.await.unwrap().content()["outcome"], "created");
    assert_eq!(delete(&agent).await.status, 404);
}

#[tokio::test]
async fn a_write_whose_session_is_deleted_elsewhere_is_told_to_look_and_the_log_says_why() {
    let redis = Redis::start();
    let houses = together(&redis, |_| ()).await;
    let id = opened(&houses[0].agent(SUPPORT)).await;
    let agents = [0, 1].map(|house: usize| houses[house].agent(SUPPORT).with(ID, &id));
    let [writer, other] = agents;
    let call = note_in_flight(&houses[0], &writer, "8s").await;
    assert_eq!(delete(&other).await.status, 204);
    let told = call.await.unwrap().failure();
    assert!(told.contains("may or may not have happened"), "{told}");
    let cancelled = houses[0].event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], "deleted");
}

#[tokio::test]
async fn a_write_that_would_report_progress_is_told_to_look_as_well() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    let mut params = slow_note(&house, "8s").await;
    params["_meta"] = json!({ "progressToken": "p" });
    let call = in_flight(&house, &agent, params).await;
    assert_eq!(delete(&agent).await.status, 204);
    let told = call.await.unwrap().failure();
    assert!(told.contains("may or may not have happened"), "{told}");
    let cancelled = house.event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], "deleted");
}

#[tokio::test]
async fn a_stream_of_progress_says_that_its_session_was_deleted() {
    let house = alone(|_| ()).await;
    let agent = house.agent(DASHBOARD);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    let fault = json!({ "fault": "latency", "path": "/crm/v8/coql", "delay": "9s" });
    house.zoho.fault(fault).await;
    let params = json!({ "name": "get_dashboard_metrics", "arguments": {},
        "_meta": { "progressToken": "p" } });
    let reader = agent.clone();
    let call = tokio::spawn(async move { reader.ask("tools/call", params).await });
    house.event("tool_call_start").await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(delete(&agent).await.status, 204);
    let told = call.await.unwrap();
    assert_eq!(told.header("content-type"), "text/event-stream");
    let last = told.messages().pop().unwrap();
    assert_eq!(last["result"]["isError"], true, "{last}");
    assert!(last.to_string().contains("cancelled"), "{last}");
}

#[tokio::test]
async fn a_write_whose_key_is_removed_from_the_file_is_told_to_look() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    let call = note_in_flight(&house, &agent, "8s").await;
    without_key(&house, SUPPORT);
    let told = call.await.unwrap().failure();
    assert!(told.contains("may or may not have happened"), "{told}");
    closed(&house, "key_removed").await;
    let cancelled = house.event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], "key_removed");
}

/// Takes a client's keys out of the file.
pub(crate) fn without_key(house: &House, client: &str) {
    let keys = std::fs::read(house.file("keys.json")).unwrap();
    let mut keys = serde_json::from_slice::<Value>(&keys).unwrap();
    let kept = keys["keys"].as_array_mut().unwrap();
    let before = kept.len();
    kept.retain(|key| key["client"] != client);
    assert!(kept.len() < before);
    house.replace("keys.json", &keys.to_string());
    house.signal("-HUP");
}
