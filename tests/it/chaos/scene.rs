//! One thing that two instances need, and what becomes of them while it fails.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use super::table::{ANY, Cell, Row, TABLE};
use crate::{
    agent::{Agent, Answer},
    house::{House, SUPPORT},
    pair::health,
    passage::Fault,
};

/// What the instances need.
pub(super) trait Needed {
    const NAME: &'static str;
    /// The longest that a call may take, by the configuration.
    const DEADLINE: Duration;

    fn expected(row: &Row) -> Cell;
    /// Whether this machine can do that to it.
    fn can_suffer(&self, fault: Fault) -> bool;
    fn suffers(&mut self, fault: Fault, houses: &[House; 2]);
    fn recovers(&mut self, houses: &[House; 2]);
    /// What it is like for an instance, after the word of `/health`.
    fn detail(&self, house: &House, checks: &Value) -> String;

    fn agent(&self, house: &House) -> Agent {
        house.agent(SUPPORT)
    }
}

pub(super) struct Scene<N> {
    pub(super) houses: [House; 2],
    pub(super) needed: N,
}

/// Whether the figures are to be kept to, on a machine that does nothing else.
pub(super) fn is_strict() -> bool {
    std::env::var_os("ZOHO_MCP_TEST_CHAOS").is_some_and(|value| value == "strict")
}

/// Lets each of the faults happen, prints what was seen, and fails where that was not expected. To
/// save time two scenes are played at once, except where figures are kept to.
pub(super) async fn run<N: Needed>(scene: impl AsyncFn() -> Scene<N>) {
    let wrong = if is_strict() {
        scene().await.play(&TABLE).await
    } else {
        let (network, words) = TABLE.split_at(TABLE.len() / 2);
        let half = async |rows| scene().await.play(rows).await;
        let (one, other) = tokio::join!(half(network), half(words));
        one + &other
    };
    assert!(wrong.is_empty(), "{wrong}");
}

/// What was seen of one fault.
pub(super) struct Seen {
    pub(super) state: String,
    pub(super) answers: BTreeSet<String>,
    pub(super) calls: usize,
    pub(super) longest: Duration,
    /// How long it took; or what was still wrong in the end.
    pub(super) recovery: Result<Duration, String>,
}

impl Seen {
    /// `deadline` is the longest that a call may take.
    pub(super) fn problem(
        &self,
        deadline: Duration,
        state: &str,
        answers: &[&str],
    ) -> Option<String> {
        let strict = is_strict();
        let (slack, patience) = match strict {
            true => (Duration::from_millis(100), Duration::from_secs(5)),
            false => (Duration::from_secs(20), PATIENCE),
        };
        let unexpected = self.answers.iter().find(|it| !answers.contains(&&***it));
        if state != ANY && self.state != state {
            return Some(format!("the state was {:?}", self.state));
        }
        if let Some(answer) = unexpected {
            return Some(format!("an answer was {answer:?}"));
        }
        if self.longest > deadline + slack {
            return Some(format!("a call took {:?}", self.longest));
        }
        match &self.recovery {
            Ok(took) if *took <= patience => None,
            Ok(took) => Some(format!("the recovery took {took:?}")),
            Err(problem) => Some(format!("no recovery: {problem}")),
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let answers: Vec<_> = self.answers.iter().map(String::as_str).collect();
        let recovery = match &self.recovery {
            Ok(took) => format!("{:.2} s", took.as_secs_f64()),
            Err(_) => "none".to_owned(),
        };
        write!(
            f,
            "{:<40} | {:<48} | {:>5} calls | longest {:>5.2} s | recovery {recovery:>7}",
            self.state,
            answers.join(", "),
            self.calls,
            self.longest.as_secs_f64(),
        )
    }
}

impl<N: Needed> Scene<N> {
    /// Prints what was seen of each fault; what of it was not expected.
    async fn play(mut self, rows: &[Row]) -> String {
        let contact = self.contact().await;
        self.becomes_well(&contact).await.unwrap();
        let (mut table, mut wrong) = (String::new(), String::new());
        for row in rows {
            let (name, fault) = (N::NAME, format!("{:?}", row.fault));
            let line = match N::expected(row) {
                Cell::No(why) => format!("not a fault of it: {why}"),
                Cell::Expect { .. } if !self.needed.can_suffer(row.fault) => {
                    "not tried: this machine cannot do it".to_owned()
                }
                Cell::Expect { state, answers } => {
                    let seen = self.observe(row.fault, state, &contact).await;
                    let problem = seen.problem(N::DEADLINE, state, answers);
                    let verdict = problem.as_deref().unwrap_or("as expected");
                    if let Some(problem) = &problem {
                        wrong.push_str(&format!("\n{name} {fault}: {problem}"));
                    }
                    format!("{state:<40} | {seen} | {verdict}")
                }
            };
            table.push_str(&format!("{name:<15} | {fault:<8} | {line}\n"));
        }
        print!("\n{table}");
        wrong
    }

    /// A contact to read and write about.
    pub(super) async fn contact(&self) -> String {
        let zoho = &self.houses[0].zoho;
        zoho.ids("Contacts", "id is not null").await.remove(0)
    }

