//! What sessions cost those who are not honest about them: every look into Redis is counted.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{House, REPORTING, SUPPORT, Setup},
    http_sessions::{ID, delete, opened, search, together},
    pair::{mode, pair, sharing},
    redis::Redis,
};

fn ping() -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string()
}

fn few(setup: &mut Setup) {
    setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    setup.set("limits.failed_logins", "{ requests = 3, per = \"1h\" }");
}

#[tokio::test]
async fn a_bound_that_a_smaller_one_hides_is_a_warning_with_its_key_and_a_remedy() {
    let house = House::start().await;
    for (key, value, wider) in [
        ("max_sessions_per_client", "10001", "max_sessions"),
        ("max_sessions_per_user", "1001", "max_sessions_per_client"),
        ("session_idle", "25h", "max_session_age"),
        ("max_streams_per_user", "513", "max_streams_per_client"),
    ] {
        let checked = house.command_with(&["check"], |setup| {
            setup.set("mcp.sessions", "true");
            setup.set(&format!("mcp.{key}"), value);
        });
        assert!(checked.status.success(), "{key}");
        let said =
            String::from_utf8_lossy(&checked.stderr) + String::from_utf8_lossy(&checked.stdout);
        let warning = said
            .lines()
            .find(|line| line.contains(&format!("mcp.{key}: ")));
        let warning = warning.expect(&said);
        assert!(
            warning.contains(wider) && warning.contains(", or "),
            "a remedy: {said}"
        );
    }
    let without = house.command_with(&["check"], |setup| {
        setup.set("mcp.session_idle", "25h");
    });
    let said = [without.stdout, without.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("session_idle"));
}

/// How many of the answers have each status.
fn count(answers: &[StatusCode], status: u16) -> usize {
    let has = |answer: &&StatusCode| answer.as_u16() == status;
    answers.iter().filter(has).count()
}

/// So many pings at once, by one who pretends to be in a session.
async fn pings(agent: &Agent, path: &str, many: usize) -> Vec<StatusCode> {
    let one = || async {
        let answer = agent.send(Method::POST, path, ping()).await;
        answer.status
    };
    join_all((0..many).map(|_| one())).await
}

#[tokio::test]
async fn who_names_a_session_of_nobody_or_of_somebody_else_is_counted_all_the_same() {
    let redis = Redis::start();
    let mut houses = together(&redis, few).await;
    let foreign = opened(&houses[0].agent(REPORTING)).await;
    let thief = houses[0].agent(SUPPORT).with(ID, &foreign);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(search(&thief).await.status);
        seen.push(thief.listen().await.status());
        seen.push(delete(&thief).await.status);
    }
    let lost = houses[1].agent(SUPPORT).with(ID, &"0".repeat(64));
    for _ in 0..2 {
        seen.push(search(&lost).await.status);
    }
    assert_eq!(count(&seen, 404), 20, "{seen:?}");
    for agent in [&thief, &lost] {
        let refused = [
            search(agent).await.status,
            agent.listen().await.status(),
            delete(agent).await.status,
        ];
        assert_eq!(count(&refused, 429), 3, "{refused:?}");
    }
    let refused = delete(&thief).await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 1);
    assert!(refused.text.contains("client, 20 per 1h"));
    let line = houses[0].event("rate_limit_exceeded").await;
    let open = houses[0].event("session_open").await;
    assert_eq!(line["sessionId"], open["sessionId"], "the log says which");
    let owner = houses[1].agent(REPORTING).with(ID, &foreign);
    assert!(search(&owner).await.content()["items"].is_array());
    houses[0].signal("-TERM");
    houses[0].ended().await;
    told_in_bounds(&houses[0]);
}

/// Of 18 tries three have a line of their own.
fn told_in_bounds(house: &House) {
    let told = house.events("auth_failed");
    let repeated = |line: &&Value| line["repeated"].is_number();
    let (many, single): (Vec<_>, Vec<_>) = told.iter().partition(repeated);
    assert_eq!((single.len(), many.len()), (3, 1), "{told:?}");
    for line in &told {
        assert_eq!(line["reason"], "foreign_session");
        assert_eq!(line["clientId"], SUPPORT);
    }
    assert_eq!(many[0]["repeated"], 15);
}

#[tokio::test]
async fn what_no_limit_counts_does_not_ask_for_sessions_without_end() {
    let redis = Redis::start();
    let houses = together(&redis, few).await;
    let lost = houses[0].agent(SUPPORT).with(ID, &"0".repeat(64));
    let answers = pings(&lost, "/mcp", 200).await;
    assert!(count(&answers, 404) >= 100, "{answers:?}");
    assert!(count(&answers, 429) >= 30, "{answers:?}");
    let line = houses[0].event("rate_limit_exceeded").await;
    assert_eq!(
        (&line["policy"], &line["clientId"]),
        (&json!("lookups"), &json!(SUPPORT))
    );
    assert_eq!(houses[0].events("rate_limit_exceeded").len(), 1, "once");
    let other = houses[0].agent(REPORTING);
    let other = other.clone().with(ID, &opened(&other).await);
    assert_eq!(other.post(ping()).await.status, 200);
}

#[tokio::test]
async fn a_message_to_a_stream_that_is_nowhere_is_not_asked_about_without_end() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        sharing(setup);
        few(setup);
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let nowhere = "/messages?sessionId=00000000000000000000000000000000";
    let answers = pings(&houses[0].agent(SUPPORT), nowhere, 200).await;
    assert!(count(&answers, 404) >= 100, "{answers:?}");
    assert!(count(&answers, 429) >= 30, "{answers:?}");
    let mut stream = houses[0].agent(SUPPORT).stream().await;
    stream.initialize().await;
    for id in 1..19 {
        stream.ask(id, "tools/list", json!({})).await;
    }
    let over = stream.ask(20, "tools/list", json!({})).await;
    assert!(over["result"].is_object(), "the limit is as it was: {over}");
}

#[tokio::test]
async fn who_is_over_a_limit_is_told_so_as_a_result_without_a_look_at_the_session() {
    let redis = Redis::start();
    let houses = together(&redis, |setup| {
        setup.set("limits.client", "{ requests = 2, per = \"1h\" }");
        setup.set("limits.answer", "tool_error");
    })
    .await;
    let lost = houses[0].agent(SUPPORT).with(ID, &"0".repeat(64));
    for _ in 0..2 {
        assert_eq!(search(&lost).await.status, 404);
    }
    let told = search(&lost).await.failure();
    assert!(told.contains("client, 2 per 1h"), "{told}");
}
