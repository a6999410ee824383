//! Bodies that are begun and not ended: nobody's memory but a bounded part of it.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::{Body, Method};

use crate::{
    agent::Agent,
    house::{House, REPORTING, SUPPORT, eventually},
};

/// A body of which `bytes` come, and then nothing more.
fn half_sent(bytes: usize) -> Body {
    let begun = stream::iter([Ok::<_, std::io::Error>(vec![b' '; bytes])]);
    Body::wrap_stream(begun.chain(stream::pending()))
}

/// The answers to so many requests at once, as far as there are any: no room, or no time left.
async fn answers(agent: &Agent, requests: usize) -> Vec<u16> {
    let sent = (0..requests).map(|_| agent.attempt(Method::POST, "/mcp", half_sent(150_000)));
    let answers = join_all(sent).await.into_iter().flatten();
    answers.map(|answer| answer.status.as_u16()).collect()
}

#[tokio::test]
async fn a_client_that_leaves_bodies_half_sent_fills_its_own_room_only() {
    let house = House::with(|setup| {
        setup.set("mcp.body_memory", "2MiB");
        setup.set("mcp.body_timeout", "5s");
    })
    .await;
    for greedy in [
        house.agent(SUPPORT),
        // Many requests on one connection.
        house.agent(SUPPORT).over_http2(),
    ] {
        let refusals = || {
            let refusals = house.events("rate_limit_exceeded").into_iter();
            refusals.filter(|line| line["policy"] == "body_memory")
        };
        let before = refusals().count();
        let flood = tokio::spawn(async move { answers(&greedy, 60).await });
        let told = eventually("a refusal", || refusals().nth(before)).await;
        assert_eq!(told["clientId"], SUPPORT);
        let other = house.agent(REPORTING).list().await;
        assert_eq!(other.status, 200, "another's room is its own");
        // A quarter of the room is three such bodies, whole or in parts.
        let answers = flood.await.unwrap();
        assert!(answers.contains(&429), "{answers:?}");
        assert!(
            answers.iter().all(|status| [408, 429].contains(status)),
            "{answers:?}"
        );
        let again = house.agent(SUPPORT).list().await;
        assert_eq!(again.status, 200, "{}", again.text);
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_gives_its_room_back() {
    let house = House::with(|setup| {
        setup.set("mcp.body_memory", "1MiB");
        setup.set("mcp.body_timeout", "60s");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let fits = async || {
        let body = format!(
            r#"{}{{"jsonrpc":"2.0","id":1,"method":"ping"}}"#,
            " ".repeat(200_000)
        );
        agent.post(body).await.status == 200
    };
    // Where one that fits came first there was no room for the half, and another is tried.
    let half = 'held: loop {
        let held = agent.clone();
        let half =
            tokio::spawn(
                async move { held.attempt(Method::POST, "/mcp", half_sent(250_000)).await },
            );
        for _ in 0..20 {
            if !fits().await {
                break 'held half;
            }
        }
        half.abort();
    };
    half.abort();
    // The daemon learns of it by the connection.
    let again = async { while !fits().await {} };
    let waited = tokio::time::timeout(Duration::from_secs(20), again).await;
    waited.expect("room again");
}
