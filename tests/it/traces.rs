//! What a collector of traces is told of a call.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};

use crate::{
    collector::{Collector, Manner, attribute, hex, traced},
    house::{DASHBOARD, House, SUPPORT, command, eventually},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

fn search(name: &str, meta: Value) -> Value {
    json!({ "name": "search_contacts", "arguments": { "name": name }, "_meta": meta })
}

#[tokio::test]
async fn a_call_is_a_span_of_the_callers_trace_with_zoho_below_it() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |_| ()).await;
    let agent = house.agent(SUPPORT).with("traceparent", OTHER);
    let params = search(
        "Giulia",
        json!({ "traceparent": PARENT, "tracestate": "a=1" }),
    );
    agent.ask("tools/call", params).await.content();
    let span = collector.span("tools/call search_contacts").await;
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.trace_state, "", "a text of the caller's");
    assert_eq!(hex(&span.links[0].trace_id), "1".repeat(32));
    for (name, value) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "search_contacts"),
        ("gen_ai.operation.name", "execute_tool"),
        ("jsonrpc.request.id", "1"),
        ("network.transport", "tcp"),
        ("network.protocol.name", "http"),
        ("network.protocol.version", "1.1"),
        ("zoho_mcp.client", SUPPORT),
        ("error.type", ""),
    ] {
        assert_eq!(attribute(&span, name), value, "{name}");
    }
    let zoho = collector.span("GET Contacts/search").await;
    assert_eq!(zoho.kind(), SpanKind::Client);
    assert_eq!(zoho.parent_span_id, span.span_id);
    assert_eq!(hex(&zoho.trace_id), TRACE);
    assert_eq!(attribute(&zoho, "url.template"), "/crm/v8/Contacts/search");
    assert_eq!(attribute(&zoho, "http.response.status_code"), "200");
    let line = house.event("tool_call_success").await;
    assert_eq!(line["traceId"], TRACE);
    assert_eq!(line["requestId"], attribute(&span, "zoho_mcp.request_id"));
}

#[tokio::test]
async fn a_call_that_needs_an_access_token_shows_how_long_it_took() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |_| ()).await;
    let search = search("Giulia", json!({}));
    house
        .agent(SUPPORT)
        .ask("tools/call", search)
        .await
        .content();
    let call = collector.span("tools/call search_contacts").await;
    let token = collector.span("POST oauth/v2/token").await;
    assert_eq!(token.kind(), SpanKind::Client);
    assert_eq!(token.parent_span_id, call.span_id);
    assert_eq!(attribute(&token, "url.template"), "/oauth/v2/token");
    assert_eq!(attribute(&token, "http.response.status_code"), "200");
    assert!(!collector.text().contains("refresh_token"));
}

#[tokio::test]
async fn without_meta_the_header_is_the_parent_and_without_both_a_trace_begins() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |_| ()).await;
    let agent = house.agent(SUPPORT);
    agent.clone().with("traceparent", PARENT).tools().await;
    let span = collector.span("tools/list").await;
    assert_eq!(hex(&span.trace_id), TRACE);
    assert!(span.links.is_empty());
    // What cannot be read is no mistake of the call.
    for nonsense in [json!("00-0-0-00"), json!(5), json!(null), json!({ "a": 1 })] {
        let params = search("Giulia", json!({ "traceparent": nonsense }));
        agent.ask("tools/call", params).await.content();
    }
    let span = collector.span("tools/call search_contacts").await;
    assert!(span.parent_span_id.is_empty() && hex(&span.trace_id) != TRACE);
}

#[tokio::test]
async fn a_failure_says_of_what_kind_it_was() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |setup| {
        let limit = "{ requests = 1, per = \"1h\" }";
        setup.set("limits.tools.get_dashboard_metrics", limit);
    })
    .await;
    let history = json!({ "contact_id": "1" });
    let support = house.agent(SUPPORT);
    support.call("get_contact_history", history).await.failure();
    let span = collector.span("tools/call get_contact_history").await;
    assert_eq!(attribute(&span, "error.type"), "tool_error");
    assert_eq!(attribute(&span, "zoho_mcp.error"), "not_found");
    assert_eq!(span.clone().status.unwrap().code, 2);
    let line = house.event("tool_call_error").await;
    assert_eq!(
        line["executionId"],
        attribute(&span, "zoho_mcp.execution_id")
    );
    support
        .call("get_revenue_report", json!({}))
        .await
        .failure();
    let span = collector.span("tools/call get_revenue_report").await;
    assert_eq!(attribute(&span, "error.type"), "tool_error");
    support.call("no_such_tool", json!({})).await.code();
    let span = collector.span("tools/call").await;
    assert_eq!(attribute(&span, "error.type"), "-32602");
    for _ in 0..2 {
        let dashboard = house.agent(DASHBOARD);
        dashboard.call("get_dashboard_metrics", json!({})).await;
    }
    let limited = house.event("rate_limit_exceeded").await;
    let is_it = |span: &_| attribute(span, "error.type") == "429";
    let span = eventually("the refusal", || collector.spans().into_iter().find(is_it));
    assert_eq!(limited["traceId"], hex(&span.await.trace_id));
}

