//! The end of a session of `/mcp`: any instance makes it, whoever opened it, and one line tells it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{
    agent::Agent,
    house::{House, SUPPORT, Setup, command, eventually},
    http_sessions::{ID, alone, closes, delete, ended, lost, opened, search, together},
    lag::Lag,
    log::stop,
    redis::Redis,
    session_cut::note_in_flight,
};

/// Another key of the same client, once both instances take it.
async fn another_key(houses: &[House; 2]) -> String {
    let store = houses[0].file("keys.json");
    let store = store.to_str().unwrap();
    let made = command(&["keys", "new", "--client", SUPPORT, "--store", store]);
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    for house in houses {
        let agent = house.stranger(Some(&key));
        // Not so often that the address would be refused.
        while agent.status().await == 401 {
            sleep(Duration::from_millis(500)).await;
        }
    }
    key
}

fn revoke(house: &House, key: &str) {
    let store = house.file("keys.json");
    let store = store.to_str().unwrap();
    let key = &key[10..20];
    let revoked = command(&[
        "keys",
        "retire",
        "--revoked",
        "--key",
        key,
        "--store",
        store,
    ]);
    assert!(revoked.status.success(), "{revoked:?}");
}

/// Where Redis has the only session.
pub(crate) fn session_key(redis: &Redis) -> String {
    let is_session = |key: &String| {
        let rest = key.strip_prefix("zm:sess:{mcp}:").unwrap_or("of:");
        rest != "all" && !rest.starts_with("of:")
    };
    redis.keys().into_iter().find(is_session).unwrap()
}

#[tokio::test]
async fn a_key_that_is_withdrawn_ends_its_sessions_although_the_instance_that_opened_them_is_gone()
{
    let redis = Redis::start();
    let mut houses = together(&redis, |_| ()).await;
    let key = another_key(&houses).await;
    let opener = houses[0].stranger(Some(&key));
    let ids = [opened(&opener).await, opened(&opener).await];
    houses[0].crash();
    let [asked, heard] = ids.map(|id| houses[1].agent(SUPPORT).with(ID, &id));
    assert_eq!(search(&asked).await.status, 200);
    let stream = heard.listen().await;
    revoke(&houses[1], &key);
    ended(stream).await;
    lost(&asked).await;
    let both = || Some(closes(&houses)).filter(|closes| closes.len() == 2);
    for close in eventually("both ends", both).await {
        assert_eq!(close["reason"], "key_revoked");
        assert_eq!(close["keyId"], &key[10..20]);
    }
    let other = houses[1].agent(SUPPORT);
    assert!(
        search(&other.clone().with(ID, &opened(&other).await))
            .await
            .content()
            .is_object()
    );
}

#[tokio::test]
async fn a_write_in_a_session_whose_key_is_withdrawn_is_cut_on_whichever_instance_it_runs() {
    let redis = Redis::start();
    let mut houses = together(&redis, |_| ()).await;
    let key = another_key(&houses).await;
    let id = opened(&houses[0].stranger(Some(&key))).await;
    houses[0].crash();
    let agent = houses[1].stranger(Some(&key)).with(ID, &id);
    let call = note_in_flight(&houses[1], &agent, "8s").await;
    revoke(&houses[1], &key);
    let told = call.await.unwrap().failure();
    assert!(told.contains("may or may not have happened"), "{told}");
    let cancelled = houses[1].event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], "key_revoked");
    // The call is cut first.
    eventually("the end", || closes(&houses[1..]).pop()).await;
    assert_eq!(closes(&houses[1..]).len(), 1);
}

#[tokio::test]
async fn the_line_of_a_deleted_session_names_who_deleted_it_wherever_it_was_opened() {
    let redis = Redis::start();
    let mut houses = together(&redis, |_| ()).await;
    let key = another_key(&houses).await;
    let id = opened(&houses[0].agent(SUPPORT)).await;
    let open = houses[0].event("session_open").await;
    houses[0].crash();
    let deleted = delete(&houses[1].stranger(Some(&key)).with(ID, &id)).await;
    assert_eq!(deleted.status, 204);
    let close = houses[1].event("session_close").await;
    assert_eq!(close["reason"], "deleted");
    assert_eq!(close["sessionId"], open["sessionId"]);
    assert_eq!(close["keyId"], &key[10..20]);
    assert_eq!(close["requestId"], deleted.header("x-request-id"));
    assert_eq!(close["path"], "/mcp");
}

