//! What `notifications/cancelled` of a session of `/mcp` leaves in Redis for other instances.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::{
    agent::Agent,
    house::{SUPPORT, eventually},
    http_sessions::{ID, opened, search, together},
    redis::Redis,
    relay::letters,
    session_ends::session_key,
};

async fn cancel(agent: &Agent, id: &str) -> u16 {
    let params = json!({ "requestId": id });
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    agent.post(told.to_string()).await.status.as_u16()
}

#[tokio::test]
async fn cancellations_take_little_room_and_none_for_an_instance_that_is_gone() {
    let redis = Redis::start();
    let mut houses = together(&redis, |_| ()).await;
    let id = opened(&houses[0].agent(SUPPORT)).await;
    let agents = [0, 1].map(|house: usize| houses[house].agent(SUPPORT).with(ID, &id));
    assert_eq!(search(&agents[1]).await.status, 200, "both have answered");
    let waiting = || -> usize { letters(&redis).iter().map(|(_, it)| it.len()).sum() };
    houses[1].signal("-STOP");
    // The question that it has asked Redis takes one letter away.
    for id in ["a", "b", "c"] {
        assert_eq!(cancel(&agents[0], id).await, 202);
    }
    eventually("letters that stay", || (waiting() >= 2).then_some(())).await;
    let before = waiting();
    assert_eq!(cancel(&agents[0], &"x".repeat(1_025)).await, 202);
    assert_eq!(waiting(), before, "no call has such an id");
    assert_eq!(cancel(&agents[0], &"x".repeat(1_024)).await, 202);
    assert_eq!(waiting(), before + 1);
    for _ in 0..80 {
        cancel(&agents[0], "a").await;
    }
    assert_eq!(waiting(), 64, "the rest is room for messages");
    houses[1].crash();
    // By then the letters are too old, and the instance has said nothing for longer than it may.
    eventually("an empty queue", || (waiting() == 0).then_some(())).await;
    assert_eq!(cancel(&agents[0], "a").await, 202);
    assert_eq!(waiting(), 0);
}

#[tokio::test]
async fn of_instances_that_are_gone_no_more_than_eight_are_asked_and_they_are_forgotten() {
    let redis = Redis::start();
    let houses = together(&redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    let key = session_key(&redis);
    let own: String = redis.ask(&["HGET", &key, "at"]);
    let others: Vec<String> = (0..100).map(|other| format!("{other:032x} ")).collect();
    let at = || redis.ask::<String>(&["HGET", &key, "at"]);
    let _: u8 = redis.ask(&["HSET", &key, "at", &format!("{own}{}", others.concat())]);
    let all = at();
    // Once all that live have had the time to say so.
    while at() == all {
        // Not so often that it would be refused.
        sleep(Duration::from_millis(300)).await;
        assert_eq!(cancel(&agent, "a").await, 202);
    }
    assert_eq!(at(), format!("{own}{}", others[7..].concat()));
    let _: u8 = redis.ask(&["HSET", &key, "at", &"%x ".repeat(100)]);
    assert_eq!(cancel(&agent, "a").await, 202);
    assert_eq!(
        at(),
        format!("{own}{}", "%x ".repeat(77)),
        "none of them is one"
    );
}
