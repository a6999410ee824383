//! Sessions of both transports and what carries them from one instance to the other: what becomes of
//! messages that reach the other instance while the owner or Redis fails, and when all is well again.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::scene::{HOLDS, PATIENCE, Seen};
use crate::{
    agent::{Agent, Answer},
    house::{House, SUPPORT},
    http_sessions::{ID, opened},
    pair::{mode, pair, sharing},
    redis::Redis,
    stream::Stream,
};

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Loss {
    OwnerKilled,
    OwnerFrozen,
    OwnerStopped,
    RedisFlushed,
    RedisFrozen,
    RedisKilled,
}

/// What becomes of a stream of `/sse` and of a session of `/mcp` in the end, and what their messages
/// are answered until then.
struct Row {
    loss: Loss,
    state: &'static str,
    answers: &'static [&'static str],
}

const TABLE: [Row; 6] = [
    // Whoever says nothing for ten seconds is given up: nobody can tell one from the other.
    Row {
        loss: Loss::OwnerKilled,
        state: "stream gone, session served",
        answers: &["stream told", "stream gone", "session served"],
    },
    Row {
        loss: Loss::OwnerFrozen,
        state: "stream gone, session served",
        answers: &["stream told", "stream gone", "session served"],
    },
    // It says that it goes, once it has served what it had begun.
    Row {
        loss: Loss::OwnerStopped,
        state: "stream gone, session served",
        answers: &[
            "stream served",
            "stream told",
            "stream gone",
            "session served",
        ],
    },
    // The owner says again that it lives; a session was kept nowhere else.
    Row {
        loss: Loss::RedisFlushed,
        state: "stream served, session gone",
        answers: &["stream told", "stream served", "session gone"],
    },
    Row {
        loss: Loss::RedisFrozen,
        state: "stream told, session told",
        answers: &["stream told", "session told"],
    },
    Row {
        loss: Loss::RedisKilled,
        state: "stream told, session told",
        answers: &["stream told", "session told"],
    },
];

/// Two instances: a stream and a session are the first one's, and messages reach the second.
struct Stage {
    redis: Redis,
    houses: [House; 2],
    stream: Stream,
    session: Agent,
    next_id: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_owner_or_redis_sessions_are_told_the_truth_and_come_back() {
    let (mut table, mut wrong) = (String::new(), String::new());
    for row in &TABLE {
        let seen = Stage::set().await.play(row).await;
        let problem = seen.problem(DEADLINE, row.state, row.answers);
        let verdict = problem.as_deref().unwrap_or("as expected");
        let loss = format!("{:?}", row.loss);
        let line = format!("{:<40} | {seen} | {verdict}", row.state);
        table.push_str(&format!("Sessions        | {loss:<12} | {line}\n"));
        if let Some(problem) = &problem {
            wrong.push_str(&format!("\n{loss}: {problem}"));
        }
    }
    print!("\n{table}");
    assert!(wrong.is_empty(), "{wrong}");
}

impl Stage {
    async fn set() -> Self {
        let redis = Redis::start();
        let houses = pair(&redis, |setup| {
            sharing(setup);
            setup.set("mcp.sessions", "true");
        })
        .await;
        for house in &houses {
            mode(house, "shared").await;
        }
        let stream = stream(&houses).await;
        let session = session(&houses[1], &opened(&houses[0].agent(SUPPORT)).await);
        Self {
            redis,
            houses,
            stream,
            session,
            next_id: 1,
        }
    }

    async fn play(mut self, row: &Row) -> Seen {
        self.suffers(row.loss);
        let mut seen = Seen {
            state: String::new(),
            answers: BTreeSet::new(),
            calls: 0,
            longest: Duration::ZERO,
            recovery: Ok(Duration::ZERO),
        };
        let (since, mut as_wanted) = (Instant::now(), Instant::now());
        while as_wanted.elapsed() < HOLDS && since.elapsed() < PATIENCE {
            let words = self.ask(&mut seen).await;
            seen.state = words.join(", ");
            if seen.state != row.state {
                as_wanted = Instant::now();
            }
            seen.answers.extend(words);
            sleep(BETWEEN).await;
        }
        self.recovers(row.loss).await;
        let since = Instant::now();
        seen.recovery = self.becomes_well().await.map(|()| since.elapsed());
        seen
    }

