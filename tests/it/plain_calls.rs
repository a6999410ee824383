//! A plain call of a tool is answered by the daemon itself, the same call with metadata by the
//! protocol library. Nobody can tell them apart.

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Answer},
    house::{DASHBOARD, House, REPORTING, SUPPORT},
};

/// The answers to one call, plain and with metadata that says nothing.
async fn both(agent: &Agent, id: &Value, params: &Value) -> [Answer; 2] {
    let body = |params: &Value| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string()
    };
    let mut with_metadata = params.clone();
    with_metadata["_meta"] = json!({});
    [
        agent.post(body(params)).await,
        agent.post(body(&with_metadata)).await,
    ]
}

/// An answer without what differs from one call to the next.
fn lasting(answer: &Answer) -> (u16, String, Value) {
    let mut message = answer.json();
    if let Some(content) = message.pointer_mut("/result/structuredContent") {
        content.as_object_mut().unwrap().remove("asOf");
    }
    let kind = answer.header("content-type").to_owned();
    (answer.status.as_u16(), kind, message)
}

async fn assert_alike(agent: &Agent, id: Value, params: Value) -> Value {
    let [plain, library] = both(agent, &id, &params).await;
    assert_eq!(lasting(&plain), lasting(&library), "{params}");
    assert_eq!(plain.json()["id"], id);
    for header in ["ratelimit-policy", "cache-control", "mcp-session-id"] {
        assert_eq!(plain.header(header), library.header(header), "{header}");
    }
    assert_eq!(plain.header("cache-control"), "no-store");
    plain.json()
}

#[tokio::test]
async fn every_tool_answers_alike_by_both_ways() {
    let house = House::start().await;
    let support = house.agent(SUPPORT);
    let found = support.search("Giulia");
    let contact = found.await.content()["items"][0]["id"].clone();
    let note =
        json!({ "record_id": contact, "content": "Called back.", "idempotency_key": "alike" });
    support.call("create_note", note.clone()).await.content();
    let calls = [
        (
            SUPPORT,
            "search_contacts",
            json!({ "name": "Giulia", "limit": 3 }),
        ),
        (
            SUPPORT,
            "get_contact_history",
            json!({ "contact_id": contact }),
        ),
        (SUPPORT, "create_note", note),
        (REPORTING, "get_deal_summary", json!({})),
        (REPORTING, "get_revenue_report", json!({})),
        (DASHBOARD, "get_dashboard_metrics", json!({})),
    ];
    for (client, tool, arguments) in calls {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = assert_alike(&house.agent(client), json!(7), params).await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
}

#[tokio::test]
async fn every_refusal_reads_alike_by_both_ways() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let params = [
        json!({ "name": "search_contacts" }),
        json!({ "name": "search_contacts", "arguments": null }),
        json!({ "name": "search_contacts", "arguments": { "name": 7 } }),
        json!({ "name": "search_contacts", "arguments": { "nonsense": true } }),
        json!({ "name": "search_contacts", "arguments": { "name": "A", "limit": -1 } }),
        json!({ "name": "get_revenue_report", "arguments": {} }),
        json!({ "name": "no_such_tool", "arguments": {} }),
        json!({ "name": "create_note", "arguments": { "record_id": "1", "content": "x" } }),
        json!({ "name": "search_contacts", "arguments": { "name": "Giulia" }, "unknown": [1] }),
    ];
    for params in params {
        let answer = assert_alike(&agent, json!("an id"), params.clone()).await;
        let is_error = answer["result"]["isError"] == true || answer["error"].is_object();
        assert_eq!(is_error, params["unknown"].is_null(), "{answer}");
    }
}

#[tokio::test]
async fn ids_and_revisions_are_taken_alike_by_both_ways() {
    let house = House::start().await;
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    for id in [
        json!(0),
        json!(-3),
        json!("7"),
        json!("\u{e9}\n"),
        json!(i64::MAX),
    ] {
        assert_alike(&house.agent(SUPPORT), id, params.clone()).await;
    }
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let agent = house.agent(SUPPORT).with("mcp-protocol-version", version);
        assert_alike(&agent, json!(1), params.clone()).await;
    }
    for accepted in ["*/*", "application/json", "text/event-stream"] {
        let agent = house.agent(SUPPORT).with("accept", accepted);
        assert_alike(&agent, json!(1), params.clone()).await;
    }
}

#[tokio::test]
async fn a_failing_crm_is_told_alike_by_both_ways() {
    let house = House::start().await;
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    house
        .zoho
        .fault(
            json!({ "fault": "status", "status": 400, "path": "/crm/v8/Contacts/search",
        "body": { "code": "INVALID_DATA", "message": "x", "status": "error", "details": {} } }),
        )
        .await;
    let answer = assert_alike(&house.agent(SUPPORT), json!(1), params).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
}

#[tokio::test]
async fn a_limit_that_answers_as_a_tool_does_so_by_both_ways() {
    let house = House::with(|setup| {
        setup.set("limits.answer", "tool_error");
        setup.set("limits.client", "{ requests = 1, per = \"1h\" }");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    agent.ask("tools/call", params.clone()).await.content();
    let [plain, library] = both(&agent, &json!(1), &params).await;
    for answer in [plain, library] {
        assert_eq!(answer.status, 200);
        assert!(answer.failure().contains("Rate limit exceeded"));
    }
}
