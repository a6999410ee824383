//! Personal data in every place that a caller controls, and the logs without any of it.

use std::fs;

use serde_json::{Value, json};

use super::{assert_every_start_has_its_end, verify};
use crate::{
    agent::Agent,
    house::{House, SUPPORT, eventually},
};

/// Every marker of this test begins so.
const MARK: &str = "Kanarie";
/// The same as a number.
const NUMBER: u64 = 4_915_177_349_127;

async fn open_house() -> House {
    House::with(|setup| {
        setup.set(
            "roles.customer-service.tools",
            r#"["search_contacts", "get_contact_history", "create_note", "get_deal_summary",
                "get_revenue_report", "get_dashboard_metrics", "create_task", "log_call",
                "complete_task", "update_deal_stage", "update_contact", "create_lead"]"#,
        );
        setup.set(
            "limits.failed_logins",
            "{ requests = 100000, per = \"1m\" }",
        );
        setup.set("log.level", "debug");
        setup.set("server.ops_listen", "127.0.0.1:0");
        setup.set("audit.sinks", "[\"stdout\", \"file:audit.jsonl\"]");
        setup.set("audit.heads", ".");
    })
    .await
}

async fn assert_unseen(house: &House, calls: usize) {
    eventually("every end", || {
        let log = house.audit();
        let ended = log
            .iter()
            .filter(|line| line["durationMs"].is_u64())
            .count();
        (ended >= calls).then_some(())
    })
    .await;
    let health = house.agent(SUPPORT).get("/health").await.text;
    let metrics = house.operator().get("/metrics").await.text;
    let usage = eventually("the file of what keys were used", || {
        fs::read_to_string(house.file("keys.usage.json")).ok()
    })
    .await;
    let mut places = vec![
        ("standard output".to_owned(), house.audit_text().join("\n")),
        ("standard error".to_owned(), house.operational_log()),
        ("/health".to_owned(), health),
        ("/metrics".to_owned(), metrics),
        ("keys.usage.json".to_owned(), usage),
    ];
    // Whatever the daemon has written, by whatever name.
    for file in fs::read_dir(house.file("")).unwrap() {
        let path = file.unwrap().path();
        places.push((
            path.display().to_string(),
            fs::read_to_string(path).unwrap(),
        ));
    }
    let names: String = places.iter().map(|(place, _)| place.as_str()).collect();
    assert!(
        names.contains("audit.jsonl") && names.contains(".head"),
        "{names}"
    );
    for (place, text) in places {
        let lower = text.to_lowercase();
        let at = lower
            .find(&MARK.to_lowercase())
            .or(text.find(&NUMBER.to_string()));
        let around = at.map(|at| {
            text.chars()
                .skip(at.saturating_sub(200))
                .take(400)
                .collect::<String>()
        });
        assert_eq!(around, None, "in {place}");
    }
    verify(&house.audit_text());
    assert_every_start_has_its_end(&house.audit());
}

#[tokio::test]
async fn no_argument_of_any_tool_reaches_a_log() {
    let house = open_house().await;
    let agent = house.agent(SUPPORT);
    let contact = house.zoho.ids("Contacts", "id is not null").await.remove(0);
    let task = house.zoho.ids("Tasks", "id is not null").await.remove(0);
    let deal = house.zoho.ids("Deals", "id is not null").await.remove(0);
    let listed = agent.ask("tools/list", json!({})).await.result();
    let (mut calls, mut n) = (0, 0);
    for tool in listed["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let properties = tool["inputSchema"]["properties"].as_object().unwrap();
        for argument in properties.keys() {
            n += 1;
            let mark = format!("{MARK}{n}");
            for value in [
                json!(mark),
                json!(format!("{mark} Person")),
                json!(format!("{mark}@x.example")),
                json!(NUMBER),
                json!([mark]),
                json!({ (mark.clone()): mark }),
                json!({ "stage": mark }),
                json!([NUMBER, mark]),
            ] {
                let mut arguments = match name {
                    "create_note" => json!({ "record_id": contact, "content": "x" }),
                    "create_task" => json!({ "record_id": contact, "subject": "x" }),
                    "log_call" => json!({ "record_id": contact, "subject": "x",
                        "direction": "Inbound", "start_time": "2026-01-01T10:00:00Z",
                        "duration_minutes": 5 }),
                    "complete_task" => json!({ "task_id": task }),
                    "update_deal_stage" => json!({ "deal_id": deal, "stage": "Needs Analysis" }),
                    "update_contact" => json!({ "contact_id": contact, "department": "x" }),
                    "create_lead" => json!({ "last_name": "x", "company": "x" }),
                    "get_contact_history" => json!({ "contact_id": contact }),
                    "search_contacts" if argument == "limit" => json!({ "name": "x" }),
                    _ => json!({}),
                };
                arguments[argument] = value;
                agent.call(name, arguments).await.result();
                calls += 1;
            }
        }
        let mut unknown = json!({});
        unknown[format!("{MARK} unknown")] = json!(format!("{MARK} unknown"));
        agent.call(name, unknown).await.failure();
        calls += 1;
    }
    assert!(calls > 180, "{calls}");
    assert_unseen(&house, calls).await;
}

