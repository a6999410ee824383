//! Personal data in every place that a caller controls, and the logs without any of it.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::{assert_every_start_has_its_end, verify};
use crate::{
    agent::Agent,
    collector::{Collector, Manner},
    house::{House, SUPPORT, eventually},
    log::stop,
    tools::everything_allowed,
};

/// Every marker of this test begins so.
const MARK: &str = "Kanarie";
/// The same as a number.
const NUMBER: u64 = 4_915_177_349_127;

/// A house that tells as much as it can, and the collector of its traces.
async fn open_house() -> (House, Collector) {
    let collector = Collector::start(Manner::Takes).await;
    let house = House::with(|setup| {
        everything_allowed(setup);
        setup.set(
            "limits.failed_logins",
            "{ requests = 100000, per = \"1m\" }",
        );
        setup.set("log.level", "trace");
        setup.set("traces.endpoint", &collector.url);
        setup.set("metrics.emf", "true");
        setup.set("server.ops_listen", "127.0.0.1:0");
        setup.set("audit.sinks", "[\"stdout\", \"file:audit.jsonl\"]");
        setup.set("audit.heads", ".");
    })
    .await;
    (house, collector)
}

/// Ends the daemon, since it tells the rest then, and looks everywhere.
async fn assert_unseen((mut house, collector): (House, Collector), calls: usize) -> House {
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
    stop(&mut house).await;
    let (log, spans) = (house.operational_log(), collector.text());
    assert!(log.contains("\"_aws\""), "no embedded metrics");
    assert!(!spans.is_empty());
    let mut places = vec![
        ("standard output".to_owned(), house.audit_text().join("\n")),
        ("standard error".to_owned(), log),
        ("the collector of traces".to_owned(), spans),
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
    house
}

/// Whatever an agent can name, as one that is there.
struct Known {
    contact: String,
    account: String,
    task: String,
    deal: String,
}

impl Known {
    async fn of(house: &House) -> Self {
        let first = async |module| house.zoho.ids(module, "id is not null").await.remove(0);
        Self {
            contact: first("Contacts").await,
            account: first("Accounts").await,
            task: first("Tasks").await,
            deal: first("Deals").await,
        }
    }

    /// Arguments that a tool takes: those that it needs, as its schema says, and one more where it
    /// asks for any of several.
    fn arguments(&self, tool: &Value) -> Value {
        let schema = &tool["inputSchema"];
        let required = schema["required"].as_array().into_iter().flatten();
        let mut arguments = json!({});
        for argument in required.map(|name| name.as_str().unwrap()) {
            arguments[argument] = self.value(argument, &schema["properties"][argument]);
        }
        match tool["name"].as_str().unwrap() {
            "update_contact" => arguments["department"] = json!("x"),
            "search_accounts" | "search_contacts" | "search_leads" => {
                arguments["name"] = json!("Giulia")
            }
            _ => {}
        }
        arguments
    }

    fn value(&self, argument: &str, schema: &Value) -> Value {
        match argument {
            "record_id" | "contact_id" => json!(self.contact),
            "account_id" => json!(self.account),
            "task_id" => json!(self.task),
            "deal_id" => json!(self.deal),
            "stage" => json!("Needs Analysis"),
            "start_time" => json!("2026-01-01T10:00:00Z"),
            _ if schema["enum"].is_array() => schema["enum"][0].clone(),
            _ if schema["type"] == "integer" => json!(5),
            _ => json!("Giulia"),
        }
    }
}

/// A mark in every shape that an argument may have.
fn shapes(mark: &str, schema: &Value) -> Vec<Value> {
    let mut shapes = vec![
        json!(mark),
        json!(format!("{mark} Person")),
        json!(format!("{mark}@x.example")),
        json!(NUMBER),
        json!([mark]),
        json!({ mark: mark }),
        json!([NUMBER, mark]),
    ];
    // What is inside of an object is an argument as well.
    let inside = schema["properties"].as_object().into_iter().flatten();
    shapes.extend(inside.flat_map(|(name, _)| {
        let values = [json!(mark), json!([mark]), json!(NUMBER)];
        values.map(|value| json!({ name: value }))
    }));
    shapes
}

#[tokio::test]
async fn no_argument_of_any_tool_reaches_a_log() {
    let (house, collector) = open_house().await;
    let agent = house.agent(SUPPORT);
    let known = Known::of(&house).await;
    let listed = agent.list().await.result();
    let tools = listed["tools"].as_array().unwrap();
    let (mut calls, mut n) = (0, 0);
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        let fitting = known.arguments(tool);
        let answer = agent.call(name, fitting.clone()).await.result();
        assert_ne!(answer["isError"], true, "{name} {fitting}: {answer}");
        let properties = tool["inputSchema"]["properties"].as_object();
        for (argument, schema) in properties.into_iter().flatten() {
            n += 1;
            for value in shapes(&format!("{MARK}{n}"), schema) {
                let mut arguments = fitting.clone();
                if ["query", "email", "phone"].contains(&&**argument) && name.starts_with("search")
                {
                    // One of them at a time.
                    arguments = json!({});
                }
                arguments[argument] = value;
                agent.call(name, arguments).await.result();
                calls += 1;
            }
        }
        let mut unknown = fitting;
        unknown[format!("{MARK} unknown")] = json!(format!("{MARK} unknown"));
        agent.call(name, unknown).await.failure();
        calls += 2;
    }
    let house = assert_unseen((house, collector), calls).await;
    let starts = house.events("tool_call_start");
    let called = starts.iter().map(|it| it["toolName"].as_str().unwrap());
    let every = zoho_mcp::tools::table().iter().map(|row| row.name);
    assert_eq!(called.collect::<BTreeSet<_>>(), every.collect());
}

