use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use axum::extract::Request;
use serde_json::{Value, json};
use tower::Service as _;
use uuid::Uuid;

use super::*;
use crate::{
    app::{App, Secrets},
    auth::{Caller, Proof, Way},
    call::Call,
    config::{Environment, Loaded},
    listen::Peer,
    mcp::Streamable,
    permit,
    telemetry::tell_panics,
    tools,
};

/// An operational log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const CONFIG: &str = r#"
[auth.api_keys]
enabled = false
[zoho]
credentials = "env:CREDENTIALS"
[audit]
sinks = ["file:audit.jsonl"]
[roles.r]
tools = ["search_contacts", "create_note"]
max_records_per_query = 1
allow_write = true
[clients.c]
role = "r"
"#;

/// The daemon's desk, with an audit log in a folder of its own.
fn app(base: &std::path::Path) -> App {
    let credentials = json!({ "client_id": "i", "client_secret": "s", "refresh_token": "t" });
    let environment = Environment::from([("CREDENTIALS".into(), credentials.to_string())]);
    let loaded = Loaded::from_text("x.toml", CONFIG, base.into(), &environment).unwrap();
    let secrets = Secrets::read(&loaded, &environment).unwrap();
    let audit = Audit::start(&loaded.config.audit, base, None, None).unwrap();
    App::new(loaded.config, secrets, audit).unwrap()
}

fn ticket() -> Ticket {
    let caller = Caller {
        client: "c".into(),
        role: "r".into(),
        user: None,
        user_in_log: None,
        proven_by: Proof::by(Way::ApiKey),
        key_id: None,
        scopes: None,
        standing: [].into(),
    };
    Ticket {
        caller: Arc::new(caller),
        peer: Peer::sample(),
        trace: Trace::default(),
        slip: None,
        cause: None,
    }
}

/// A tool of which a call does something else.
fn row(name: &str, run: tools::Run) -> &'static Row {
    let real = tools::table().iter().find(|row| row.name == name).unwrap();
    Box::leak(Box::new(Row {
        name: real.name,
        effect: real.effect,
        classes: real.classes,
        fits: real.fits,
        definition: real.definition.clone(),
        run,
    }))
}

/// What `search_contacts` with a mistake in it does.
fn stumble<'a>(_: &'a Context<'a>, arguments: JsonObject) -> tools::Running<'a> {
    Box::pin(async move { panic!("stumbled over {arguments:?}") })
}

fn write<'a>(context: &'a Context<'a>, _: JsonObject) -> tools::Running<'a> {
    Box::pin(async {
        let (record, outcome) = ("1".into(), "created");
        context.written.set(Written { record, outcome }).unwrap();
        Ok(tools::Answer {
            output: json!({}),
            text: String::new(),
            records: 1,
        })
    })
}

#[tokio::test]
async fn whoever_hears_of_a_change_finds_it_in_the_log() {
    let base = std::env::temp_dir().join(format!("zoho-mcp-{}", Uuid::new_v4()));
    std::fs::create_dir(&base).unwrap();
    let app = app(&base);
    let (desk, ticket, row) = (&*app.handler.0, ticket(), row("create_note", write));
    let policy = desk.policy.load();
    let grant = permit::decide(&policy, &ticket.caller, row.permission()).unwrap();
    let arguments = JsonObject::new();
    for n in 1..=20 {
        let call = Execution::begin(desk, &ticket, row, &grant, &arguments);
        let call = call.await.unwrap();
        call.run(JsonObject::new(), Progress::default(), None).await;
        let audit = std::fs::read_to_string(base.join("audit.jsonl")).unwrap();
        assert_eq!(audit.matches("tool_call_success").count(), n, "{audit}");
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[tokio::test]
async fn a_call_that_panics_ends_with_its_line_and_what_it_stumbled_over_is_told_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .finish();
    let _quiet = tracing::subscriber::set_default(subscriber);
    let base = std::env::temp_dir().join(format!("zoho-mcp-{}", Uuid::new_v4()));
    std::fs::create_dir(&base).unwrap();
    let app = app(&base);
    let (desk, ticket, row) = (&*app.handler.0, ticket(), row("search_contacts", stumble));
    let policy = desk.policy.load();
    let grant = permit::decide(&policy, &ticket.caller, row.permission()).unwrap();
    let arguments = json!({ "name": "Kanarie" }).as_object().cloned().unwrap();
    let before = std::panic::take_hook();
    tell_panics();
    // The process lives, and the next call is made like the first.
    for _ in 0..2 {
        let call = Execution::begin(desk, &ticket, row, &grant, &arguments);
        let call = call.await.unwrap();
        let answer = call.run(arguments.clone(), Progress::default(), None).await;
        assert_eq!(answer.is_error, Some(true));
        let told = serde_json::to_string(&answer).unwrap();
        assert!(told.contains("failed for a reason of its own"), "{told}");
        assert!(!told.contains("Kanarie"), "{told}");
    }
    std::panic::set_hook(before);
    app.audit()
        .close(tokio::time::Instant::now())
        .await
        .unwrap();
    let audit = std::fs::read_to_string(base.join("audit.jsonl")).unwrap();
    std::fs::remove_dir_all(base).unwrap();
    let lines = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let ends = lines.iter().filter(|line| line["error"] == "panic");
    assert_eq!(ends.count(), 2, "{audit}");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("a task panicked").count(), 2, "{log}");
    assert!(log.contains("src/mcp/execution/tests.rs"), "{log}");
    assert!(
        !log.contains("Kanarie") && !audit.contains("Kanarie"),
        "{log}\n{audit}"
    );
}

#[tokio::test]
async fn a_request_that_no_guard_has_seen_is_refused_on_both_ways() {
    let base = std::env::temp_dir().join(format!("zoho-mcp-{}", Uuid::new_v4()));
    std::fs::create_dir(&base).unwrap();
    let app = app(&base);
    let mut mcp = Streamable::new(app.handler.clone(), &app.config.mcp, &app.drain);
    for method in ["tools/call", "tools/list"] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method,
            "params": { "name": "search_contacts", "arguments": { "name": "x" } } });
        let body = bytes::Bytes::from(body.to_string());
        let call = Arc::new(Call::parse(&body).unwrap());
        let request = Request::post("/mcp").header("content-type", "application/json");
        let request = request.extension(call).body(body.into()).unwrap();
        let answer = mcp.call(request).await.unwrap();
        assert_eq!(answer.status(), 500, "{method}");
    }
    std::fs::remove_dir_all(base).unwrap();
}