#[tokio::test]
async fn nothing_else_that_a_caller_sends_reaches_a_log() {
    let house = open_house().await;
    let agent = house.agent(SUPPORT);
    for (n, header) in [
        "x-request-id",
        "user-agent",
        "traceparent",
        "tracestate",
        "mcp-name",
        "mcp-method",
        "mcp-session-id",
        "mcp-protocol-version",
        "origin",
        "x-forwarded-for",
        "forwarded",
        "cookie",
        "referer",
        "last-event-id",
        "accept",
        "baggage",
        "host",
    ]
    .into_iter()
    .enumerate()
    {
        let marked = agent.clone().with(header, &format!("{MARK}{n}"));
        marked.ask("tools/list", json!({})).await;
        marked.call("search_contacts", json!({ "name": "x" })).await;
    }
    for path in [
        "/Kanarie",
        "/mcp/Kanarie",
        "/mcp?key=Kanarie",
        "/health?x=Kanarie",
        "/messages?sessionId=Kanarie",
        "/sse/Kanarie",
        "/.well-known/Kanarie",
    ] {
        agent.get(path).await;
        agent.send(reqwest::Method::POST, path, "{}").await;
    }
    for key in [
        "Kanarie",
        "zmcp_live_Kanarie001_Kanarie0000000000000000000000000_000000",
        "zmcp_Kanarie_",
        "KANARIE KANARIE",
    ] {
        house.stranger(Some(key)).ask("tools/list", json!({})).await;
        for scheme in ["Bearer", "Basic", "Kanarie"] {
            let stranger = house
                .stranger(None)
                .with("authorization", &format!("{scheme} {key}"));
            stranger.ask("tools/list", json!({})).await;
        }
    }
    bodies(&agent).await;
    assert_unseen(&house, 0).await;
}

/// Names, ids and broken messages.
async fn bodies(agent: &Agent) {
    for name in ["Kanarie", "search_contacts\nKanarie", "Kanarie\u{2028}"] {
        agent.call(name, json!({})).await;
        agent.ask(name, json!({ "name": name })).await;
    }
    let id = json!({ "jsonrpc": "2.0", "id": "Kanarie-id", "method": "tools/call",
        "params": { "name": "search_contacts", "arguments": { "name": "x" },
            "_meta": { "progressToken": "Kanarie", "Kanarie": "Kanarie" } } });
    agent.post(id.to_string()).await;
    let client = json!({ "protocolVersion": "Kanarie", "capabilities": {},
        "clientInfo": { "name": "Kanarie", "version": "Kanarie", "title": "Kanarie" } });
    agent.ask("initialize", client).await;
    agent
        .ask("tools/list", json!({ "cursor": "Kanarie" }))
        .await;
    for body in [
        "Kanarie",
        "{\"Kanarie\"",
        "[\"Kanarie\"]",
        "\"Kanarie\"",
        "{}",
        r#"{"jsonrpc":"Kanarie","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{"Kanarie":1},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"Kanarie"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"Kanarie"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/Kanarie","params":{"Kanarie":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"Kanarie"}}"#,
    ] {
        agent.post(body).await;
    }
    agent
        .clone()
        .with("content-type", "text/Kanarie")
        .post("{}")
        .await;
}

#[tokio::test]
async fn hostile_text_keeps_every_line_one_short_object() {
    let house = open_house().await;
    let agent = house.agent(SUPPORT);
    let contact = house.zoho.ids("Contacts", "id is not null").await.remove(0);
    let mut calls = 0;
    for text in [
        "\r\n{\"event\":\"auth_success\"}".to_owned(),
        "\u{2028}\u{2029}\u{85}".to_owned(),
        "\u{1b}[2J\u{1b}]0;title\u{7}".to_owned(),
        "\0\u{1}\u{7f}".to_owned(),
        "\"},{\"hash\":\"".to_owned(),
        "x".repeat(200 << 10),
        "\u{1f426}".repeat(40 << 10),
    ] {
        for (tool, arguments) in [
            ("search_contacts", json!({ "name": text })),
            ("search_contacts", json!({ "limit": text, "cursor": text })),
            (
                "create_note",
                json!({ "record_id": contact, "content": text, "title": text }),
            ),
            (
                "create_note",
                json!({ "record_id": contact, "content": "x", "idempotency_key": text }),
            ),
            (
                "get_contact_history",
                json!({ "contact_id": text, "types": [text] }),
            ),
            ("get_deal_summary", json!({ "filters": { "stage": text } })),
            ("get_revenue_report", json!({ "period": text })),
            (
                "get_revenue_report",
                json!({ "period": vec![text.chars().next(); 20_000] }),
            ),
        ] {
            if arguments.to_string().len() < 250 << 10 {
                agent.call(tool, arguments).await.result();
                calls += 1;
            }
        }
    }
    assert_unseen(&house, calls).await;
    for line in house.audit_text() {
        assert!(line.len() < 16 << 10, "{} bytes", line.len());
        assert!(serde_json::from_str::<Value>(&line).unwrap().is_object());
        let quiet = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
        assert!(line.chars().all(quiet), "{line:?}");
    }
}