#[tokio::test]
async fn nothing_that_zoho_answers_reaches_a_log() {
    let (house, collector) = open_house().await;
    let agent = house.agent(SUPPORT);
    let known = Known::of(&house).await;
    let listed = agent.list().await.result();
    let mut calls = 0;
    let says = |code: &str| {
        json!({ "code": code, "message": MARK, "status": "error",
            "details": { "expected_data_type": MARK, MARK: [MARK, NUMBER] } })
    };
    let record = json!({ "id": "1", "Last_Name": MARK, "Email": format!("{MARK}@x.example"),
        "Subject": MARK, "Deal_Name": MARK, "Stage": MARK, "Account_Name": MARK, MARK: NUMBER });
    for (status, body) in [
        (
            200,
            json!({ "data": [record], "info": { "more_records": false, MARK: MARK } }),
        ),
        (200, json!({ "data": [says("SUCCESS")] })),
        (200, json!({ MARK: MARK })),
        (202, json!({ "data": [says("INVALID_DATA")] })),
        (400, says("INVALID_DATA")),
        (403, says("NO_PERMISSION")),
        (400, json!(format!("<p>{MARK}</p>"))),
    ] {
        let fault = json!({ "fault": "status", "path": "/crm", "status": status, "body": body });
        house.zoho.fault(fault).await;
        for tool in listed["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            agent.call(name, known.arguments(tool)).await.result();
            calls += 1;
        }
        house.zoho.mend().await;
    }
    assert_unseen((house, collector), calls).await;
}

#[tokio::test]
async fn nothing_else_that_a_caller_sends_reaches_a_log() {
    let (house, collector) = open_house().await;
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
        marked.list().await;
        marked.search("x").await;
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
        house.stranger(Some(key)).list().await;
        for scheme in ["Bearer", "Basic", "Kanarie"] {
            let stranger = house
                .stranger(None)
                .with("authorization", &format!("{scheme} {key}"));
            stranger.list().await;
        }
    }
    bodies(&agent).await;
    assert_unseen((house, collector), 0).await;
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
    let (house, collector) = open_house().await;
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
    let house = assert_unseen((house, collector), calls).await;
    for line in house.audit_text() {
        assert!(line.len() < 16 << 10, "{} bytes", line.len());
        assert!(serde_json::from_str::<Value>(&line).unwrap().is_object());
        let quiet = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
        assert!(line.chars().all(quiet), "{line:?}");
    }
}