    /// Has calls go on while something is wrong, and for as long afterwards as it takes.
    async fn observe(&mut self, fault: Fault, wanted: &str, contact: &str) -> Seen {
        let since = Instant::now();
        self.needed.suffers(fault, &self.houses);
        let is_over = Arc::<AtomicBool>::default();
        let callers: Vec<_> = (self.houses.iter())
            .flat_map(|house| [QUESTIONS[0], QUESTIONS[1]].map(|it| (house, it)))
            .map(|(house, question)| {
                let agent = self.needed.agent(house);
                keep_calling(agent, question, contact.to_owned(), is_over.clone())
            })
            .collect();
        let state = self.settles(wanted, since).await;
        is_over.store(true, Ordering::Relaxed);
        let mut seen = Seen {
            state,
            answers: BTreeSet::new(),
            calls: 0,
            longest: Duration::ZERO,
            recovery: Ok(Duration::ZERO),
        };
        for caller in callers {
            for (word, took) in caller.await.unwrap() {
                seen.answers.insert(word);
                seen.calls += 1;
                seen.longest = seen.longest.max(took);
            }
        }
        self.needed.recovers(&self.houses);
        let since = Instant::now();
        seen.recovery = self.becomes_well(contact).await.map(|()| since.elapsed());
        seen
    }

    /// Looks until both instances have been in the state that is wanted for a while; another one
    /// that was seen last, if they were not.
    async fn settles(&self, wanted: &str, since: Instant) -> String {
        let mut as_wanted = Instant::now();
        while as_wanted.elapsed() < HOLDS {
            let states = self.states().await;
            if let Some(other) = states.into_iter().find(|it| wanted != ANY && it != wanted) {
                as_wanted = Instant::now();
                if since.elapsed() > PATIENCE {
                    return other;
                }
            }
            sleep(LOOK).await;
        }
        wanted.to_owned()
    }

    async fn states(&self) -> [String; 2] {
        let [one, other] = &self.houses;
        [self.state(one).await, self.state(other).await]
    }

    async fn state(&self, house: &House) -> String {
        let health = health(house).await;
        let status = health["status"].as_str().unwrap();
        match self.needed.detail(house, &health["checks"]) {
            detail if detail.is_empty() => status.to_owned(),
            detail => format!("{status}, {detail}"),
        }
    }

    /// Waits until both instances are well and serve; what is still wrong if they do not.
    pub(super) async fn becomes_well(&self, contact: &str) -> Result<(), String> {
        let since = Instant::now();
        loop {
            match self.ill(contact).await {
                None => return Ok(()),
                Some(ill) if since.elapsed() > PATIENCE => return Err(ill),
                Some(_) => sleep(LOOK).await,
            }
        }
    }

    /// What is wrong with one of the instances.
    async fn ill(&self, contact: &str) -> Option<String> {
        for house in &self.houses {
            let agent = self.needed.agent(house);
            for question in QUESTIONS {
                let word = word(question, &ask(&agent, question, contact).await);
                if !word.ends_with(" served") {
                    return Some(word);
                }
            }
            let state = self.state(house).await;
            if state != "healthy" {
                return Some(state);
            }
        }
        None
    }
}

/// Whether an instance goes on with what it had: its last word of keys says so.
pub(super) fn last_good(house: &House) -> String {
    let last = house.events("keys_reload").pop().unwrap_or_default();
    let reason = last["reason"].as_str().unwrap_or_default();
    let is_kept = reason.contains("last_good_keeps_serving");
    if is_kept { "last good" } else { "" }.to_owned()
}

pub(super) async fn ask(agent: &Agent, question: Question, contact: &str) -> Answer {
    let arguments = match question {
        Question::Read => json!({ "name": "Giulia" }),
        Question::Write => json!({ "record_id": contact, "content": "chaos" }),
    };
    agent.call(question.tool(), arguments).await
}

/// What became of a call: it was served, or told what is in the way, or neither.
pub(super) fn word(question: Question, answer: &Answer) -> String {
    let name = question.name();
    let result = serde_json::from_str::<Value>(&answer.text).unwrap_or_default();
    let text = result["result"]["content"][0]["text"].as_str();
    let (status, is_error) = (answer.status.as_u16(), &result["result"]["isError"]);
    match (status, text) {
        (200, Some(_)) if is_error != true => format!("{name} served"),
        (200, Some(text)) if !text.is_empty() => format!("{name} told"),
        (429 | 503, _) if !answer.header("retry-after").is_empty() => format!("{name} told"),
        _ => format!("{name}: {status} {}", answer.text),
    }
}

#[derive(Clone, Copy)]
pub(super) enum Question {
    Read,
    Write,
}

impl Question {
    const fn tool(self) -> &'static str {
        match self {
            Self::Read => "search_contacts",
            Self::Write => "create_note",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
        }
    }
}

/// What became of each call, and how long it took.
fn keep_calling(
    agent: Agent,
    question: Question,
    contact: String,
    is_over: Arc<AtomicBool>,
) -> JoinHandle<Vec<(String, Duration)>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let answer = ask(&agent, question, &contact).await;
            seen.push((word(question, &answer), asked.elapsed()));
            sleep(BETWEEN).await;
        }
        seen
    })
}

const QUESTIONS: [Question; 2] = [Question::Read, Question::Write];
const BETWEEN: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_millis(20);
/// How long a state has to last.
pub(super) const HOLDS: Duration = Duration::from_millis(600);
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
