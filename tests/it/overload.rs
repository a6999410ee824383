//! More is asked for than Zoho can answer: what would be late is refused at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    agent::{Agent, Answer},
    house::{House, SUPPORT, Setup, eventually},
};

#[tokio::test]
async fn who_would_wait_too_long_is_told_so_at_once_and_the_others_are_answered() {
    let house = House::with(crowds).await;
    slow(&house, "400ms").await;
    let agent = house.agent(SUPPORT);
    let began = Instant::now();
    let calls = (0..60).map(|_| timed(&agent, began));
    let (answered, refused): (Vec<_>, Vec<_>) = join_all(calls)
        .await
        .into_iter()
        .partition(|(answer, _)| answer.status == 200);
    assert!(refused.len() >= 40, "{}", refused.len());
    assert!(answered.len() >= 5, "{}", answered.len());
    for (answer, _) in &answered {
        assert_ne!(answer.result()["isError"], true, "{}", answer.text);
    }
    let last = answered.iter().map(|(_, at)| *at).max().unwrap();
    for (answer, at) in &refused {
        assert!(*at < last, "{at:?}, when the line took {last:?}");
        is_overloaded(answer);
    }
    let line = house.event("rate_limit_exceeded").await;
    assert_eq!(line["policy"], "zoho-places");
    for line in house.events("rate_limit_exceeded") {
        assert_eq!(line["toolName"], "search_contacts", "{line}");
    }
    let seen = house.zoho.journal().await;
    let searches = |line: &&Value| line["path"] == "/crm/v8/Contacts/search";
    assert_eq!(
        seen.iter().filter(searches).count(),
        answered.len(),
        "what was refused never reached Zoho"
    );
    let (after, _) = timed(&agent, began).await;
    assert_eq!(after.status, 200, "the line is gone: {}", after.text);
}

#[tokio::test]
async fn who_waits_is_no_hindrance_for_what_needs_no_zoho() {
    let house = House::with(crowds).await;
    slow(&house, "3s").await;
    let agent = house.agent(SUPPORT);
    let crowd = crowd(&agent, 40);
    is_full(&house).await;
    assert_eq!(agent.ask("ping", json!({})).await.status, 200);
    assert_eq!(agent.status().await, 200);
    is_overloaded(&search(&agent).await);
    crowd.abort();
}

#[tokio::test]
async fn on_a_stream_an_overload_is_told_on_the_stream() {
    let house = House::with(crowds).await;
    let agent = house.agent(SUPPORT);
    let mut stream = agent.stream().await;
    stream.initialize().await;
    slow(&house, "3s").await;
    let crowd = crowd(&agent, 40);
    is_full(&house).await;
    let told = stream
        .call(7, "search_contacts", json!({ "name": "Giulia" }))
        .await;
    assert_eq!(told["error"]["code"], 503, "{told}");
    crowd.abort();
}

#[tokio::test]
async fn a_crowd_beyond_the_requests_at_once_is_refused_before_anybody_is_asked_who_he_is() {
    let house = House::with(|setup| {
        crowds(setup);
        setup.set("zoho.max_wait", "30s");
        setup.set("server.max_requests", "4");
    })
    .await;
    slow(&house, "3s").await;
    let agent = house.agent(SUPPORT);
    let crowd = crowd(&agent, 4);
    let stranger = house.stranger(None);
    let mut refused = None;
    for _ in 0..200 {
        let answer = stranger.ask("ping", json!({})).await;
        if answer.status == 503 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_overloaded(&refused.unwrap());
    assert_eq!(stranger.get("/sse").await.status, 503);
    assert_eq!(stranger.get("/health").await.status, 200);
    crowd.abort();
    let mut room = stranger.ask("ping", json!({})).await.status;
    while room == 503 {
        room = stranger.ask("ping", json!({})).await.status;
    }
    assert_eq!(room, 401);
}

/// One place at Zoho, and a second to wait for it.
fn crowds(setup: &mut Setup) {
    setup.set("limits.client", "{ requests = 10000, per = \"1m\" }");
    setup.set("limits.global", "{ requests = 10000, per = \"1m\" }");
    setup.set("limits.in_flight", "500");
    setup.set("zoho.coalesce", "false");
    setup.set("zoho.concurrency", "1");
    setup.set("zoho.max_wait", "1s");
}

async fn slow(house: &House, delay: &str) {
    let path = "/crm/v8/Contacts";
    let fault = json!({ "fault": "latency", "path": path, "delay": delay });
    house.zoho.fault(fault).await;
}

async fn search(agent: &Agent) -> Answer {
    agent.search("Giulia").await
}

async fn timed(agent: &Agent, began: Instant) -> (Answer, Duration) {
    let answer = search(agent).await;
    (answer, began.elapsed())
}

/// So many calls that nobody waits for here.
fn crowd(agent: &Agent, calls: usize) -> tokio::task::JoinHandle<()> {
    let agent = agent.clone();
    tokio::spawn(async move {
        join_all((0..calls).map(|_| search(&agent))).await;
    })
}

async fn is_full(house: &House) {
    let refused = || house.events("rate_limit_exceeded").first().cloned();
    eventually("the line to be full", refused).await;
}

fn is_overloaded(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], 503);
    assert_eq!(error["data"]["retryAfterSeconds"], seconds);
}
