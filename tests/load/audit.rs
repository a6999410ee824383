//! What the audit log takes of a call: the CPU time of its two lines beside that of the whole call, as a
//! daemon makes it whose log goes to the same place. Signed, first to where nothing is kept, then to a
//! file, on disk after each batch. `tests/load/run audit` builds and starts it.

use std::{fs, sync::Arc, time::Duration};

use clap::Args;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, sleep},
};
use uuid::Uuid;
use zoho_mcp::{
    audit::{Audit, Event, Kind, Redactor, Requests, SigningKey},
    config::{Environment, Loaded},
    tools,
};

use crate::{
    Calls, backend,
    generator::{Load, Turn},
    process::{CONFIG, Installation, Process, cpu_of},
    report::median,
};

/// How many calls, and how many at a time.
#[derive(Args, Clone)]
pub(crate) struct Setup {
    /// Calls whose lines are written, in each turn.
    #[arg(long, default_value_t = 100_000)]
    calls: usize,
    /// Calls in flight at the same time.
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// Length of a turn in which whole calls are made.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Turns of each; the medians are shown.
    #[arg(long, default_value_t = 3)]
    turns: usize,
}

/// Where the lines go.
struct Log {
    place: &'static str,
    sink: &'static str,
    config: String,
    daemon: Process,
}

/// What was measured of one kind of call with one log: the lines alone, in µs, and the whole call.
#[derive(Default)]
struct Measured {
    lines: Vec<f64>,
    whole: Vec<Turn>,
}

pub(crate) async fn run(installation: &Installation, setup: Setup) {
    let sandbox = installation.sandbox().await;
    let zoho = &sandbox.ready["zoho"];
    let backend = backend::start(zoho).await;
    let (_, pem) = SigningKey::generate().unwrap();
    fs::write(installation.file(KEY), pem.expose_secret()).unwrap();
    let mut logs = Vec::new();
    for (name, place, sink) in LOGS {
        let config = format!(
            "[audit]\nsinks = [\"file:{sink}\"]\nsigning_key = \"file:{KEY}\"\nfile = {{ max_size = \"8GiB\" }}\n"
        );
        let daemon = installation.daemon(name, &backend, zoho, &config).await;
        logs.push(Log {
            place,
            sink,
            config,
            daemon,
        });
    }
    let calls = Calls::prepare(&logs[0].daemon).await;
    Calls::prepare(&logs[1].daemon).await;
    println!("Medians\n");
    println!("| call | audit log | CPU of its lines | CPU of the call | share | calls/s |");
    println!("|---|---|---|---|---|---|");
    for (name, body, connections) in calls.rows() {
        if connections == 1 {
            continue;
        }
        let mut measured = [Measured::default(), Measured::default()];
        for _ in 0..setup.turns {
            for (log, measured) in logs.iter().zip(&mut measured) {
                let alone = lines_alone(installation, &setup, &log.config, name).await;
                measured.lines.push(alone);
                let load = Load {
                    endpoint: log.daemon.endpoint(),
                    body: body.clone(),
                    connections: setup.at_once,
                    warm_up: Duration::from_secs(1),
                    measured: Duration::from_secs_f64(setup.seconds),
                };
                measured.whole.push(load.run(&log.daemon).await);
            }
        }
        for (log, measured) in logs.iter().zip(&measured) {
            measured.print(name, log.place);
        }
    }
    end(installation, logs);
}

/// Ends the daemons and holds what they wrote, and what was written alone, against its chain.
fn end(installation: &Installation, logs: Vec<Log>) {
    for log in logs {
        log.daemon.stop();
        let file = installation.file(log.sink);
        if file.is_file() {
            installation.verify(&[file]);
        }
    }
}

impl Measured {
    fn print(&self, call: &str, place: &str) {
        let lines = median(self.lines.iter().copied());
        let whole = median(self.whole.iter().map(|turn| turn.cpu));
        let rate = median(self.whole.iter().map(|turn| turn.calls_per_second));
        let share = lines / whole * 100.0;
        println!("| {call} | {place} | {lines:.1} µs | {whole:.1} µs | {share:.1} % | {rate:.0} |");
    }
}

