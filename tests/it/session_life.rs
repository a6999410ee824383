//! How long a session of `/mcp` lasts, what runs in it meanwhile, and what happens where one more
//! does not fit.

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{House, SUPPORT, eventually},
    http_sessions::{ID, alone, opened},
};

async fn slow(house: &House, delay: &str) {
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": delay, "times": 1 });
    house.zoho.fault(fault).await;
}

/// Calls a tool, and goes away while it runs.
async fn gone(house: &House, agent: &Agent, params: Value) {
    let begun = house.events("tool_call_start").len();
    slow(house, "2s").await;
    let agent = agent.clone();
    let call = tokio::spawn(async move { agent.ask("tools/call", params).await });
    let started = || (house.events("tool_call_start").len() > begun).then_some(());
    eventually("the call", started).await;
    call.abort();
    assert!(call.await.is_err());
}

fn params(more: &Value) -> Value {
    let mut params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    if !more.is_null() {
        params["_meta"] = json!({ "progressToken": more });
    }
    params
}

#[tokio::test]
async fn who_goes_away_has_cancelled_its_call_where_there_is_no_session_and_only_there() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT).hurried();
    let id = opened(&agent).await;
    let agent = agent.with(ID, &id);
    for (done, token) in [(1, json!(null)), (2, json!("a"))] {
        gone(&house, &agent, params(&token)).await;
        let both = || (house.events("tool_call_success").len() == done).then_some(());
        eventually("the end of the call", both).await;
    }
    gone(&house, &agent, params(&json!("b"))).await;
    let cancel = json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": { "requestId": 1 },
    });
    assert_eq!(agent.post(cancel.to_string()).await.status, 202);
    house.event("tool_call_cancelled").await;
    assert_eq!(house.events("tool_call_cancelled").len(), 1);
    let stateless = House::start().await;
    let agent = stateless.agent(SUPPORT).hurried();
    gone(&stateless, &agent, params(&json!(null))).await;
    let cancelled = stateless.event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], "client_gone");
}
