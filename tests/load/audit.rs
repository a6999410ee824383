//! What the audit log costs: the CPU time of the two lines of a call, signed and durable in a file, beside
//! that of the whole call. `tests/load/run audit` builds and starts it.

use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use zoho_mcp::{
    audit::{Audit, Event, Kind, Redactor, SigningKey},
    config::{Environment, Loaded},
    tools,
};

use crate::{
    Calls, backend,
    generator::Load,
    process::{CONFIG, Installation, cpu_of},
};

/// How many calls, and how many at a time.
#[derive(Args, Clone)]
pub(crate) struct Setup {
    /// Calls whose lines are written.
    #[arg(long, default_value_t = 200_000)]
    calls: usize,
    /// Calls in flight at the same time.
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// Length of the turn in which whole calls are made.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

pub(crate) async fn run(installation: &Installation, setup: Setup) {
    let log = installation.file("alone.jsonl");
    let (alone, rate) = lines_alone(installation, &setup).await;
    installation.verify(&[log]);
    let sandbox = installation.sandbox().await;
    let backend = backend::start(&sandbox.ready["zoho"]).await;
    let daemon = installation.daemon(&backend, &sandbox.ready["zoho"]).await;
    let calls = Calls::prepare(&daemon).await;
    println!("| figure | |\n|---|---|");
    let written = setup.calls / setup.at_once * setup.at_once;
    println!("| calls whose two lines were written and verified | {written} |");
    println!("| calls a second, of their lines alone | {rate:.0} |");
    println!("| CPU of the lines of a call | {alone:.1} µs |");
    for (name, body, connections) in calls.rows() {
        if connections == 1 {
            continue;
        }
        let load = Load {
            endpoint: daemon.endpoint(),
            body,
            connections: setup.at_once,
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs_f64(setup.seconds),
        };
        let whole = load.run(&daemon).await.cpu;
        let share = alone / whole * 100.0;
        println!(
            "| CPU of a whole call, {name} | {whole:.1} µs, of which the lines {share:.1} % |"
        );
    }
}

/// CPU time of the lines of a call, in microseconds, and calls a second.
async fn lines_alone(installation: &Installation, setup: &Setup) -> (f64, f64) {
    let config = format!(
        "[audit]\nsinks = [\"file:alone.jsonl\"]\nfile = {{ max_size = \"2GiB\" }}\n{CONFIG}"
    );
    let base = installation.file("");
    let loaded = Loaded::from_text("alone.toml", &config, base.clone(), &Environment::new());
    let (key, _) = SigningKey::generate().unwrap();
    let audit = Audit::start(&loaded.unwrap().config.audit, &base, Some(key), None).unwrap();
    let redactor = Redactor::new(&vec![7; 32].into());
    let note = json!({ "record_id": "6000000000000001", "content": "Wants a call on Friday",
        "idempotency_key": "load" });
    let note = note.as_object().unwrap();
    let own = std::process::id();
    let (began, cpu) = (Instant::now(), cpu_of(own));
    let each = setup.calls / setup.at_once;
    let agents = (0..setup.at_once).map(|_| async {
        for _ in 0..each {
            call(&audit, &redactor, note).await;
        }
    });
    join_all(agents).await;
    while audit.waiting() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let (elapsed, cpu) = (began.elapsed(), cpu_of(own) - cpu);
    audit.close(Instant::now()).await.unwrap();
    let calls = (each * setup.at_once) as f64;
    (
        cpu.as_secs_f64() * 1e6 / calls,
        calls / elapsed.as_secs_f64(),
    )
}

/// The lines of one write.
async fn call(audit: &Audit, redactor: &Redactor, arguments: &Map<String, Value>) {
    let row = tools::find("create_note").unwrap();
    let event = |kind: Kind| Event {
        request_id: Some(Uuid::now_v7()),
        client_id: Some("agent".into()),
        role: Some("everything".into()),
        auth_method: Some("api_key"),
        key_id: Some("0123456789".into()),
        ip: Some([127, 0, 0, 1].into()),
        path: Some("/mcp"),
        transport: Some("http"),
        tool_name: Some(row.name.into()),
        ..Event::new(kind)
    };
    let execution_id = Some(Uuid::now_v7());
    let mut room = audit.reserve().await.unwrap();
    let start = Event {
        execution_id,
        args: Some(redactor.redact(row.classes, arguments, true)),
        ..event(Kind::ToolCallStart)
    };
    audit.accept_in(&mut room, start).await.unwrap();
    let end = Event {
        execution_id,
        duration_ms: Some(1),
        records_returned: Some(1),
        credits: Some(0),
        outcome: Some("replayed"),
        ..event(Kind::ToolCallSuccess)
    };
    audit.record_in(&mut room, end);
}