/// CPU time of the lines of such a call, in microseconds.
async fn lines_alone(installation: &Installation, setup: &Setup, config: &str, name: &str) -> f64 {
    // The daemon holds a claim of its own to the file.
    let config = config.replace("[audit]", "[audit]\ninstance = \"alone\"") + CONFIG;
    let base = installation.file("");
    let loaded = Loaded::from_text("alone.toml", &config, base.clone(), &Environment::new());
    let (key, _) = SigningKey::generate().unwrap();
    let audit = Audit::start(&loaded.unwrap().config.audit, &base, Some(key), None).unwrap();
    let agent = Agent::of(&audit, name == "replay");
    let own = std::process::id();
    let cpu = cpu_of(own);
    let mut agents = JoinSet::new();
    for _ in 0..setup.at_once {
        let (agent, calls) = (agent.clone(), setup.calls / setup.at_once);
        agents.spawn(async move {
            for _ in 0..calls {
                agent.call().await;
            }
        });
    }
    agents.join_all().await;
    while audit.waiting() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let cpu = cpu_of(own) - cpu;
    audit.close(Instant::now()).await.unwrap();
    cpu.as_secs_f64() * 1e6 / (setup.calls / setup.at_once * setup.at_once) as f64
}

/// Records what a call records, and waits where it waits.
#[derive(Clone)]
struct Agent {
    audit: Audit,
    redactor: Redactor,
    row: &'static tools::Row,
    arguments: Arc<Value>,
    /// What the walk knows of a call before its log has to do with it.
    base: Event,
    writes: bool,
}

impl Agent {
    /// One that repeats a note, or one that searches.
    fn of(audit: &Audit, writes: bool) -> Self {
        let note = json!({ "record_id": CONTACT, "content": "Wants a call on Friday",
            "idempotency_key": "load" });
        let (tool, arguments) = match writes {
            true => ("create_note", note),
            false => ("search_contacts", json!({ "name": "Giulia", "limit": 10 })),
        };
        let base = Event {
            request_id: Some(Uuid::now_v7()),
            client_id: Some("agent".into()),
            role: Some("everything".into()),
            auth_method: Some("api_key"),
            key_id: Some("0123456789".into()),
            ip: Some([127, 0, 0, 1].into()),
            path: Some("/mcp"),
            transport: Some("http"),
            tool_name: Some(tool.into()),
            ..Event::new(Kind::ToolCallStart)
        };
        Self {
            audit: audit.clone(),
            redactor: Redactor::new(&vec![7; 32].into()),
            row: tools::find(tool).unwrap(),
            arguments: Arc::new(arguments),
            base,
            writes,
        }
    }

    async fn call(&self) {
        let mut room = self.audit.reserve().await.unwrap();
        let base = Event {
            execution_id: Some(self.audit.execution_id()),
            ..self.base.clone()
        };
        let arguments = self.arguments.as_object().unwrap();
        let start = Event {
            args: Some(self.redactor.redact(self.row.classes, arguments, true)),
            ..base.clone()
        };
        let end = Event {
            kind: Kind::ToolCallSuccess,
            duration_ms: Some(1),
            records_returned: Some(1),
            credits: Some(0),
            ..base
        };
        if self.writes {
            self.audit.accept_in(&mut room, &start).await.unwrap();
            let end = Event {
                record_id: Some(CONTACT.into()),
                outcome: Some("replayed"),
                ..end
            };
            self.audit.accept_in(&mut room, &end).await.unwrap();
            return;
        }
        self.audit.record_in(&mut room, &start);
        // Others come to their turn while Zoho is asked.
        yield_now().await;
        let mut zoho = Requests::NONE;
        let place = zoho.sent("GET", "/crm/v8/Contacts/search", 1);
        zoho.ended(place, Ok(200), 1);
        self.audit.record_in(&mut room, &Event { zoho, ..end });
    }
}

/// The daemon, where its log goes, and what the configuration calls that.
const LOGS: [(&str, &str, &str); 2] = [
    ("discarding", "kept nowhere", "/dev/null"),
    ("durable", "file, on disk after each batch", "audit.jsonl"),
];
const KEY: &str = "audit-key.pem";
const CONTACT: &str = "6000000000000001";