#[tokio::test]
async fn a_call_on_a_stream_has_its_span_and_its_failure() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |_| ()).await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    stream
        .call(7, "get_contact_history", json!({ "contact_id": "1" }))
        .await;
    let span = collector.span("tools/call get_contact_history").await;
    assert_eq!(attribute(&span, "error.type"), "tool_error");
    collector.span("GET Contacts/{id}").await;
}

#[tokio::test]
async fn nothing_of_what_is_asked_or_answered_is_on_a_span() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |setup| {
        setup.variable("HEADERS", r#"{"authorization":"Bearer s3cret-canary"}"#);
        setup.set("traces.headers", "env:HEADERS");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let params = search("canary-name", json!({ "canary-meta": "canary-meta" }));
    agent.ask("tools/call", params).await.content();
    let found = agent.search("Giulia").await.content();
    let contact = &found["items"][0];
    let note = json!({ "record_id": contact["id"], "content": "canary-note" });
    agent.call("create_note", note).await.content();
    agent
        .call("canary-tool", json!({ "canary-argument": 1 }))
        .await;
    agent.ask("canary/method", json!({})).await;
    let id = json!({ "jsonrpc": "2.0", "id": "canary@example.com", "method": "tools/list" });
    agent.post(id.to_string()).await.result();
    let stranger = house.stranger(Some("canary-key"));
    assert_eq!(stranger.status().await, 401);
    collector.span("_OTHER").await;
    collector.span("tools/list").await;
    let told = collector.text();
    assert!(told.contains("create_note") && told.contains("POST Notes"));
    for secret in [
        "canary",
        "Giulia",
        contact["id"].as_str().unwrap(),
        &house.keys[SUPPORT],
    ] {
        assert!(!told.contains(secret), "{secret}");
    }
    assert_eq!(collector.header("authorization"), "Bearer s3cret-canary");
    let said = house.audit_text().join("") + &house.operational_log();
    assert!(!said.contains("s3cret-canary"));
}

#[tokio::test]
async fn zoho_is_told_which_span_asks() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |_| ()).await;
    let agent = house.agent(SUPPORT).with("traceparent", PARENT);
    let agent = agent.with("tracestate", "canary=1");
    let arguments = json!({ "name": "Giulia" });
    agent.call("search_contacts", arguments).await.content();
    let span = collector.span("GET Contacts/search").await;
    let journal = house.zoho.journal().await;
    let told = journal
        .iter()
        .filter(|entry| entry["path"] == "/crm/v8/Contacts/search");
    let told: Vec<_> = told.map(|entry| entry["traceparent"].clone()).collect();
    let expected = format!("00-{TRACE}-{}-01", hex(&span.span_id));
    assert_eq!(told, [json!(expected)]);
    assert!(!json!(journal).to_string().contains("canary"));
}

/// A search by a caller that names its trace.
async fn a_traced_call(house: &House) {
    let agent = house.agent(SUPPORT).with("traceparent", PARENT);
    let found = agent.search("Giulia");
    found.await.content();
}

#[tokio::test]
async fn zoho_hears_nothing_of_the_trace_where_it_is_not_to() {
    let collector = Collector::start(Manner::Takes).await;
    let house = traced(&collector, |setup| {
        setup.set("traces.propagate_to_zoho", "false");
    })
    .await;
    a_traced_call(&house).await;
    let journal = json!(house.zoho.journal().await).to_string();
    assert!(journal.contains("Contacts/search"));
    assert!(!journal.contains("traceparent") && !journal.contains(TRACE));
}

#[tokio::test]
async fn the_last_spans_are_sent_at_the_end() {
    let collector = Collector::start(Manner::Takes).await;
    let mut house = traced(&collector, |_| ()).await;
    house.agent(SUPPORT).tools().await;
    house.signal("-TERM");
    assert!(house.ended().await.success());
    assert!(
        collector
            .spans()
            .iter()
            .any(|span| span.name == "tools/list")
    );
}

#[tokio::test]
async fn what_the_caller_asks_for_is_not_sampled_and_without_a_collector_there_is_no_trace() {
    let collector = Collector::start(Manner::Takes).await;
    let mut house = traced(&collector, |setup| {
        setup.set("traces.sample", "0.0");
    })
    .await;
    a_traced_call(&house).await;
    assert_eq!(house.event("tool_call_success").await["traceId"], TRACE);
    house.signal("-TERM");
    house.ended().await;
    assert_eq!(collector.asked(), 0);
    let house = House::start().await;
    a_traced_call(&house).await;
    let line = house.event("tool_call_success").await;
    assert!(line.get("traceId").is_none(), "{line}");
}

#[tokio::test]
async fn headers_that_are_none_are_refused_at_the_start() {
    let house = House::start().await;
    let (config, file) = (house.file("zoho-mcp.toml"), house.file("headers"));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&file, "Bearer s3cret").unwrap();
    let more = "\n[traces]\nendpoint = \"http://127.0.0.1:9\"\nheaders = \"file:headers\"\n";
    std::fs::write(&config, text + more).unwrap();
    let checked = command(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(64));
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(
        said.contains("traces.headers") && !said.contains("s3cret"),
        "{said}"
    );
}
