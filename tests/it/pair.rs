//! Two instances that share a Redis, and what to ask of them.

use futures_util::future::join_all;
use serde_json::Value;

use crate::{
    agent::{Agent, Answer},
    house::{House, Setup, eventually},
    redis::Redis,
};

/// Two instances that share a Redis.
pub(crate) async fn pair(redis: &Redis, change: impl FnOnce(&mut Setup)) -> [House; 2] {
    let url = redis.url();
    let one = House::with(|setup| {
        // Machines that run tests are slow: only tests that are about it expect answers in 50 ms.
        setup.set("redis.url", &url).set("redis.timeout", "2s");
        setup.set("redis.expected_replicas", "2");
        change(setup);
    })
    .await;
    let other = one.replica(|_| ()).await;
    [one, other]
}

/// With the key that access tokens and sessions are shared by.
pub(crate) fn sharing(setup: &mut Setup) {
    setup.variable("TOKEN_KEY", &"0123456789abcdef".repeat(4));
    setup.set("zoho.token_key", "env:TOKEN_KEY");
}

/// How many of so many calls at once are admitted, with the instances in turns.
pub(crate) async fn admitted(houses: &[House], client: &str, calls: usize) -> usize {
    let agents: Vec<Agent> = houses.iter().map(|house| house.agent(client)).collect();
    let answers = join_all((0..calls).map(|n| agents[n % agents.len()].list())).await;
    let seen = |answer: &&Answer| {
        assert!(
            answer.status == 200 || answer.status == 429,
            "{}",
            answer.text
        );
        answer.status == 200
    };
    answers.iter().filter(seen).count()
}

pub(crate) async fn mode(house: &House, mode: &str) -> Value {
    house
        .recorded(mode, |line| {
            line["event"] == "limiter_mode" && line["reason"] == mode
        })
        .await
}

/// Waits until the last change of mode is that one.
pub(crate) async fn last_mode(house: &House, mode: &str) -> Value {
    let last = || house.events("limiter_mode").pop();
    eventually(mode, || last().filter(|line| line["reason"] == mode)).await
}

pub(crate) async fn health(house: &House) -> Value {
    house.stranger(None).get("/health").await.json()
}
