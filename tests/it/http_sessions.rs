//! `/mcp` with sessions: a message may reach any instance, and nobody but its caller uses a session.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    agent::{Agent, Answer},
    balancer::Balancer,
    clients::{Visit, python, typescript},
    house::{House, REPORTING, SUPPORT, Setup, command, eventually},
    pair::{mode, pair, sharing},
    redis::Redis,
};

pub(crate) const ID: &str = "mcp-session-id";

/// Two instances that share sessions, on a Redis where they may do no more than is documented.
pub(crate) async fn together(redis: &Redis, change: impl FnOnce(&mut Setup)) -> [House; 2] {
    redis.allow("s3cret", &[]);
    let houses = pair(redis, |setup| {
        sharing(setup);
        setup
            .set("mcp.sessions", "true")
            .set("redis.username", "zoho")
            .set("redis.password", "env:REDIS_SECRET")
            .variable("REDIS_SECRET", "s3cret");
        change(setup);
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    houses
}

/// One instance, which keeps its sessions itself.
pub(crate) async fn alone(change: impl FnOnce(&mut Setup)) -> House {
    House::with(|setup| {
        setup.set("mcp.sessions", "true");
        change(setup);
    })
    .await
}

/// The id of a session that the agent opens.
pub(crate) async fn opened(agent: &Agent) -> String {
    let shaken = agent.shake().await;
    assert_eq!(shaken.result()["protocolVersion"], "2025-11-25");
    let id = shaken.header(ID).to_owned();
    assert_eq!(id.len(), 64, "{id:?}");
    let agent = agent.clone().with(ID, &id);
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(agent.post(told.to_string()).await.status, 202);
    id
}

pub(crate) async fn search(agent: &Agent) -> Answer {
    agent.search("Giulia").await
}

pub(crate) async fn delete(agent: &Agent) -> Answer {
    agent.send(Method::DELETE, "/mcp", "").await
}

/// Waits for a stream to end.
pub(crate) async fn ended(mut stream: Response) {
    let end = async { while let Ok(Some(_)) = stream.chunk().await {} };
    timeout(Duration::from_secs(20), end).await.unwrap();
}

/// The ends of sessions that some instances have told.
pub(crate) fn closes(houses: &[House]) -> Vec<Value> {
    let closes = houses.iter().map(|house| house.events("session_close"));
    closes.flatten().collect()
}

async fn one_close(houses: &[House]) -> Value {
    eventually("the end of a session", || closes(houses).pop()).await
}

/// Asks until the session is not there any more.
pub(crate) async fn lost(agent: &Agent) {
    for _ in 0..200 {
        let answer = agent.list().await;
        if answer.status == 404 {
            return;
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the session does not end");
}

#[tokio::test]
async fn any_instance_answers_in_a_session_and_an_end_counts_on_all() {
    let redis = Redis::start();
    let houses = together(&redis, |_| ()).await;
    let id = opened(&houses[0].agent(SUPPORT)).await;
    let agents = [0, 1].map(|house: usize| houses[house].agent(SUPPORT).with(ID, &id));
    for agent in &agents {
        assert!(search(agent).await.content()["items"].is_array());
    }
    let open = houses[0].event("session_open").await;
    assert_eq!(open["transport"], "streamable_http");
    let called = houses[1].event("tool_call_start").await;
    assert_eq!(called["sessionId"], open["sessionId"]);
    assert!(!redis.keys().join(" ").contains(&id));
    assert!(!houses[0].audit_text().join(" ").contains(&id));
    let streams = [agents[0].listen().await, agents[1].listen().await];
    for stream in &streams {
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
    }
    assert_eq!(delete(&agents[1]).await.status, 204);
    for stream in streams {
        ended(stream).await;
    }
    for agent in &agents {
        assert_eq!(search(agent).await.status, 404);
        assert_eq!(agent.listen().await.status(), 404);
        assert_eq!(delete(agent).await.status, 404);
    }
    let close = one_close(&houses).await;
    assert_eq!(close["reason"], "deleted");
    assert_eq!(close["sessionId"], open["sessionId"]);
    assert_eq!(closes(&houses).len(), 1, "it is told once");
    opened(&houses[1].agent(SUPPORT)).await;
}

#[tokio::test]
async fn a_session_outlives_the_instance_that_opened_it() {
    let redis = Redis::start();
    let mut houses = together(&redis, |_| ()).await;
    let id = opened(&houses[0].agent(SUPPORT)).await;
    houses[0].crash();
    let agent = houses[1].agent(SUPPORT).with(ID, &id);
    assert!(search(&agent).await.content()["items"].is_array());
}

#[tokio::test]
async fn a_session_of_somebody_else_or_of_nobody_is_not_there() {
    let redis = Redis::start();
    let houses = together(&redis, |_| ()).await;
    let id = opened(&houses[0].agent(SUPPORT)).await;
    for house in &houses {
        let thief = house.agent(REPORTING).with(ID, &id);
        let of_nobody = house.agent(SUPPORT).with(ID, &"0".repeat(64));
        let unknown = search(&of_nobody).await;
        assert_eq!(unknown.status, 404);
        let stolen = search(&thief).await;
        assert_eq!(
            (stolen.status, &stolen.text),
            (unknown.status, &unknown.text)
        );
        assert_eq!(thief.listen().await.status(), 404);
        assert_eq!(delete(&thief).await.status, 404);
        let recorded = house.event("auth_failed").await;
        assert_eq!(recorded["reason"], "foreign_session");
        let without = search(&house.agent(SUPPORT)).await;
        assert_eq!((without.status.as_u16(), without.code()), (400, -32600));
        assert_eq!(house.agent(SUPPORT).listen().await.status(), 400);
        let anonymous = search(&house.stranger(None).with(ID, &id)).await;
        assert_eq!(anonymous.status, 401);
        let put = house.agent(SUPPORT).send(Method::PUT, "/mcp", "").await;
        assert_eq!(
            (put.status.as_u16(), put.header("allow")),
            (405, "GET,POST,DELETE")
        );
    }
    let owner = houses[1].agent(SUPPORT).with(ID, &id);
    assert!(search(&owner).await.content()["items"].is_array());
}

#[tokio::test]
async fn the_newest_revision_needs_no_session_beside_those_that_have_one() {
    let house = alone(|_| ()).await;
    let listed = house
        .agent(SUPPORT)
        .ask_modern("tools/list", json!({}))
        .await;
    assert_eq!(listed.result()["tools"].as_array().unwrap().len(), 3);
    assert_eq!(listed.header(ID), "");
    let listening = house
        .agent(SUPPORT)
        .with("mcp-protocol-version", "2026-07-28");
    assert_eq!(listening.listen().await.status(), 405);
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_and_one_that_is_listened_to_does_not() {
    let redis = Redis::start();
    let idle = |setup: &mut Setup| {
        setup.set("mcp.session_idle", "3s");
    };
    let shared = together(&redis, idle).await;
    let own = alone(idle).await;
    for houses in [&shared[..], std::slice::from_ref(&own)] {
        let agent = houses[0].agent(SUPPORT);
        let used = agent.clone().with(ID, &opened(&agent).await);
        let stream = used.listen().await;
        opened(&agent).await;
        assert_eq!(one_close(houses).await["reason"], "expired");
        assert_eq!(search(&used).await.status, 200);
        drop(stream);
        let both = || (closes(houses).len() == 2).then_some(());
        eventually("the end of the other", both).await;
        assert_eq!(search(&used).await.status, 404);
    }
}

#[tokio::test]
async fn no_session_lasts_for_ever() {
    let redis = Redis::start();
    let age = |setup: &mut Setup| {
        setup.set("mcp.max_session_age", "3s");
        setup.set("mcp.session_idle", "3s");
    };
    let shared = together(&redis, age).await;
    let own = alone(age).await;
    for houses in [&shared[..], std::slice::from_ref(&own)] {
        let agent = houses[0].agent(SUPPORT);
        let agent = agent.clone().with(ID, &opened(&agent).await);
        lost(&agent).await;
        assert_eq!(one_close(houses).await["reason"], "too_old");
    }
}

#[tokio::test]
async fn caps_hold_on_all_instances_together_and_an_end_makes_room() {
    let redis = Redis::start();
    let shared = together(&redis, |setup| {
        setup.set("mcp.max_sessions_per_user", "2");
        setup.set("mcp.max_sessions_per_client", "3");
        setup.set("mcp.max_sessions", "3");
    })
    .await;
    let agents = [0, 1].map(|house: usize| shared[house].agent(SUPPORT));
    let first = opened(&agents[0]).await;
    opened(&agents[1]).await;
    let refused = agents[1].shake().await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    opened(&shared[1].agent(REPORTING)).await;
    let full = shared[0].agent(REPORTING).shake().await;
    assert_eq!(full.status, 429, "there is no room for anybody");
    assert_eq!(
        delete(&agents[1].clone().with(ID, &first)).await.status,
        204
    );
    opened(&agents[1]).await;
}

#[tokio::test]
async fn without_redis_nobody_is_told_that_a_session_has_ended() {
    let redis = Redis::start();
    let houses = together(&redis, |setup| {
        setup.set("redis.timeout", "200ms");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    let held = agent.clone().with(ID, &opened(&agent).await);
    redis.freeze();
    for refused in [
        search(&held).await,
        agent.shake().await,
        delete(&held).await,
    ] {
        assert_eq!(refused.status, 503, "{}", refused.text);
        assert_eq!(refused.header("retry-after"), "1");
    }
    let refused = agent.shake().await;
    assert_eq!(
        (&refused.json()["id"], refused.code()),
        (&json!(1), 503),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("No session can be opened"));
    redis.thaw();
    let mut answer = search(&held).await;
    for _ in 0..100 {
        if answer.status != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        answer = search(&held).await;
    }
    assert!(answer.content()["items"].is_array());
    let _: String = redis.ask(&["FLUSHALL"]);
    assert_eq!(search(&held).await.status, 404, "initialize anew");
    opened(&agent).await;
}

#[tokio::test]
async fn a_session_ends_with_what_proved_its_caller() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT);
    let stream = agent.clone().with(ID, &opened(&agent).await).listen().await;
    opened(&house.agent(REPORTING)).await;
    let store = house.file("keys.json");
    let store = store.to_str().unwrap();
    let id = &house.keys[SUPPORT][10..20];
    let retired = command(&["keys", "retire", "--force", "--key", id, "--store", store]);
    assert!(retired.status.success());
    ended(stream).await;
    let close = house.event("session_close").await;
    assert_eq!(
        (&close["reason"], &close["keyId"]),
        (&json!("key_retired"), &json!(id))
    );
    assert_eq!(house.events("session_close").len(), 1);
}

#[tokio::test]
async fn a_call_of_a_session_can_be_cancelled() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    let slow = json!({ "fault": "latency", "path": "/crm", "delay": "10s" });
    house.zoho.fault(slow).await;
    let called = agent.clone();
    let call = tokio::spawn(async move { search(&called).await });
    house.event("tool_call_start").await;
    let cancel = json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": { "requestId": 1 },
    });
    assert_eq!(agent.post(cancel.to_string()).await.status, 202);
    house.event("tool_call_cancelled").await;
    call.await.unwrap();
}

#[tokio::test]
async fn official_clients_keep_a_session_behind_a_balancer_that_takes_turns() {
    let mut called = [0, 0];
    for client in [
        python("http", "legacy"),
        typescript("http", "1"),
        typescript("http", "2"),
    ] {
        // Each uses up a limit of its own, and would find another's used up.
        let redis = Redis::start();
        let mut houses = together(&redis, |setup| {
            setup.set(
                "limits.tools.search_contacts",
                "{ requests = 2, per = \"6s\" }",
            );
        })
        .await;
        let balancer = Balancer::before(&houses).await;
        let key = houses[0].keys[SUPPORT].clone();
        houses[0].url = balancer.url().to_owned();
        Visit::run(&houses[0], client, &key).await.succeeds();
        let opened = houses
            .iter()
            .map(|house| house.events("session_open").len());
        assert_eq!(opened.sum::<usize>(), 1);
        for (house, called) in houses.iter().zip(&mut called) {
            let calls = house.events("tool_call_start");
            *called += calls.len();
            assert!(calls.iter().all(|call| call["sessionId"].is_string()));
        }
    }
    assert!(called.iter().all(|calls| *calls > 0), "{called:?}");
}

#[tokio::test]
async fn instances_that_share_a_redis_and_no_key_are_not_given_sessions() {
    let house = House::start().await;
    let checked = house.command_with(&["check"], |setup| {
        setup
            .set("mcp.sessions", "true")
            .set("redis.url", "redis://127.0.0.1:1");
    });
    assert_eq!(checked.status.code(), Some(64));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("mcp.sessions"), "{said}");
    assert!(said.contains("set token_key"), "{said}");
}
