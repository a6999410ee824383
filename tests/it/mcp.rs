//! The protocol on `/mcp`, in every revision.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    agent::{Agent, Answer, MODERN, modern_meta},
    house::{DASHBOARD, House, REPORTING, SUPPORT},
    wire::{listing, post},
};

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

async fn initialize(agent: &Agent, version: &str) -> Value {
    let client = json!({ "name": "it", "version": "1" });
    let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
    agent.ask("initialize", params).await.result()
}

#[tokio::test]
async fn every_revision_is_spoken() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    for version in LEGACY {
        let greeted = initialize(&agent, version).await;
        assert_eq!(greeted["protocolVersion"], version);
        assert_eq!(greeted["serverInfo"]["name"], "zoho-mcp");
        assert!(greeted["capabilities"]["tools"].is_object());
        assert!(greeted["instructions"].as_str().unwrap().contains("data"));
        let speaking = agent.clone().with("mcp-protocol-version", version);
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let noted = speaking.post(told.to_string()).await;
        assert_eq!((noted.status.as_u16(), &*noted.text), (202, ""));
        assert_eq!(speaking.tools().await.len(), 3, "{version}");
        let found = speaking.search("Giulia");
        assert!(found.await.content()["items"].is_array(), "{version}");
        assert!(speaking.ask("ping", json!({})).await.result().is_object());
    }
    for unknown in [MODERN, "1999-01-01", "2099-01-01"] {
        let greeted = initialize(&agent, unknown).await;
        assert_eq!(greeted["protocolVersion"], "2025-11-25", "{unknown}");
    }
}

#[tokio::test]
async fn the_newest_revision_needs_no_handshake() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let discovered = agent
        .ask_modern("server/discover", json!({}))
        .await
        .result();
    let supported = discovered["supportedVersions"].as_array().unwrap();
    assert!(supported.contains(&json!(MODERN)), "{discovered}");
    let info = &discovered["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(info["name"], "zoho-mcp", "{discovered}");
    assert!(discovered["capabilities"]["tools"].is_object());
    let listed = agent.ask_modern("tools/list", json!({})).await.result();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 3);
    let call = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    let found = agent.ask_modern("tools/call", call).await;
    assert!(found.content()["items"].is_array());
    let unknown = agent.ask_modern("no/such", json!({})).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, -32601));
}

#[tokio::test]
async fn each_client_sees_what_it_may_call_always_in_the_same_order() {
    let house = House::start().await;
    let expected = BTreeMap::from([
        (
            SUPPORT,
            ["create_note", "get_contact_history", "search_contacts"].as_slice(),
        ),
        (
            REPORTING,
            &["get_deal_summary", "get_revenue_report", "search_contacts"],
        ),
        (DASHBOARD, &["get_dashboard_metrics"]),
    ]);
    for (client, tools) in expected {
        let agent = house.agent(client);
        let first = agent.list().await;
        let mut names = agent.tools().await;
        assert_eq!(agent.list().await.text, first.text);
        names.sort();
        assert_eq!(names, tools);
        let listed = agent.ask_modern("tools/list", json!({})).await.result();
        assert_eq!(listed["cacheScope"], "private", "it differs by client");
        assert!(listed["ttlMs"].as_u64().unwrap() > 0);
        for tool in listed["tools"].as_array().unwrap() {
            describes_itself(tool);
        }
    }
}