    fn suffers(&mut self, loss: Loss) {
        match loss {
            Loss::OwnerKilled => self.houses[0].crash(),
            Loss::OwnerFrozen => self.houses[0].signal("-STOP"),
            Loss::OwnerStopped => self.houses[0].signal("-TERM"),
            Loss::RedisFlushed => self.redis.ask(&["FLUSHALL"]),
            Loss::RedisFrozen => self.redis.freeze(),
            Loss::RedisKilled => self.redis.kill(),
        }
    }

    /// A client whose stream has ended opens another.
    async fn recovers(&mut self, loss: Loss) {
        match loss {
            Loss::OwnerKilled | Loss::OwnerStopped => {
                if matches!(loss, Loss::OwnerStopped) {
                    assert_eq!(self.houses[0].ended().await.code(), Some(0));
                }
                self.houses[0].start_again().await;
                mode(&self.houses[0], "shared").await;
                self.stream = stream(&self.houses).await;
            }
            Loss::OwnerFrozen => self.houses[0].signal("-CONT"),
            Loss::RedisFlushed => {}
            Loss::RedisFrozen => self.redis.thaw(),
            Loss::RedisKilled => self.redis.restart(),
        }
    }

    /// A message to each, and what became of it.
    async fn ask(&mut self, seen: &mut Seen) -> [String; 2] {
        let asked = Instant::now();
        let stream = word("stream", &self.ping().await);
        let pinged = asked.elapsed();
        let session = word("session", &self.session.ask("tools/list", json!({})).await);
        seen.calls += 2;
        let listed = asked.elapsed() - pinged;
        seen.longest = seen.longest.max(pinged).max(listed);
        [stream, session]
    }

    async fn ping(&mut self) -> Answer {
        self.next_id += 1;
        let ping = json!({ "jsonrpc": "2.0", "id": self.next_id, "method": "ping" });
        self.stream.post(&ping).await
    }

    /// Waits until the stream brings an answer and a session is served: a client whose session is gone
    /// opens another.
    async fn becomes_well(&mut self) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let posted = self.ping().await;
            let mut ill = word("stream", &posted);
            if posted.status == 202 {
                let answer: Value = self.stream.answer(self.next_id).await;
                assert!(answer["result"].is_object(), "{answer}");
                let mut listed = self.session.ask("tools/list", json!({})).await;
                if listed.status == 404 {
                    let id = opened(&self.houses[0].agent(SUPPORT)).await;
                    self.session = session(&self.houses[1], &id);
                    listed = self.session.ask("tools/list", json!({})).await;
                }
                if listed.status == 200 {
                    return Ok(());
                }
                ill = word("session", &listed);
            }
            if since.elapsed() > PATIENCE {
                return Err(ill);
            }
            sleep(BETWEEN).await;
        }
    }
}

/// A stream of the first instance, with messages to the second.
async fn stream(houses: &[House; 2]) -> Stream {
    let mut stream = houses[0].agent(SUPPORT).stream().await;
    stream.post_to(&houses[1].agent(SUPPORT));
    stream.initialize().await;
    stream
}

fn session(house: &House, id: &str) -> Agent {
    house.agent(SUPPORT).with(ID, id)
}

/// What a message was answered: it was served, told to come again, told that nothing is there, or
/// none of that.
fn word(name: &str, answer: &Answer) -> String {
    match answer.status.as_u16() {
        200 | 202 => format!("{name} served"),
        404 => format!("{name} gone"),
        503 if !answer.header("retry-after").is_empty() => format!("{name} told"),
        status => format!("{name}: {status} {}", answer.text),
    }
}

/// The other instance has five seconds to answer.
const DEADLINE: Duration = Duration::from_secs(6);
const BETWEEN: Duration = Duration::from_millis(50);
