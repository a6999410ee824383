//! An agent that goes away takes its request to Zoho with it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::contact;
use crate::house::{House, SUPPORT};

const SEARCH: &str = "/crm/v8/Contacts/search";

/// Zoho answers searches after half a minute.
async fn slow_house() -> House {
    let house = House::start().await;
    contact(&house).await;
    let slow = json!({ "fault": "latency", "path": SEARCH, "delay": "30s" });
    house.zoho.fault(slow).await;
    house
}

/// Waits until so many requests are in flight, and says how long that took.
async fn in_flight(house: &House, requests: u64) -> Duration {
    let began = Instant::now();
    loop {
        let state = house.zoho.state().await;
        if state["requests"]["in_flight"] == requests {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{state}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ten times the figure to reach: the machine is shared.
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_request_that_is_given_up_ends_at_zoho_too() {
    let house = slow_house().await;
    let agent = house.agent(SUPPORT);
    let call = tokio::spawn(async move { agent.search("Popper").await });
    in_flight(&house, 1).await;
    call.abort();
    let took = in_flight(&house, 0).await;
    assert!(took < AT_ONCE, "{took:?}");
    house.event("tool_call_cancelled").await;
}

#[tokio::test]
async fn a_stream_that_ends_takes_its_calls_with_it() {
    let house = slow_house().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    for (id, name) in [(1, "Popper"), (2, "Giulia")] {
        let params = json!({ "name": "search_contacts", "arguments": { "name": name } });
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        assert_eq!(stream.post(&call).await.status, 202);
    }
    in_flight(&house, 2).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert_eq!(stream.post(&cancel).await.status, 202);
    let took = in_flight(&house, 1).await;
    assert!(took < AT_ONCE, "{took:?}");
    drop(stream);
    let took = in_flight(&house, 0).await;
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test]
async fn spent_credits_are_not_asked_for_again_by_every_call() {
    let house = House::start().await;
    contact(&house).await;
    house.zoho.set(json!({ "daily_credits": 1 })).await;
    let before = house.zoho.seen("GET", SEARCH).await;
    for _ in 0..5 {
        let agent = house.agent(SUPPORT);
        let search = json!({ "name": "Popper" });
        let told = agent.call("search_contacts", search).await;
        assert_eq!(told.status, 429, "{}", told.text);
    }
    assert_eq!(house.zoho.seen("GET", SEARCH).await - before, 1);
}