fn describes_itself(tool: &Value) {
    let name = tool["name"].as_str().unwrap();
    for text in ["title", "description"] {
        assert!(
            tool[text].as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
    }
    let hints = &tool["annotations"];
    assert_eq!(hints["readOnlyHint"], name != "create_note", "{name}");
    for hint in ["destructiveHint", "idempotentHint", "openWorldHint"] {
        assert!(hints[hint].is_boolean(), "{name} has no {hint}");
    }
    for schema in ["inputSchema", "outputSchema"] {
        let schema = &tool[schema];
        assert_eq!(schema["type"], "object", "{name}");
        jsonschema::draft202012::meta::validate(schema).unwrap();
        assert!(!schema.to_string().contains("\"$ref\":\"http"), "{name}");
    }
}

#[tokio::test]
async fn what_a_tool_answers_fits_its_output_schema() {
    let house = House::start().await;
    let support = house.agent(SUPPORT);
    let contact = support
        .call("search_contacts", json!({ "name": "Giulia", "limit": 1 }))
        .await;
    let id = contact.content()["items"][0]["id"].clone();
    let note = json!({ "record_id": id, "content": "Called back", "idempotency_key": "k" });
    let period = json!({ "period": "last_quarter" });
    let calls = [
        (SUPPORT, "search_contacts", json!({ "name": "Giulia" })),
        (SUPPORT, "get_contact_history", json!({ "contact_id": id })),
        (SUPPORT, "create_note", note),
        (REPORTING, "get_deal_summary", json!({})),
        (REPORTING, "get_revenue_report", period),
        (DASHBOARD, "get_dashboard_metrics", json!({})),
    ];
    for (client, tool, arguments) in calls {
        let agent = house.agent(client);
        let listed = agent.list().await.result();
        let tools = listed["tools"].as_array().unwrap();
        let schema = &tools.iter().find(|listed| listed["name"] == tool).unwrap()["outputSchema"];
        let validator = jsonschema::draft202012::new(schema).unwrap();
        let answer = agent.call(tool, arguments.clone()).await;
        let content = answer.content();
        let wrong: Vec<String> = validator
            .iter_errors(&content)
            .map(|e| e.to_string())
            .collect();
        assert!(wrong.is_empty(), "{tool}: {wrong:?}");
        let text = answer.result()["content"][0]["text"].clone();
        assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{tool}");
    }
}

#[tokio::test]
async fn an_answer_comes_whatever_the_client_says_it_accepts() {
    let house = House::start().await;
    for accept in ["*/*", "application/json", "text/event-stream", "text/html"] {
        let agent = house.agent(SUPPORT).with("accept", accept);
        assert_eq!(agent.tools().await.len(), 3, "{accept}");
    }
    let mut wire = house.wire().await;
    let request = post(&house.keys[SUPPORT], "Connection: close\r\n", &listing(1));
    wire.send(request).await;
    assert!(
        wire.rest().await.starts_with("HTTP/1.1 200"),
        "without Accept"
    );
}

#[tokio::test]
async fn there_is_nothing_to_get_or_to_delete() {
    let house = House::start().await;
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let answer = house.agent(SUPPORT).send(method.clone(), "/mcp", "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (405, "POST"),
            "{method}"
        );
        let told = answer.json();
        assert!(told["error"].as_str().unwrap().contains("POST"), "{told}");
    }
    for path in ["/sse", "/health", "/livez", "/readyz"] {
        let answer = house.agent(SUPPORT).send(Method::POST, path, "{}").await;
        let told = (answer.status.as_u16(), answer.header("allow"));
        assert_eq!(told, (405, "GET,HEAD"), "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains("GET"));
    }
    let nowhere = house.agent(SUPPORT).get("/elsewhere").await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.json()["error"].as_str().unwrap().contains("/mcp"));
    let discovery = house.stranger(None);
    let discovery = discovery.get("/.well-known/oauth-protected-resource").await;
    assert_eq!(discovery.status, 404);
    assert!(discovery.json()["error"].is_string());
}

#[tokio::test]
async fn progress_is_streamed_to_who_asked_for_it() {
    let house = House::start().await;
    let agent = house.agent(DASHBOARD);
    let asked = json!({ "name": "get_dashboard_metrics", "arguments": {}, "_meta": { "progressToken": "p" } });
    let messages = agent.ask("tools/call", asked).await.messages();
    let (result, progress) = messages.split_last().unwrap();
    assert!(
        result["result"]["structuredContent"].is_object(),
        "{result}"
    );
    assert_eq!(result["id"], 1);
    let done: Vec<f64> = progress
        .iter()
        .map(|told| {
            assert_eq!(told["method"], "notifications/progress");
            assert_eq!(told["params"]["progressToken"], "p");
            told["params"]["progress"].as_f64().unwrap()
        })
        .collect();
    assert!(!done.is_empty());
    assert!(done.windows(2).all(|pair| pair[0] < pair[1]), "{done:?}");
    let plain = agent.call("get_dashboard_metrics", json!({})).await;
    assert_eq!(plain.header("content-type"), "application/json");
}

#[tokio::test]
async fn what_is_unknown_is_said_in_the_protocols_own_codes() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    assert_eq!(agent.ask("no/such", json!({})).await.code(), -32601);
    for (method, params) in NOT_SERVED {
        let params: Value = serde_json::from_str(params).unwrap();
        let told = agent.ask(method, params).await;
        assert_eq!(told.code(), -32601, "{method}");
        let text = told.json()["error"]["message"].clone();
        let text = text.as_str().unwrap();
        assert!(text.starts_with("Method not found."), "{method}: {text}");
    }
    let page = agent.ask("tools/list", json!({ "cursor": "second" })).await;
    assert_eq!(page.code(), -32602, "there is one page");
    let unknown = agent.call("drop_tables", json!({})).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (200, -32602));
    assert!(!unknown.text.contains("drop_tables"), "nothing is echoed");
    let denied = agent.call("get_dashboard_metrics", json!({})).await;
    assert_eq!(
        denied.failure(),
        "Tool 'get_dashboard_metrics' is not permitted for this client"
    );
}

