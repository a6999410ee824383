//! The benchmark: what the whole walk costs beside a bare rmcp server that has no duties. Both
//! answer the same calls in turns, in one run. `tests/load/run` builds and starts it.
//!
//! * `replay`: create_note with an idempotency key that was used before. Nothing is asked of Zoho,
//!   so this is the walk alone: key, envelope, limits, permission, two audit lines of which the
//!   first is awaited, arguments, result. The bare server gives the very same result from memory.
//! * `search`: search_contacts. Both ask the same backend, which replays what the sandbox said
//!   once; the bare server reads the answer as untyped JSON.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on ends"
)]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "its tables are what it is for"
)]

mod audit;
mod backend;
mod bare;
mod generator;
mod process;
mod redis_server;
mod report;
mod scenario;
mod streams;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use generator::{Endpoint, Load};
use process::{Installation, Process};
use report::{Report, Row};

// The same as the daemon's: the allocator is not what is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures `zoho-mcp` beside a bare rmcp server.
#[derive(Parser)]
struct Arguments {
    /// The binary under test.
    #[arg(long, default_value = "target/release/zoho-mcp")]
    binary: PathBuf,
    /// Turns of each server in each row; the medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of a turn, after one second to warm up.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Where the servers write, besides /dev/null.
    #[arg(long, default_value = "target/tmp/load")]
    folder: PathBuf,
    /// The core that servers run on; the generator is left where it was started.
    #[arg(long)]
    core: Option<usize>,
    /// Only the rows whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Clone, Subcommand)]
enum Role {
    /// The bare rmcp server.
    Bare(bare::Setup),
    /// Many HTTP+SSE streams at the same time, with calls among them.
    Streams(streams::Setup),
    /// What the audit log takes of a call.
    Audit(audit::Setup),
    /// Many agents with roles of their own, some of them misbehaving, at two daemons.
    Scenario(scenario::Setup),
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Bare(setup)) => bare::serve(setup).await,
        _ => tokio::task::spawn_blocking(|| drive(arguments))
            .await
            .unwrap(),
    }
}

/// The generator and the backend have one thread, so that they fit on one core.
#[tokio::main(flavor = "current_thread")]
async fn drive(arguments: Arguments) {
    let installation = Installation::new(&arguments.binary, &arguments.folder, arguments.core);
    match arguments.role.clone() {
        Some(Role::Streams(setup)) => streams::run(&installation, setup).await,
        Some(Role::Audit(setup)) => audit::run(&installation, setup).await,
        Some(Role::Scenario(setup)) => scenario::run(&installation, setup).await,
        _ => compare(&installation, &arguments).await,
    }
}

async fn compare(installation: &Installation, arguments: &Arguments) {
    let sandbox = installation.sandbox().await;
    let backend = backend::start(&sandbox.ready["zoho"]).await;
    let daemon = installation
        .daemon("daemon", &backend, &sandbox.ready["zoho"], "")
        .await;
    let calls = Calls::prepare(&daemon).await;
    let bare = installation
        .bare(&backend, &backend.token, &calls.replayed)
        .await;

    let mut report = Report::default();
    for (row, body, connections) in calls.rows() {
        if !row.starts_with(&arguments.only) {
            continue;
        }
        let mut measured = Row::new(row, connections);
        for _ in 0..arguments.rounds {
            for (process, turns) in [(&bare, &mut measured.bare), (&daemon, &mut measured.ours)] {
                let load = Load {
                    endpoint: process.endpoint(),
                    body: body.clone(),
                    connections,
                    warm_up: Duration::from_secs(1),
                    measured: Duration::from_secs_f64(arguments.seconds),
                };
                turns.push(load.run(process).await);
            }
        }
        report.rows.push(measured);
    }
    report.memory("bare rmcp, after the load", bare.resident_mib());
    report.memory("zoho-mcp serve, after the load", daemon.resident_mib());
    let demo = installation.demo().await;
    report.memory("zoho-mcp demo at rest", demo.resident_mib());
    report.print();
}

/// The calls that are made.
struct Calls {
    note: Value,
    search: Value,
    /// What the daemon answers to a repeated note: the result that the bare server gives too.
    replayed: Value,
}

impl Calls {
    async fn prepare(daemon: &Process) -> Self {
        let search = json!({ "name": "Giulia", "limit": 10 });
        let found = ask(&daemon.endpoint(), &call("search_contacts", &search)).await;
        let contact = &found["structuredContent"]["items"][0]["id"];
        let note = json!({
            "record_id": contact,
            "content": "Wants a call on Friday",
            "idempotency_key": "load",
        });
        ask(&daemon.endpoint(), &call("create_note", &note)).await;
        let replayed = ask(&daemon.endpoint(), &call("create_note", &note)).await;
        assert_eq!(replayed["structuredContent"]["outcome"], "replayed");
        Self {
            note,
            search,
            replayed,
        }
    }

    fn rows(&self) -> [(&'static str, String, usize); 4] {
        let (note, search) = (
            call("create_note", &self.note),
            call("search_contacts", &self.search),
        );
        [
            ("replay", note.clone(), 64),
            ("replay", note, 1),
            ("search", search.clone(), 64),
            ("search", search, 1),
        ]
    }
}

/// A body whose id the generator replaces.
fn call(tool: &str, arguments: &Value) -> String {
    let id = generator::FIRST_ID;
    let params = json!({ "name": tool, "arguments": arguments });
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#)
}

async fn ask(endpoint: &Endpoint, body: &str) -> Value {
    let sent = process::http()
        .post(format!("http://{}/mcp", endpoint.address))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("x-api-key", &endpoint.key)
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    let answer: Value = sent.json().await.unwrap();
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    answer["result"].clone()
}