#[tokio::test]
async fn a_session_that_nobody_uses_any_more_is_told_once_by_whichever_instance_is_there() {
    let redis = Redis::start();
    let idle = |setup: &mut Setup| {
        setup.set("mcp.session_idle", "2s");
    };
    let mut houses = together(&redis, idle).await;
    let agents: Vec<Agent> = houses.iter().map(|house| house.agent(SUPPORT)).collect();
    for agent in &agents {
        opened(agent).await;
    }
    let two = || (closes(&houses).len() == 2).then_some(());
    eventually("both ends", two).await;
    opened(&agents[0]).await;
    // Its line may come later than the answer, and would be lost with the instance.
    let second = || houses[0].events("session_open").into_iter().nth(1);
    let open = eventually("its beginning", second).await;
    houses[0].crash();
    let told = |line: &Value| line["sessionId"] == open["sessionId"];
    let its_end = |line: &Value| line["event"] == "session_close" && told(line);
    let close = houses[1].recorded("the end", its_end).await;
    assert_eq!(close["reason"], "expired");
    for same in ["requestId", "keyId", "ip", "path", "transport", "role"] {
        assert_eq!(close[same], open[same], "{same}");
    }
    assert_eq!(closes(&houses).len(), 3);
}

#[tokio::test]
async fn nobody_writes_another_reason_into_the_log_by_way_of_redis() {
    let redis = Redis::start();
    let houses = together(&redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    let stream = agent.clone().with(ID, &opened(&agent).await).listen().await;
    let key = session_key(&redis);
    let forged = format!("forged\n{}", "A".repeat(100_000));
    let _: u8 = redis.ask(&["HSET", &key, "ended", &forged]);
    ended(stream).await;
    assert!(!houses[0].audit_text().join("").contains("forged"));
}

#[tokio::test]
async fn the_instances_that_a_cancellation_is_handed_to_are_the_last_that_answered() {
    let redis = Redis::start();
    let houses = together(&redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    let agent = agent.clone().with(ID, &opened(&agent).await);
    assert_eq!(search(&agent).await.status, 200);
    let key = session_key(&redis);
    let own: String = redis.ask(&["HGET", &key, "at"]);
    let others: String = (0..7).map(|other| format!("{other:032x} ")).collect();
    let _: u8 = redis.ask(&["HSET", &key, "at", &format!("{others}{own}")]);
    assert_eq!(search(&agent).await.status, 200);
    let at: String = redis.ask(&["HGET", &key, "at"]);
    assert_eq!(at, format!("{own}{others}"), "it is the last again");
}

#[tokio::test]
async fn a_client_that_leaves_while_its_session_ends_takes_no_line_with_it() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = together(&redis, |setup| {
        setup.set("redis.url", way.url()).set("redis.timeout", "1s");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(agent.clone().with(ID, &opened(&agent).await));
    }
    way.takes(Duration::from_millis(100));
    for (n, session) in (1..).zip(&sessions) {
        // Each at another place of the way.
        let _ = timeout(Duration::from_millis(50 * n), delete(session)).await;
    }
    way.takes(Duration::ZERO);
    for session in &sessions {
        delete(session).await;
    }
    let all = || (closes(&houses).len() == sessions.len()).then_some(());
    eventually("the line of each session", all).await;
}

#[tokio::test]
async fn however_a_session_ends_one_line_tells_it_with_the_reason() {
    let mut house = alone(|setup| {
        setup.set("mcp.session_idle", "2s");
        setup.set("mcp.max_session_age", "5s");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(agent.clone().with(ID, &opened(&agent).await));
    }
    assert_eq!(delete(&sessions[0]).await.status, 204);
    // This one is used, and the other is not.
    lost(&sessions[2]).await;
    let three = || (house.events("session_close").len() == 3).then_some(());
    eventually("three ends", three).await;
    for session in &sessions {
        assert_eq!(delete(session).await.status, 404, "it has ended");
    }
    opened(&agent).await;
    stop(&mut house).await;
    let closes = house.events("session_close");
    let reasons = house.events("session_open").into_iter().map(|open| {
        let its = closes
            .iter()
            .filter(|close| close["sessionId"] == open["sessionId"]);
        let reasons: Vec<_> = its.filter_map(|close| close["reason"].as_str()).collect();
        reasons.join(", ")
    });
    let reasons: Vec<_> = reasons.collect();
    assert_eq!(reasons, ["deleted", "expired", "too_old", "ended"]);
}
