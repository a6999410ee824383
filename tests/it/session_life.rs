//! How long a session of `/mcp` lasts, what runs in it meanwhile, and what happens where one more
//! does not fit.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    agent::{Agent, Answer},
    house::{House, SUPPORT, Setup, eventually},
    http_sessions::{ID, alone, delete, opened, search, together},
    redis::Redis,
    wire::listing,
};

async fn slow(house: &House, delay: &str) {
    let fault = json!({ "fault": "latency", "path": "/crm", "delay": delay, "times": 1 });
    house.zoho.fault(fault).await;
}

#[tokio::test]
async fn a_session_is_not_idle_while_a_call_runs() {
    let redis = Redis::start();
    let idle = |setup: &mut Setup| {
        setup.set("mcp.session_idle", "2s");
        setup.set("zoho.request_timeout", "20s");
    };
    let shared = together(&redis, idle).await;
    let own = alone(idle).await;
    for house in [&shared[1], &own] {
        let agent = house.agent(SUPPORT);
        let agent = agent.clone().with(ID, &opened(&agent).await);
        slow(house, "6s").await;
        assert!(search(&agent).await.content()["items"].is_array());
        assert_eq!(search(&agent).await.status, 200, "it is still there");
    }
}

/// Calls a tool, and goes away while it runs.
async fn gone(house: &House, agent: &Agent, params: Value) {
    let begun = house.events("tool_call_start").len();
    slow(house, "2s").await;
    let agent = agent.clone();
    let call = tokio::spawn(async move { agent.ask("tools/call", params).await });
    let started = || (house.events("tool_call_start").len() > begun).then_some(());
    eventually("the call", started).await;
    call.abort();
    assert!(call.await.is_err());
}

fn params(more: &Value) -> Value {
    let mut params = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    if !more.is_null() {
        params["_meta"] = json!({ "progressToken": more });
    }
    params
}

#[tokio::test]
async fn who_goes_away_has_cancelled_its_call_where_there_is_no_session_and_only_there() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT).hurried();
    let id = opened(&agent).await;
    let agent = agent.with(ID, &id);
    for (done, token) in [(1, json!(null)), (2, json!("a"))] {
        gone(&house, &agent, params(&token)).await;
        let both = || (house.events("tool_call_success").len() == done).then_some(());
        eventually("the end of the call", both).await;
    }
    gone(&house, &agent, params(&json!("b"))).await;
    let cancel = json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": { "requestId": 1 },
    });
    assert_eq!(agent.post(cancel.to_string()).await.status, 202);
    house.event("tool_call_cancelled").await;
    assert_eq!(house.events("tool_call_cancelled").len(), 1);
    let stateless = House::start().await;
    let agent = stateless.agent(SUPPORT).hurried();
    gone(&stateless, &agent, params(&json!(null))).await;
    let cancelled = stateless.event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], "client_gone");
}

#[tokio::test]
async fn who_finds_no_room_is_told_when_there_is_some_under_the_id_of_its_request() {
    let redis = Redis::start();
    let one = |setup: &mut Setup| {
        setup.set("mcp.max_sessions_per_user", "1");
        setup.set("mcp.session_idle", "6s");
    };
    let shared = together(&redis, one).await;
    let own = alone(one).await;
    for house in [&shared[0], &own] {
        let agent = house.agent(SUPPORT);
        opened(&agent).await;
        let refused = agent.shake().await;
        assert_eq!(refused.status, 429, "{}", refused.text);
        assert_eq!(
            (&refused.json()["id"], refused.code()),
            (&json!(1), 429),
            "{}",
            refused.text
        );
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((3..=6).contains(&wait), "{wait}");
        let data = &refused.json()["error"]["data"];
        assert_eq!(data["retryAfterSeconds"], wait);
        sleep(Duration::from_secs(wait)).await;
        let id = opened(&agent).await;
        assert_eq!(delete(&agent.with(ID, &id)).await.status, 204);
    }
}

#[tokio::test]
async fn a_message_that_names_two_sessions_is_told_so() {
    let house = alone(|_| ()).await;
    let agent = house.agent(SUPPORT);
    let id = opened(&agent).await;
    let twice = agent.with(ID, &id).with(ID, &id);
    let refused = [twice.post(listing("a")).await, delete(&twice).await];
    for refused in &refused {
        assert_eq!((refused.status.as_u16(), refused.code()), (400, -32600));
        assert!(refused.text.contains("more than once"), "{}", refused.text);
    }
    assert_eq!(refused[0].json()["id"], "a");
}

/// Opens a session, where another could be opened before.
async fn opened_in_the_end(agent: &Agent) -> Answer {
    for _ in 0..100 {
        let answer = agent.shake().await;
        if answer.status == 200 {
            return answer;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("there is no room any more");
}

#[tokio::test]
async fn a_session_whose_opening_nobody_heard_of_takes_no_place() {
    let redis = Redis::start();
    // So many places that have run out take longer to clear than anybody waits for.
    let seeded =
        "local t = {} for n = 1, 1500000 do redis.call('ZADD', KEYS[1], 1, n) end return 1";
    let _: u8 = redis.ask(&["EVAL", seeded, "1", "zm:sess:{mcp}:all"]);
    let houses = together(&redis, |setup| {
        setup.set("mcp.max_sessions_per_user", "1");
        setup.set("redis.timeout", "50ms");
        setup.set("limits.client", "{ requests = 1000, per = \"1m\" }");
    })
    .await;
    let agent = houses[0].agent(SUPPORT);
    let lost = agent.shake().await;
    assert_eq!(lost.status, 503, "{}", lost.text);
    let kept = || {
        let keys = redis.keys().into_iter();
        let of_session = |key: &String| {
            let rest = key.strip_prefix("zm:sess:{mcp}:");
            rest.is_some_and(|rest| rest != "all" && !rest.starts_with("of:"))
        };
        keys.filter(of_session).count()
    };
    assert_eq!(kept(), 1, "Redis has it all the same");
    opened_in_the_end(&agent).await;
}
