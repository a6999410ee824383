//! Redis, by which the instances count together.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use serde_json::Value;

use super::{
    scene::{Needed, Scene},
    table::{Cell, Row},
};
use crate::{
    house::House,
    names::Names,
    passage::{Fault, Passage},
    pki::Ca,
    redis::Redis,
};

pub(super) struct Counted {
    redis: Redis,
    passage: Passage,
    names: Arc<Names>,
    busy: Option<JoinHandle<()>>,
}

pub(super) async fn scene() -> Scene<Counted> {
    let (redis, ca, names) = (Redis::start(), Ca::root("chaos"), Arc::new(Names::new()));
    let _: String = redis.ask(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
    redis.allow(PASSWORD, &[]);
    let passage = Passage::to(redis.port, &ca, &names, |_, _| None).await;
    let one = House::with(|setup| {
        names.are_known_to(setup);
        setup.file("upstream.pem", &ca.pem());
        setup.set("redis.ca", "upstream.pem");
        setup.set("redis.url", &format!("rediss://{}", passage.host()));
        setup.variable("CHAOS_REDIS_PASSWORD", PASSWORD);
        setup.set("redis.username", "zoho");
        setup.set("redis.password", "env:CHAOS_REDIS_PASSWORD");
        setup.set("redis.timeout", "250ms");
        setup.set("redis.expected_replicas", "2");
    })
    .await;
    let other = one.replica(|setup| names.are_known_to(setup)).await;
    Scene {
        houses: [one, other],
        needed: Counted {
            redis,
            passage,
            names,
            busy: None,
        },
    }
}

impl Counted {
    fn told(&self, command: &[&str]) {
        let _: String = self.redis.ask(command);
    }
}

impl Needed for Counted {
    const NAME: &'static str = "Redis";
    /// A call waits eight times the timeout at the most, and then is served as any other.
    const DEADLINE: Duration = Duration::from_secs(2);

    fn expected(row: &Row) -> Cell {
        row.redis
    }

    fn can_suffer(&self, fault: Fault) -> bool {
        fault != Fault::NameGone || self.names.can_change()
    }

    fn suffers(&mut self, fault: Fault, _: &[House; 2]) {
        match fault {
            Fault::Failing => self.told(&["CONFIG", "SET", "maxmemory", "1"]),
            Fault::Denied => self.redis.forbid(PASSWORD),
            Fault::Busy => {
                let mut connection = self.redis.connection().unwrap();
                let script = move || {
                    let mut eval = ::redis::cmd("EVAL");
                    let ended = eval.arg("while true do end").arg(0);
                    ended.query::<i64>(&mut connection).unwrap_err();
                };
                self.busy = Some(std::thread::spawn(script));
            }
            fault => self.passage.suffers(fault),
        }
    }

    fn recovers(&mut self, _: &[House; 2]) {
        if let Some(busy) = self.busy.take() {
            self.told(&["SCRIPT", "KILL"]);
            busy.join().unwrap();
        }
        self.told(&["CONFIG", "SET", "maxmemory", "0"]);
        self.redis.allow(PASSWORD, &[]);
        self.passage.recovers();
    }

    fn detail(&self, _: &House, checks: &Value) -> String {
        match checks["redis"]["status"].as_str().unwrap() {
            "ok" => String::new(),
            status => format!("redis {status}"),
        }
    }
}

const PASSWORD: &str = "of-the-instances";
