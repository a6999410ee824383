//! What Redis has done for a session of `/mcp` although nobody got its answer has its line all the same.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    agent::{Agent, Answer},
    house::{House, SUPPORT, Setup, eventually},
    http_sessions::{ID, closes, delete, opened, together},
    lag::{Lag, Loss},
    log::stop,
    redis::Redis,
    session_ends::session_key,
};

/// Two instances that may lose answers of Redis.
async fn behind(way: &Lag, redis: &Redis, change: impl FnOnce(&mut Setup)) -> [House; 2] {
    together(redis, |setup| {
        setup.set("redis.url", way.url()).set("redis.timeout", "1s");
        change(setup);
    })
    .await
}

/// Waits for that many ends, and says what the log calls them and why they were.
async fn all(houses: &[House], ends: usize) -> Vec<(Value, Value)> {
    let all = || Some(closes(houses)).filter(|closes| closes.len() >= ends);
    let closes = eventually("the line of each session", all).await;
    let told = closes
        .iter()
        .map(|close| (close["sessionId"].clone(), close["reason"].clone()));
    told.collect()
}

fn are_of_one_each(ends: &[(Value, Value)]) -> bool {
    let is_alone = |end: &(Value, Value)| ends.iter().filter(|other| other.0 == end.0).count() == 1;
    ends.iter().all(is_alone)
}

async fn deleted(agent: &Agent) -> u16 {
    let session = agent.clone().with(ID, &opened(agent).await);
    delete(&session).await.status.as_u16()
}

/// How many sessions Redis has.
fn kept(redis: &Redis) -> usize {
    redis.ask(&["ZCARD", "zm:sess:{mcp}:all"])
}

/// Leaves once Redis has so many sessions by what was asked, whose answer is on its way then.
async fn leaves(
    (way, redis): (&Lag, &Redis),
    sessions: usize,
    asked: impl Future<Output = Answer> + Send + 'static,
) {
    way.takes(Duration::from_secs(1));
    let asked = tokio::spawn(asked);
    let is_done = || (kept(redis) == sessions).then_some(());
    eventually("Redis to do it", is_done).await;
    asked.abort();
    assert!(asked.await.is_err(), "it was answered");
    way.takes(Duration::ZERO);
}

#[tokio::test]
async fn a_session_that_is_deleted_without_an_answer_has_its_one_line() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = behind(&way, &redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    assert_eq!(deleted(&agent).await, 204, "now Redis knows the script");
    way.loses_the_answer("deleted", Loss::Cut);
    assert_eq!(deleted(&agent).await, 204, "it was asked again");
    all(&houses, 2).await;
    // The second has its line only from a look after that of the first.
    for ends in [3, 4] {
        way.loses_the_answer("deleted", Loss::Silence);
        assert_eq!(deleted(&agent).await, 503);
        all(&houses, ends).await;
    }
    let ends = all(&houses, 4).await;
    assert!(ends.len() == 4 && are_of_one_each(&ends), "{ends:?}");
    assert!(ends.iter().all(|(_, why)| why == "deleted"), "{ends:?}");
}

#[tokio::test]
async fn a_session_that_is_missed_without_an_answer_has_its_one_line() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = behind(&way, &redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    for ends in [1, 2, 3] {
        opened(&agent).await;
        if ends > 1 {
            way.loses_the_answer("expired", Loss::Silence);
        }
        let _: String = redis.ask(&["FLUSHALL"]);
        all(&houses, ends).await;
    }
    let ends = all(&houses, 3).await;
    assert!(ends.len() == 3 && are_of_one_each(&ends), "{ends:?}");
    assert!(ends.iter().all(|(_, why)| why == "expired"), "{ends:?}");
}

