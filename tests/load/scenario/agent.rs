//! One agent: calls at random moments, as its role has it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    company::Company,
    role::{Outcome, Role},
};
use crate::{process, streams::exponential};

pub(crate) struct Agent {
    http: reqwest::Client,
    role: Role,
    client: String,
    key: String,
    /// Of both daemons; it calls them in turns.
    urls: [String; 2],
    /// The contact that it writes to.
    contact: String,
    /// A contact of somebody else.
    foreign: String,
    /// What its writes and their keys begin with.
    prefix: String,
    number: usize,
    work: Work,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) seen: Vec<Seen>,
    /// The texts that it was told are written.
    pub(crate) told: Vec<String>,
}

pub(crate) struct Seen {
    pub(crate) role: Role,
    pub(crate) outcome: Outcome,
    /// From the moment that the call was due.
    pub(crate) latency: Duration,
    /// As the answer names it.
    pub(crate) request: Option<String>,
}

impl Agent {
    pub(crate) fn new(company: &Company, role: Role, client: &str, prefix: String) -> Self {
        Self {
            http: process::http(),
            role,
            client: client.to_owned(),
            key: company.key(client),
            urls: company.urls(),
            contact: company.contact(client),
            foreign: company.foreign.clone(),
            prefix,
            number: 0,
            work: Work::default(),
        }
    }

    /// Poisson arrivals until then. A call that is late because the one before took long was due
    /// when it was due.
    pub(crate) async fn work(mut self, until: Instant, rate: f64) -> Work {
        let mut due = Instant::now() + Duration::from_secs_f64(exponential() / rate);
        while due < until {
            sleep_until(due).await;
            self.turn(due).await;
            self.number += 1;
            due += Duration::from_secs_f64(exponential() / rate);
        }
        self.work
    }

    async fn turn(&mut self, due: Instant) {
        let (number, contact) = (self.number, self.contact.clone());
        let (tool, arguments) = match (self.role, number % 3) {
            (Role::Support, 0) => return self.write(due).await,
            (Role::Quitter, _) => return self.leave(due).await,
            (Role::Support, 1) => ("get_contact_history", json!({ "contact_id": contact })),
            (Role::Sales, 0) => ("list_deals", json!({ "limit": 10 })),
            (Role::Sales, 1) => ("get_pipeline", json!({})),
            (Role::Reader, _) => ("get_dashboard_metrics", json!({})),
            (Role::Trespasser, _) => ("create_note", self.note("forbidden")),
            (Role::Prying, 0) => ("get_contact", json!({ "contact_id": self.foreign })),
            (Role::Prying, 1) => ("get_contact_history", json!({ "contact_id": self.foreign })),
            (Role::Prying, _) => (
                "create_note",
                json!({ "record_id": self.foreign, "content": "I was here" }),
            ),
            (Role::Giant, _) => (
                "search_contacts",
                json!({ "name": "x".repeat(1 << 20), "limit": 10 }),
            ),
            _ => ("search_contacts", json!({ "name": "Giulia", "limit": 10 })),
        };
        let told = self.call(number % 2, tool, &arguments).await;
        self.saw(told, due);
    }

    fn note(&self, text: &str) -> Value {
        json!({ "record_id": self.contact, "content": text, "idempotency_key": text })
    }

    /// Writes a note, and every other one again at the other daemon.
    async fn write(&mut self, due: Instant) {
        let text = format!("{}-{}", self.prefix, self.number);
        let note = self.note(&text);
        for attempt in 0..1 + self.number / 3 % 2 {
            let due = if attempt == 0 { due } else { Instant::now() };
            let mut told = self.call(attempt, "create_note", &note).await;
            let outcome = &told.content["outcome"];
            let expected = ["created", "replayed"][attempt];
            if told.outcome == Outcome::Answered && *outcome != expected {
                told.outcome = Outcome::Odd;
            }
            if attempt == 0 && told.outcome == Outcome::Answered {
                self.work.told.push(text.clone());
            }
            self.saw(told, due);
        }
    }

    /// Leaves at a random moment of a write, and then asks until it is told that it is written.
    async fn leave(&mut self, due: Instant) {
        let text = format!("{}-{}", self.prefix, self.number);
        let note = self.note(&text);
        let patience = Duration::from_micros(u64::from(getrandom::u32().unwrap() % 10_000));
        let (mut attempt, mut due) = (0, due);
        loop {
            let daemon = (self.number + attempt) % 2;
            let patience = if attempt == 0 { patience } else { PATIENCE };
            let call = self.call(daemon, "create_note", &note);
            let told = timeout(patience, call).await.unwrap_or(Told::CUT);
            let outcome = told.outcome;
            self.saw(told, due);
            match outcome {
                Outcome::Answered => return self.work.told.push(text),
                Outcome::Cut if attempt > 0 => return self.saw(Told::ODD, due),
                Outcome::Cut | Outcome::Failed => {}
                _ => return,
            }
            if attempt > 0 {
                sleep(Duration::from_millis(500)).await;
            }
            attempt += 1;
            due = Instant::now();
        }
    }

    fn saw(&mut self, told: Told, due: Instant) {
        if !self.role.may_be_told(told.outcome) {
            eprintln!("{}: {:?} {}", self.client, told.outcome, told.text);
        }
        self.work.seen.push(Seen {
            role: self.role,
            outcome: told.outcome,
            latency: due.elapsed(),
            request: told.request,
        });
    }

    async fn call(&self, daemon: usize, tool: &str, arguments: &Value) -> Told {
        let sent = self
            .http
            .post(format!("{}/mcp", self.urls[daemon]))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("x-api-key", &self.key)
            .body(crate::call(tool, arguments))
            .send()
            .await;
        match sent {
            Ok(answer) => Told::read(answer).await,
            // A server may close on a body that it does not want before all of it is sent.
            Err(_) if self.role == Role::Giant => Told::CUT,
            Err(error) => Told {
                text: format!("{error:?}"),
                ..Told::of(Outcome::Lost)
            },
        }
    }
}

/// An answer.
struct Told {
    outcome: Outcome,
    request: Option<String>,
    content: Value,
    /// For whoever has to find out why it was not as expected.
    text: String,
}

impl Told {
    const CUT: Self = Self::of(Outcome::Cut);
    const ODD: Self = Self::of(Outcome::Odd);

    const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            request: None,
            content: Value::Null,
            text: String::new(),
        }
    }

    async fn read(answer: reqwest::Response) -> Self {
        let status = answer.status().as_u16();
        let request = answer.headers().get("x-request-id");
        let request = request.map(|id| id.to_str().unwrap().to_owned());
        let Ok(text) = answer.text().await else {
            return Self::of(Outcome::Lost);
        };
        let mut body: Value = serde_json::from_str(&text).unwrap_or_default();
        let result = &mut body["result"];
        let outcome = match (status, result["isError"].as_bool()) {
            (200, Some(false)) => Outcome::Answered,
            (200, Some(true)) if text.contains("is not permitted") => Outcome::Denied,
            (200, Some(true)) => Outcome::Failed,
            (401, _) => Outcome::Unauthorized,
            (413, _) => Outcome::TooLarge,
            (429, _) => Outcome::Limited,
            (503, _) => Outcome::Overloaded,
            _ => Outcome::Odd,
        };
        Self {
            outcome,
            request,
            content: result["structuredContent"].take(),
            text,
        }
    }
}

/// Longer than a daemon may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
