//! The older transport: a stream to listen on, messages posted beside it.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    agent::modern_meta,
    house::{House, REPORTING, SUPPORT},
    issuer::{Issuer, Key, now},
    stream::Stream,
};

/// Zoho answers searches late.
async fn slow_zoho(house: &House, delay: &str) {
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": delay });
    house.zoho.fault(fault).await;
}

fn call(id: i64) -> Value {
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

#[tokio::test]
async fn an_agent_connects_lists_and_calls() {
    let house = House::start().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    assert!(stream.endpoint.starts_with("/messages?sessionId="));
    let greeted = stream.initialize().await;
    assert_eq!(greeted["result"]["protocolVersion"], "2024-11-05");
    assert_eq!(greeted["result"]["serverInfo"]["name"], "zoho-mcp");
    let listed = stream.ask(1, "tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 3);
    let found = stream
        .call(2, "search_contacts", json!({ "name": "Giulia" }))
        .await;
    assert!(found["result"]["structuredContent"]["items"].is_array());
    let unknown = stream.call(3, "drop_tables", json!({})).await;
    assert_eq!(unknown["error"]["code"], -32602);
    let denied = stream.call(4, "get_revenue_report", json!({})).await;
    assert_eq!(denied["result"]["isError"], true);
    let told = house.event("tool_call_success").await;
    assert_eq!(
        (&told["transport"], &told["path"]),
        (&json!("sse"), &json!("/messages"))
    );
    drop(stream);
    let (open, closed) = (
        house.event("session_open").await,
        house.event("session_close").await,
    );
    assert_eq!(open["requestId"], closed["requestId"]);
    assert_eq!(closed["clientId"], SUPPORT);
}

#[tokio::test]
async fn the_newest_revision_is_spoken_here_too_without_its_headers() {
    let house = House::start().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    let meta = json!({ "_meta": modern_meta() });
    let discovered = stream.ask(1, "server/discover", meta.clone()).await;
    assert!(
        discovered["result"]["supportedVersions"].is_array(),
        "{discovered}"
    );
    let listed = stream.ask(2, "tools/list", meta).await;
    assert_eq!(listed["result"]["cacheScope"], "private", "{listed}");
}

#[tokio::test]
async fn who_does_not_initialize_first_is_told_to() {
    let house = House::start().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    for (id, method, code, says) in [
        (1, "tools/list", -32600, "initialize first"),
        (2, "no/such", -32600, "initialize first"),
        (3, "server/discover", -32600, "initialize first"),
        (4, "initialize", -32602, "needs protocolVersion"),
    ] {
        let told = stream.ask(id, method, json!({})).await;
        assert_eq!(told["error"]["code"], code, "{told}");
        let text = told["error"]["message"].as_str().unwrap();
        assert!(text.contains(says), "{text}");
    }
    assert!(stream.ask(5, "ping", json!({})).await["result"].is_object());
    stream.initialize().await;
    assert!(stream.ask(6, "tools/list", json!({})).await["result"].is_object());
    for method in ["tasks/get", "resources/list"] {
        let told = stream.ask(7, method, json!({ "taskId": "x" })).await;
        let text = told["error"]["message"].as_str().unwrap();
        assert!(text.starts_with("Method not found."), "{method}: {text}");
    }
}

#[tokio::test]
async fn a_session_belongs_to_who_opened_it() {
    let house = House::start().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    let body = call(5).to_string();
    let thief = house.agent(REPORTING);
    let stolen = thief
        .send(reqwest::Method::POST, &stream.endpoint, body.clone())
        .await;
    assert_eq!(stolen.status, 404);
    let nobody = house.stranger(None);
    let anonymous = nobody
        .send(reqwest::Method::POST, &stream.endpoint, body.clone())
        .await;
    assert_eq!(anonymous.status, 401);
    for wrong in [
        "/messages?sessionId=00000000000000000000000000000000",
        "/messages",
        "/messages?sessionId=",
    ] {
        let owner = house.agent(SUPPORT);
        let lost = owner.send(reqwest::Method::POST, wrong, body.clone()).await;
        assert_eq!(lost.status, 404, "{wrong}");
        assert!(lost.json()["error"].as_str().unwrap().contains("GET /sse"));
    }
    let next = stream.ask(6, "ping", json!({})).await;
    assert_eq!(next["id"], 6, "nothing of the others came onto the stream");
    assert_eq!(stream.post(&call(7)).await.status, 202);
    house.event("tool_call_success").await;
    assert_eq!(house.events("tool_call_start").len(), 1, "the owner's own");
}

#[tokio::test]
async fn a_limit_is_told_on_the_stream_since_an_http_error_ends_python_clients() {
    let house = House::with(|setup| {
        setup.set("limits.client", "{ requests = 2, per = \"1m\" }");
    })
    .await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    assert!(
        stream
            .call(1, "search_contacts", json!({ "name": "Giulia" }))
            .await["result"]
            .is_object()
    );
    let refused = stream
        .call(2, "search_contacts", json!({ "name": "Giulia" }))
        .await;
    let text = refused["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(refused["result"]["isError"], true);
    assert!(
        text.starts_with("Rate limit exceeded (client, 2 per 1m). Retry after "),
        "{text}"
    );
    let list = stream.ask(3, "tools/list", json!({})).await;
    assert_eq!(list["error"]["code"], 429);
    assert!(list["error"]["data"]["retryAfterSeconds"].as_u64().unwrap() >= 1);
    assert_eq!(list["error"]["data"]["violatedPolicies"], json!(["client"]));
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    assert_eq!(stream.post(&told).await.status, 202);
    assert!(
        stream.ask(4, "ping", json!({})).await["result"].is_object(),
        "a ping is free"
    );
}

#[tokio::test]
async fn a_client_has_so_many_streams() {
    let house = House::with(|setup| {
        setup.set("mcp.max_streams_per_client", "2");
        setup.set("mcp.max_streams_per_user", "2");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let first = agent.stream().await;
    let _second = agent.stream().await;
    let third = agent.get("/sse").await;
    assert_eq!(third.status, 429);
    assert!(third.header("retry-after").parse::<u64>().is_ok());
    let _another_clients = house.agent(REPORTING).stream().await;
    drop(first);
    house.event("session_close").await;
    let _third = agent.stream().await;
    let all = |_: &Value| house.events("session_open").len() == 4;
    house.recorded("four streams", all).await;
}

#[tokio::test]
async fn a_person_has_so_many_streams_and_leaves_room_for_others() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup.set("mcp.max_streams_per_client", "3");
        setup.set("mcp.max_streams_per_user", "2");
        setup.config(&issuer.config("client = \"customer-service-agent\""));
    })
    .await;
    let agent = |person: &str| {
        let token = issuer.token(&key, json!({ "sub": person }));
        let agent = house.stranger(None);
        agent.with("authorization", &format!("Bearer {token}"))
    };
    let (ada, bob) = (agent("ada"), agent("bob"));
    let _first = ada.stream().await;
    let _second = ada.stream().await;
    assert_eq!(ada.get("/sse").await.status, 429);
    let _third = bob.stream().await;
    assert_eq!(
        bob.get("/sse").await.status,
        429,
        "the client's are all open"
    );
}

#[tokio::test]
async fn a_token_in_its_leeway_calls_and_opens_no_stream() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config("client = \"customer-service-agent\"\nleeway = \"30s\""));
    })
    .await;
    let ended = json!({ "iat": now() - 600, "exp": now() - 1 });
    let token = issuer.token(&key, ended);
    let agent = house.stranger(None);
    let agent = agent.with("authorization", &format!("Bearer {token}"));
    assert_eq!(agent.ask("ping", json!({})).await.status, 200);
    let stream = agent.get("/sse").await;
    assert_eq!(stream.status, 401);
    assert_eq!(stream.text, r#"{"error":"Token expired"}"#);
    assert!(house.events("session_open").is_empty());
}

