//! Calls of one session beside each other, and how they are cancelled: in both transports, and
//! whichever instance hears of it.

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Answer},
    house::{House, REPORTING, SUPPORT},
    http_sessions::{ID, alone, opened, search, together},
    redis::Redis,
    relay::apart,
};

/// Zoho answers so late that only a cancellation ends the call in time.
async fn slow(house: &House, delay: &str) {
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": delay });
    house.zoho.fault(fault).await;
}

fn call(id: &str, token: Option<&str>) -> Value {
    let mut params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    if let Some(token) = token {
        params["_meta"] = json!({ "progressToken": token });
    }
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

fn cancel(id: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } })
}

#[tokio::test]
async fn an_id_is_for_one_call_at_a_time_in_a_session() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    slow(&house, "2s").await;
    let (first, same) = (agent.clone(), call("a", None).to_string());
    let first = tokio::spawn(async move { first.post(same).await });
    house.event("tool_call_start").await;
    for token in [None, Some("p")] {
        let second = agent.post(call("a", token).to_string()).await;
        assert_eq!((second.status.as_u16(), second.code()), (400, -32600));
        assert_eq!(second.json()["id"], "a");
        assert!(second.text.contains("still unanswered"), "{}", second.text);
    }
    let other = agent.post(call("b", None).to_string()).await;
    assert!(other.content()["items"].is_array(), "{}", other.text);
    let first = first.await.unwrap();
    assert!(first.content()["items"].is_array(), "{}", first.text);
    assert_eq!(house.events("tool_call_start").len(), 2);
    assert_eq!(agent.post(call("a", None).to_string()).await.status, 200);
}

async fn is_cancelled(house: &House, by: &Answer) {
    let cancelled = house.event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], "cancelled");
    assert_eq!(cancelled["cancelledBy"], by.header("x-request-id"));
    assert!(cancelled["durationMs"].as_u64().unwrap() < 20_000);
}

#[tokio::test]
async fn a_call_of_a_session_of_mcp_is_cancelled_by_way_of_another_instance() {
    let redis = Redis::start();
    let houses = together(&redis, |setup| {
        setup.set("mcp.legacy_sse", "false");
    })
    .await;
    let id = opened(&houses[0].agent(SUPPORT)).await;
    let agents = [0, 1].map(|house: usize| houses[house].agent(SUPPORT).with(ID, &id));
    assert_eq!(
        search(&agents[1]).await.status,
        200,
        "both know the session"
    );
    slow(&houses[0], "30s").await;
    let running = |agent: &Agent| {
        let agent = agent.clone();
        tokio::spawn(async move { agent.post(call("a", None).to_string()).await })
    };
    let running = running(&agents[0]);
    houses[0].event("tool_call_start").await;
    let stranger = houses[1].agent(REPORTING).with(ID, &id);
    assert_eq!(
        stranger.post(cancel(json!("a")).to_string()).await.status,
        404
    );
    for of_none in [json!("b"), json!(1)] {
        let told = agents[1].post(cancel(of_none).to_string()).await;
        assert_eq!(told.status, 202);
    }
    assert!(!running.is_finished());
    let told = agents[1].post(cancel(json!("a")).to_string()).await;
    assert_eq!(told.status, 202);
    is_cancelled(&houses[0], &told).await;
    let text = running.await.unwrap().failure();
    assert!(text.contains("cancelled"), "{text}");
}

#[tokio::test]
async fn a_call_of_a_stream_is_cancelled_by_way_of_another_instance() {
    let redis = Redis::start();
    let (houses, stream) = apart(&redis, |_| ()).await;
    slow(&houses[0], "30s").await;
    assert_eq!(stream.post(&call("a", None)).await.status, 202);
    houses[0].event("tool_call_start").await;
    let told = stream.post(&cancel(json!("a"))).await;
    assert_eq!(told.status, 202);
    is_cancelled(&houses[0], &told).await;
}
