//! A write that Zoho has answered is told as written, whatever cuts the call afterwards.

use std::time::Duration;

use serde_json::{Value, json};

use super::contact;
use crate::{
    house::{House, SUPPORT, Setup, eventually},
    lag::Lag,
    redis::Redis,
    tools::everything_allowed,
};

/// Redis is asked once more when Zoho has answered, for the key or for the record.
async fn house(redis: &Redis, change: impl FnOnce(&mut Setup)) -> (House, Lag) {
    let way = Lag::before(redis).await;
    let house = House::with(|setup| {
        everything_allowed(setup);
        setup.set("redis.url", way.url()).set("redis.timeout", "5s");
        setup.set("server.ops_listen", "127.0.0.1:0");
        change(setup);
    })
    .await;
    contact(&house).await;
    let slow =
        json!({ "fault": "latency", "method": "POST", "path": "/crm/v8/Leads", "delay": "1s" });
    house.zoho.fault(slow).await;
    (house, way)
}

fn lead(key: Option<&str>) -> Value {
    json!({ "last_name": "Popper", "company": "Vienna", "idempotency_key": key })
}

/// How many `POST`s the daemon has good answers to.
async fn answered(house: &House) -> String {
    let metrics = house.operator().get("/metrics").await.text;
    let count = metrics.split(r#"{method="POST",outcome="ok"} "#).nth(1);
    let count = count.and_then(|rest| rest.lines().next());
    count.unwrap_or("0").to_owned()
}

/// Zoho has heard of so many leads.
async fn sent(house: &House, leads: usize) {
    while house.zoho.seen("POST", "/crm/v8/Leads").await < leads {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_leaves_after_zohos_answer_leaves_a_record_in_the_log() {
    let redis = Redis::start();
    let (house, way) = house(&redis, |_| ()).await;
    for (made, key) in [Some("left"), None].into_iter().enumerate() {
        let agent = house.agent(SUPPORT);
        let call = tokio::spawn(async move { agent.call("create_lead", lead(key)).await });
        sent(&house, made + 1).await;
        let before = answered(&house).await;
        way.takes(Duration::from_secs(4));
        while answered(&house).await == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        call.abort();
        let ended = || house.events("tool_call_cancelled").get(made).cloned();
        let end = eventually("a cancelled call", ended).await;
        let ids = house.zoho.ids("Leads", "Company = 'Vienna'").await;
        let id = end["recordId"].as_str().unwrap_or_default().to_owned();
        assert!(ids.contains(&id) && end["outcome"] == "created", "{end}");
        assert_eq!(end["reason"], "client_gone");
        way.takes(Duration::ZERO);
    }
}

#[tokio::test]
async fn a_write_that_is_done_when_the_time_is_up_is_told_as_done() {
    let redis = Redis::start();
    let (house, way) = house(&redis, |setup| {
        setup.set("mcp.tool_timeout", "3s");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let call = tokio::spawn(async move { agent.call("create_lead", lead(Some("late"))).await });
    sent(&house, 1).await;
    way.takes(Duration::from_secs(4));
    let told = call.await.unwrap().failure();
    let id = house
        .zoho
        .ids("Leads", "Company = 'Vienna'")
        .await
        .remove(0);
    assert!(
        told.contains("too long, but its write is done") && told.contains(&id),
        "{told}"
    );
    let end = house.event("tool_call_error").await;
    let said = (&end["error"], &end["recordId"], &end["outcome"]);
    assert_eq!(said, (&json!("timeout"), &json!(id), &json!("created")));
}

#[tokio::test]
async fn who_leaves_while_it_is_looked_at_what_was_kept_leaves_a_record_in_the_log() {
    let house = House::with(everything_allowed).await;
    contact(&house).await;
    let slow =
        json!({ "fault": "latency", "method": "GET", "path": "/crm/v8/Leads", "delay": "30s" });
    house.zoho.fault(slow).await;
    for key in [Some("left"), None] {
        let (agent, looks) = (house.agent(SUPPORT), looks(&house).await);
        let call = tokio::spawn(async move { agent.call("create_lead", lead(key)).await });
        while looks == self::looks(&house).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        call.abort();
    }
    // Whoever leaves too late, since a look takes a second at most, has had an answer.
    let ends = || {
        let lines = house.audit().into_iter();
        let ends = lines
            .filter(|line| line["toolName"] == "create_lead" && line["event"] != "tool_call_start");
        Some(ends.collect::<Vec<_>>()).filter(|ends| ends.len() == 2)
    };
    for end in eventually("two ends", ends).await {
        assert!(end["recordId"].is_string(), "{end}");
        assert_eq!(end["outcome"], "created");
    }
}

async fn looks(house: &House) -> usize {
    house.zoho.seen("GET", "/crm/v8/Leads/").await
}