/// Methods of the specification that have nothing to do with tools.
const NOT_SERVED: &[(&str, &str)] = &[
    ("resources/list", "{}"),
    ("resources/templates/list", "{}"),
    ("resources/read", r#"{ "uri": "x:y" }"#),
    ("resources/subscribe", r#"{ "uri": "x:y" }"#),
    ("resources/unsubscribe", r#"{ "uri": "x:y" }"#),
    ("prompts/list", "{}"),
    ("prompts/get", r#"{ "name": "x" }"#),
    ("logging/setLevel", r#"{ "level": "info" }"#),
    (
        "completion/complete",
        r#"{ "ref": { "type": "ref/prompt", "name": "x" }, "argument": { "name": "a", "value": "b" } }"#,
    ),
    ("tasks/get", r#"{ "taskId": "x" }"#),
    ("tasks/list", "{}"),
    ("tasks/cancel", r#"{ "taskId": "x" }"#),
];

#[tokio::test]
async fn a_call_without_an_id_is_no_call_and_an_answer_is_not_expected() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    let noted = json!({ "jsonrpc": "2.0", "method": "tools/call", "params": params });
    assert_eq!(agent.post(noted.to_string()).await.status, 202);
    let answering = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    let unasked = agent.post(answering.to_string()).await;
    assert_eq!((unasked.status.as_u16(), unasked.code()), (400, -32600));
    assert!(unasked.text.contains("\"id\":null"), "{}", unasked.text);
    assert!(unasked.text.contains("nothing was asked"));
    agent.search("Giulia").await.content();
    house.event("tool_call_success").await;
    assert_eq!(house.events("tool_call_start").len(), 1);
}

#[tokio::test]
async fn who_goes_away_has_no_call_running() {
    let house = House::start().await;
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": "30s" });
    house.zoho.fault(fault).await;
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut wire = house.wire().await;
    wire.send(post(&house.keys[SUPPORT], "", &call.to_string()))
        .await;
    house.event("tool_call_start").await;
    drop(wire);
    let cancelled = house.event("tool_call_cancelled").await;
    assert!(cancelled["durationMs"].as_u64().unwrap() < 20_000);
}

#[tokio::test]
async fn an_id_comes_back_as_it_was_sent() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    for id in [
        "0",
        "-7",
        "9007199254740993",
        "9223372036854775807",
        "\"\"",
        "\"7\"",
        "\"ä\\u2028\"",
    ] {
        for method in ["tools/list", "no/such"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
            let answer = agent.post(body).await.json();
            let sent: Value = serde_json::from_str(id).unwrap();
            assert_eq!(answer["id"], sent, "{method}");
        }
    }
}

/// Headers of revision 2026-07-28, and a body that calls `search_contacts`.
async fn call_with(agent: &Agent, headers: &[(&'static str, &str)]) -> Answer {
    let agent = headers.iter().fold(agent.clone(), |agent, (name, value)| {
        agent.with(name, value)
    });
    let mut params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    params["_meta"] = modern_meta();
    agent.ask("tools/call", params).await
}

#[tokio::test]
async fn headers_that_do_not_repeat_the_body_are_refused_before_anything_counts() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let version = ("mcp-protocol-version", MODERN);
    let method = ("mcp-method", "tools/call");
    let encoded = ("mcp-name", "=?base64?c2VhcmNoX2NvbnRhY3Rz?=");
    for name in [("mcp-name", "search_contacts"), encoded] {
        let answer = call_with(&agent, &[version, method, name]).await;
        assert!(answer.content()["items"].is_array(), "{name:?}");
    }
    let before = agent.list().await.remaining("client");
    let mismatched: [&[_]; 8] = [
        &[version, method],
        &[version, ("mcp-name", "search_contacts")],
        &[version, method, ("mcp-name", "create_note")],
        &[version, method, ("mcp-name", "=?base64?Y3JlYXRlX25vdGU=?=")],
        &[version, method, ("mcp-name", "=?base64?!?=")],
        &[version, ("mcp-method", "tools/list"), encoded],
        &[("mcp-protocol-version", "2025-11-25"), method, encoded],
        &[method, encoded],
    ];
    for headers in mismatched {
        let answer = call_with(&agent, headers).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, -32020),
            "{headers:?}"
        );
        assert_eq!(answer.json()["id"], 1);
    }
    let after = agent.list().await.remaining("client");
    assert_eq!(before - 1, after);
}

#[tokio::test]
async fn a_revision_that_is_not_spoken_is_refused_with_those_that_are() {
    let house = House::start().await;
    for (version, in_body) in [
        ("2020-01-01", false),
        ("2099-01-01", false),
        ("2099-01-01", true),
    ] {
        let agent = house.agent(SUPPORT).with("mcp-protocol-version", version);
        let agent = agent.with("mcp-method", "tools/list");
        let mut params = json!({});
        if in_body {
            params["_meta"] = modern_meta();
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = version.into();
        }
        let answer = agent.ask("tools/list", params).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, -32022),
            "{version}"
        );
        let supported = answer.json()["error"]["data"]["supported"].clone();
        assert!(supported.as_array().unwrap().contains(&json!(MODERN)));
    }
}
