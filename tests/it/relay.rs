//! HTTP+SSE on several instances: a message may reach any of them.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    agent::{Agent, Answer},
    balancer::Balancer,
    clients::{Visit, python, typescript},
    house::{House, REPORTING, SUPPORT, Setup, eventually},
    pair::{mode, pair, sharing},
    redis::Redis,
    stream::Stream,
};

/// Two instances that share sessions, and a stream on the first whose agent posts to the second.
pub(crate) async fn apart(redis: &Redis, change: impl FnOnce(&mut Setup)) -> ([House; 2], Stream) {
    let houses = pair(redis, |setup| {
        sharing(setup);
        change(setup);
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let mut stream = houses[0].agent(SUPPORT).stream().await;
    stream.post_to(&houses[1].agent(SUPPORT));
    stream.initialize().await;
    (houses, stream)
}

fn call(id: i64) -> Value {
    let params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

async fn post(agent: &Agent, stream: &Stream, message: &Value) -> Answer {
    agent
        .send(Method::POST, &stream.endpoint, message.to_string())
        .await
}

/// The letters that wait for somebody.
pub(crate) fn letters(redis: &Redis) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut queues = redis.keys();
    queues.retain(|key| key.starts_with("zm:relay:{sse}:queue:"));
    let letters = |key: String| {
        let letters = redis.ask(&["LRANGE", &key, "0", "-1"]);
        (key, letters)
    };
    queues.into_iter().map(letters).collect()
}

#[tokio::test]
async fn a_message_may_reach_any_instance_and_is_counted_and_recorded_once() {
    let redis = Redis::start();
    // The handshake, the list, and two searches.
    let limit = |setup: &mut Setup| {
        setup.set("limits.client", "{ requests = 4, per = \"1h\" }");
    };
    let (houses, mut stream) = apart(&redis, limit).await;
    let listed = stream.ask(1, "tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 3);
    let accepted = stream.post(&call(2)).await;
    assert_eq!(accepted.status, 202);
    let found = stream.answer(2).await;
    assert!(found["result"]["structuredContent"]["items"].is_array());
    let started = houses[0].event("tool_call_start").await;
    assert_eq!(started["requestId"], accepted.header("x-request-id"));
    assert_eq!(
        (&started["clientId"], &started["authMethod"]),
        (&json!(SUPPORT), &json!("api_key"))
    );
    let proven = houses[1].event("auth_success").await;
    assert_eq!(started["keyId"], proven["keyId"]);
    assert_eq!(
        started["sessionId"],
        houses[0].event("session_open").await["sessionId"]
    );
    stream
        .call(3, "search_contacts", json!({ "name": "x" }))
        .await;
    let refused = stream
        .call(4, "search_contacts", json!({ "name": "x" }))
        .await;
    let text = refused["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("client, 4 per 1h"), "{text}");
    let both = || (houses[0].events("tool_call_start").len() == 2).then_some(());
    eventually("both calls in the log", both).await;
    assert_eq!(houses[1].events("tool_call_start").len(), 0);
}

#[tokio::test]
async fn official_clients_and_hundreds_of_calls_come_through_a_balancer_that_takes_turns() {
    let redis = Redis::start();
    let mut houses = pair(&redis, |setup| {
        sharing(setup);
        setup.set(
            "limits.tools.search_contacts",
            "{ requests = 2, per = \"6s\" }",
        );
    })
    .await;
    // The first token of a new Redis may take two seconds, which the clients' own pauses do not count with.
    let nobody = json!({ "contact_id": "6840217000009999999" });
    let first = houses[0].agent(SUPPORT);
    first.call("get_contact_history", nobody).await.failure();
    let balancer = Balancer::before(&houses).await;
    let key = houses[0].keys[SUPPORT].clone();
    let direct = houses[0].url.clone();
    houses[0].url = balancer.url().to_owned();
    for client in [python("sse", "auto"), typescript("sse", "2")] {
        let visit = Visit::run(&houses[0], client, &key).await;
        visit.succeeds();
    }
    houses[0].url = direct;
    let mut streams = Vec::new();
    for _ in 0..4 {
        // A new connection each time: half of the messages reach the other instance.
        let agent = balancer.agent(&key).hurried();
        let mut stream = agent.stream().await;
        stream.initialize().await;
        streams.push(stream);
    }
    let hundred = |mut stream: Stream| async move {
        for id in 1..=100 {
            let listed = stream.ask(id, "tools/list", json!({})).await;
            assert!(listed["result"]["tools"].is_array(), "{listed}");
        }
    };
    join_all(streams.into_iter().map(hundred)).await;
}

#[tokio::test]
async fn a_session_of_somebody_else_or_of_nobody_is_not_there_on_any_instance() {
    let redis = Redis::start();
    let (houses, mut stream) = apart(&redis, |_| ()).await;
    let stolen = post(&houses[1].agent(REPORTING), &stream, &call(5)).await;
    assert_eq!(stolen.status, 404);
    let recorded = houses[1].event("auth_failed").await;
    assert_eq!(
        (&recorded["reason"], &recorded["clientId"]),
        (&json!("foreign_session"), &json!(REPORTING))
    );
    let zeros = "/messages?sessionId=00000000000000000000000000000000";
    let (id, last) = stream.endpoint.split_at(stream.endpoint.len() - 1);
    let changed = format!("{id}{}", if last == "A" { "B" } else { "A" });
    let longer = format!("{}AAAA", stream.endpoint);
    for unknown in [zeros, &changed, &longer] {
        let lost = houses[1].agent(SUPPORT);
        let lost = lost.send(Method::POST, unknown, call(5).to_string()).await;
        assert_eq!(lost.status, 404, "{unknown}");
    }
    let anonymous = post(&houses[1].stranger(None), &stream, &call(5)).await;
    assert_eq!(anonymous.status, 401);
    let broken = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call" });
    assert_eq!(stream.post(&broken).await.status, 400);
    assert_eq!(stream.ask(6, "ping", json!({})).await["id"], 6);
    assert_eq!(houses[0].events("tool_call_start").len(), 0);
}

#[tokio::test]
async fn an_instance_that_is_killed_takes_its_sessions_with_it() {
    let redis = Redis::start();
    let (mut houses, stream) = apart(&redis, |_| ()).await;
    houses[0].crash();
    let mut refused = stream.post(&call(1)).await;
    assert_eq!(refused.status, 503, "nobody knows yet: {}", refused.text);
    assert_eq!(refused.header("retry-after"), "1");
    for _ in 0..10 {
        if refused.status == 404 {
            break;
        }
        refused = stream.post(&call(1)).await;
    }
    assert_eq!(refused.status, 404, "{}", refused.text);
}

#[tokio::test]
async fn an_instance_that_drains_answers_what_it_has_taken() {
    let redis = Redis::start();
    let (mut houses, mut stream) = apart(&redis, |_| ()).await;
    let slow = json!({ "fault": "latency", "path": "/crm", "delay": "1s" });
    houses[0].zoho.fault(slow).await;
    assert_eq!(stream.post(&call(1)).await.status, 202);
    houses[0].event("tool_call_start").await;
    houses[0].signal("-TERM");
    assert!(stream.answer(1).await["result"].is_object());
    assert!(stream.next().await.is_none(), "the stream ends");
    assert_eq!(houses[0].ended().await.code(), Some(0));
    assert_eq!(stream.post(&call(2)).await.status, 404);
}

#[tokio::test]
async fn a_redis_that_is_frozen_or_emptied_is_told_honestly_and_is_no_end() {
    let redis = Redis::start();
    let (_houses, mut stream) = apart(&redis, |setup| {
        setup.set("redis.timeout", "200ms");
    })
    .await;
    redis.freeze();
    let refused = stream.post(&call(1)).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert_eq!(refused.header("retry-after"), "1");
    redis.thaw();
    reached(&mut stream, 100).await;
    let _: String = redis.ask(&["FLUSHALL"]);
    reached(&mut stream, 200).await;
}

/// Pings until one comes through; an honest client waits as it is told.
pub(crate) async fn reached(stream: &mut Stream, first: i64) {
    for id in first..first + 20 {
        let ping = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
        let posted = stream.post(&ping).await;
        if posted.status == 202 {
            assert_eq!(stream.answer(id).await["id"], id);
            return;
        }
        assert_eq!(posted.status, 503, "it is not gone: {}", posted.text);
        assert_eq!(posted.header("retry-after"), "1");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    panic!("the session is lost");
}

#[tokio::test]
async fn a_flood_to_one_session_waits_in_bounds_and_harms_no_other() {
    let redis = Redis::start();
    let (houses, stream) = apart(&redis, |_| ()).await;
    houses[0].signal("-STOP");
    let flood = (0..100).map(|id| {
        let ping = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
        let stream = &stream;
        async move { stream.post(&ping).await.status.as_u16() }
    });
    let answers = join_all(flood).await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(503), count(429)), (32, 68), "{answers:?}");
    let waiting: usize = letters(&redis).iter().map(|(_, it)| it.len()).sum();
    assert!(waiting <= 32, "{waiting}");
    let mut other = houses[1].agent(SUPPORT).stream().await;
    other.initialize().await;
    houses[0].signal("-CONT");
}

#[tokio::test]
async fn what_somebody_with_redis_alone_puts_there_or_repeats_is_not_run() {
    let redis = Redis::start();
    let (houses, mut stream) = apart(&redis, |_| ()).await;
    let pushed = redis.ran("rpush");
    houses[0].signal("-STOP");
    let (agent, endpoint) = (houses[1].agent(SUPPORT), stream.endpoint.clone());
    let ping = json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" });
    // One letter is as good as read: somebody waits for it.
    let (first, to) = (agent.clone(), endpoint.clone());
    tokio::spawn(async move { first.send(Method::POST, &to, ping.to_string()).await });
    let taken = || (redis.ran("rpush") > pushed).then_some(());
    eventually("the first letter", taken).await;
    let posted = tokio::spawn(async move {
        agent
            .send(Method::POST, &endpoint, call(1).to_string())
            .await
    });
    let written = eventually("a letter", || {
        letters(&redis).into_iter().find(|(_, it)| !it.is_empty())
    });
    let (queue, written) = written.await;
    let letter = written.last().unwrap().clone();
    let seen = String::from_utf8_lossy(&letter);
    let id = stream.endpoint.split('=').next_back().unwrap();
    for secret in ["Giulia", SUPPORT, id, &houses[0].keys[SUPPORT]] {
        assert!(!seen.contains(secret), "{secret}");
        assert!(!redis.keys().join(" ").contains(secret), "{secret}");
    }
    houses[0].signal("-CONT");
    assert_eq!(posted.await.unwrap().status, 202);
    assert!(stream.answer(1).await["result"].is_object());
    let mut changed = letter.clone();
    *changed.last_mut().unwrap() ^= 1;
    let forged = call(2).to_string().into_bytes();
    for put in [letter, changed, forged] {
        redis.push(&queue, &put);
    }
    let complaint = || {
        let log = houses[0].operational_log();
        log.contains("was not taken").then_some(())
    };
    eventually("a complaint", complaint).await;
    assert_eq!(stream.ask(3, "ping", json!({})).await["id"], 3);
    assert_eq!(houses[0].events("tool_call_start").len(), 1);
}

#[tokio::test]
async fn without_a_key_messages_need_the_instance_of_their_stream() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    let mut stream = houses[0].agent(SUPPORT).stream().await;
    let lost = post(&houses[1].agent(SUPPORT), &stream, &call(1)).await;
    assert_eq!(lost.status, 404);
    stream.initialize().await;
    let keys = redis.keys();
    assert!(!keys.iter().any(|key| key.starts_with("zm:relay")));
}