#[tokio::test]
async fn a_stream_has_so_many_calls_and_a_cancelled_one_makes_room() {
    let house = House::with(|setup| {
        setup.set("mcp.max_calls_per_stream", "2");
    })
    .await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    slow_zoho(&house, "30s").await;
    for round in 0..3 {
        let (first, second) = (round * 10 + 1, round * 10 + 2);
        for id in [first, second] {
            assert_eq!(stream.post(&call(id)).await.status, 202);
        }
        let third = stream.ask(round * 10 + 3, "tools/list", json!({})).await;
        assert_eq!(third["error"]["code"], 429, "{third}");
        for id in [first, second] {
            cancel(&stream, id).await;
        }
        let cancelled = usize::try_from(second).unwrap() / 10 * 2 + 2;
        let all = |_: &Value| house.events("tool_call_cancelled").len() == cancelled;
        house.recorded("the cancelled calls", all).await;
    }
    let listed = stream.ask(99, "tools/list", json!({})).await;
    assert!(listed["result"].is_object(), "{listed}");
}

async fn cancel(stream: &Stream, id: i64) {
    let params = json!({ "requestId": id, "reason": "enough" });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    assert_eq!(stream.post(&note).await.status, 202);
}

#[tokio::test]
async fn an_id_is_for_one_call_at_a_time() {
    let house = House::start().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    slow_zoho(&house, "1500ms").await;
    assert_eq!(stream.post(&call(7)).await.status, 202);
    let twice = stream.ask(7, "tools/list", json!({})).await;
    assert_eq!(twice["error"]["code"], -32600, "{twice}");
    assert!(stream.answer(7).await["result"]["structuredContent"].is_object());
    assert!(stream.ask(7, "tools/list", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn who_goes_away_has_no_call_running() {
    let house = House::start().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    slow_zoho(&house, "30s").await;
    assert_eq!(stream.post(&call(1)).await.status, 202);
    house.event("tool_call_start").await;
    drop(stream);
    let cancelled = house.event("tool_call_cancelled").await;
    assert!(cancelled["durationMs"].as_u64().unwrap() < 20_000);
    house.event("session_close").await;
}

#[tokio::test]
async fn a_stream_is_kept_alive_and_ends_at_its_age() {
    let house = House::with(|setup| {
        setup
            .set("mcp.keep_alive", "100ms")
            .set("mcp.max_stream_age", "1500ms");
    })
    .await;
    let mut wire = house.wire().await;
    let key = &house.keys[SUPPORT];
    wire.send(format!(
        "GET /sse HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n"
    ))
    .await;
    wire.until(": keep-alive\n\n").await;
    // A chunk of length zero is the end of a body that was not cut off.
    let all = wire.until("\r\n0\r\n\r\n").await;
    assert!(all.contains("x-accel-buffering: no"), "{all}");
    assert!(all.matches(": keep-alive").count() >= 2);
    house.event("session_close").await;
}

#[tokio::test]
async fn a_stream_that_is_old_enough_still_answers_what_it_took() {
    let house = House::with(|setup| {
        setup.set("mcp.max_stream_age", "2s");
    })
    .await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    slow_zoho(&house, "2500ms").await;
    assert_eq!(stream.post(&call(1)).await.status, 202);
    let found = stream.answer(1).await;
    assert!(found["result"]["structuredContent"].is_object(), "{found}");
    assert!(stream.next().await.is_none());
    assert_eq!(stream.post(&call(2)).await.status, 404);
    house.event("session_close").await;
    assert!(house.events("tool_call_cancelled").is_empty());
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let house = House::with(|setup| {
        setup.set("mcp.legacy_sse", "false");
    })
    .await;
    let agent = house.agent(SUPPORT);
    assert_eq!(agent.get("/sse").await.status, 404);
    let posted = agent
        .send(reqwest::Method::POST, "/messages?sessionId=x", "{}")
        .await;
    assert_eq!(posted.status, 404);
    assert_eq!(agent.tools().await.len(), 3);
}