#[tokio::test]
async fn a_session_that_expires_without_an_answer_has_its_one_line() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = behind(&way, &redis, |setup| {
        setup.set("mcp.session_idle", "2s");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    for ends in [1, 2, 3] {
        opened(&agent).await;
        if ends > 1 {
            // For how long it is kept why a session has ended, in milliseconds, before a mark.
            way.loses_the_answer("3600000\r\n$32\r\n", Loss::Silence);
        }
        all(&houses, ends).await;
    }
    let ends = all(&houses, 3).await;
    assert!(ends.len() == 3 && are_of_one_each(&ends), "{ends:?}");
    assert!(ends.iter().all(|(_, why)| why == "expired"), "{ends:?}");
}

#[tokio::test]
async fn how_a_session_ended_is_there_for_an_hour_for_an_instance_that_was_cut_off() {
    let redis = Redis::start();
    let houses = together(&redis, |setup| {
        setup.set("mcp.session_idle", "4s");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    for (ends, why) in [(1, "deleted"), (2, "lost"), (3, "idle")] {
        let session = agent.clone().with(ID, &opened(&agent).await);
        match why {
            "deleted" => assert_eq!(delete(&session).await.status, 204),
            "lost" => redis.ask(&["FLUSHALL"]),
            _ => {}
        }
        all(&houses, ends).await;
        let kept: u64 = redis.ask(&["PTTL", &session_key(&redis)]);
        assert!(kept > 3_500_000, "{why}: {kept} ms");
        let _: String = redis.ask(&["FLUSHALL"]);
    }
}

#[tokio::test]
async fn a_session_whose_client_left_while_it_was_opened_has_its_lines_and_no_place() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = behind(&way, &redis, |_| ()).await;
    let agent = houses[0].agent(SUPPORT);
    way.takes(Duration::from_millis(100));
    for n in 1..=8 {
        // Each at another place of the way.
        let _ = timeout(Duration::from_millis(50 * n), agent.shake()).await;
    }
    way.takes(Duration::ZERO);
    opened(&agent).await;
    // Who left only once it was told has a session all the same.
    let are_told = || {
        let (opens, ends) = (
            houses[0].events("session_open").len(),
            closes(&houses).len(),
        );
        (ends > 0 && opens == ends + kept(&redis)).then_some(())
    };
    eventually("the line of each session", are_told).await;
}

#[tokio::test]
async fn a_session_whose_client_left_while_it_was_opened_ends_although_redis_is_away_just_then() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = behind(&way, &redis, |setup| {
        setup.set("redis.timeout", "2s");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    let connections = way.connections();
    // As an argument: scripts say the word too.
    way.loses_the_answer("$5\r\nended\r\n", Loss::Unheard);
    leaves((&way, &redis), 1, async move { agent.shake().await }).await;
    let is_back = || (way.connections() > connections).then_some(());
    eventually("another connection to Redis", is_back).await;
    let is_over = || (kept(&redis) == 0).then_some(());
    eventually("its end", is_over).await;
    let ends = all(&houses, 1).await;
    assert!(ends.len() == 1 && ends[0].1 == "ended", "{ends:?}");
    assert_eq!(houses[0].events("session_open").len(), 1);
}

#[tokio::test]
async fn an_instance_leaves_no_session_behind_that_it_answered_503_for() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let mut houses = behind(&way, &redis, |setup| {
        setup.set("mcp.max_sessions", "4321");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    assert_eq!(deleted(&agent).await, 204, "now Redis knows the scripts");
    way.loses_the_answer("4321", Loss::Silence);
    let asked = tokio::spawn(async move { agent.shake().await });
    let is_kept = || (kept(&redis) == 1).then_some(());
    eventually("Redis to keep it", is_kept).await;
    stop(&mut houses[0]).await;
    assert_eq!(asked.await.unwrap().status, 503);
    assert_eq!(kept(&redis), 0);
    assert_eq!(closes(&houses).len(), 1);
}

#[tokio::test]
async fn an_end_whose_answer_is_lost_while_the_instance_leaves_has_its_line() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let mut houses = behind(&way, &redis, |setup| {
        setup.set("redis.timeout", "400ms");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    assert_eq!(deleted(&agent).await, 204, "now Redis knows the script");
    let session = agent.clone().with(ID, &opened(&agent).await);
    way.loses_the_answer("deleted", Loss::Silence);
    let asked = tokio::spawn(async move { delete(&session).await });
    let is_over = || (kept(&redis) == 0).then_some(());
    eventually("Redis to end it", is_over).await;
    stop(&mut houses[0]).await;
    assert_eq!(asked.await.unwrap().status, 503);
    let ends = all(&houses, 2).await;
    assert!(ends.len() == 2 && are_of_one_each(&ends), "{ends:?}");
}

#[tokio::test]
async fn a_drain_waits_for_the_lines_of_a_client_that_has_left() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let mut houses = behind(&way, &redis, |setup| {
        setup.set("redis.timeout", "3s");
    })
    .await;
    let agents = [0, 1].map(|house: usize| houses[house].agent(SUPPORT));
    let session = agents[0].clone().with(ID, &opened(&agents[0]).await);
    leaves((&way, &redis), 0, async move { delete(&session).await }).await;
    stop(&mut houses[0]).await;
    let [_, agent] = agents;
    leaves((&way, &redis), 1, async move { agent.shake().await }).await;
    stop(&mut houses[1]).await;
    assert_eq!(kept(&redis), 0);
    for (house, why) in houses.iter().zip(["deleted", "ended"]) {
        house.event("log_close").await;
        let log = house.audit();
        let [.., close, drained, _] = &log[..] else {
            panic!("{log:?}");
        };
        assert_eq!(house.events("session_open").len(), 1);
        assert_eq!(
            (&close["event"], close["reason"].as_str()),
            (&json!("session_close"), Some(why))
        );
        assert_eq!(drained["event"], "drain_end");
    }
}
