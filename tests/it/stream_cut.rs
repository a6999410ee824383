//! What becomes of a write in flight when its stream of `/sse` ends, and the reasons of that end.

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{House, SUPPORT},
    issuer::{Issuer, Key, now},
    pki::{Ca, behind_balancer},
    session_cut::{closed, slow_note, without_key, zoho_has_heard},
    stream::Stream,
};

/// A stream on which a write is in flight.
async fn writing(house: &House, agent: &Agent, delay: &str) -> Stream {
    let mut stream = agent.stream().await;
    stream.initialize().await;
    let params = slow_note(house, delay).await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    assert_eq!(stream.post(&call).await.status, 202);
    zoho_has_heard(house).await;
    stream
}

/// The caller hears that it has to look, then the stream ends, and the log says why.
async fn is_told_to_look(house: &House, mut stream: Stream, reason: &str) {
    let told = stream.answer(1).await;
    assert_eq!(told["result"]["isError"], true, "{told}");
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("may or may not have happened"), "{text}");
    assert_eq!(stream.next().await, None);
    closed(house, reason).await;
    let cancelled = house.event("tool_call_cancelled").await;
    assert_eq!(cancelled["reason"], reason);
}

#[tokio::test]
async fn a_write_is_answered_although_its_token_runs_out_and_nothing_more_is_taken() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config("client = \"customer-service-agent\""));
    })
    .await;
    let bearer = |expires: i64| {
        let token = issuer.token(&key, json!({ "sub": "ada", "exp": expires }));
        let value = format!("Bearer {token}");
        house.stranger(None).with("authorization", &value)
    };
    let expires = now() + 5;
    let mut stream = writing(&house, &bearer(expires), "9s").await;
    while now() < expires + 2 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }).to_string();
    let renewed = bearer(now() + 600);
    let late = renewed.send(Method::POST, &stream.endpoint, ping).await;
    assert_eq!(late.status, 404, "{}", late.text);
    let told = stream.answer(1).await;
    assert_eq!(told["result"]["structuredContent"]["outcome"], "created");
    assert_eq!(stream.next().await, None);
    closed(&house, "token_expired").await;
    assert!(house.events("tool_call_cancelled").is_empty());
}

#[tokio::test]
async fn a_write_whose_key_is_removed_from_the_file_is_told_to_look_on_its_stream() {
    let house = House::start().await;
    let stream = writing(&house, &house.agent(SUPPORT), "8s").await;
    without_key(&house, SUPPORT);
    is_told_to_look(&house, stream, "key_removed").await;
}

#[tokio::test]
async fn a_write_whose_certificate_is_revoked_is_told_to_look_on_its_stream() {
    let clients = Ca::root("clients");
    let house = House::with(|setup| {
        behind_balancer(setup, &clients.pem());
        setup.file("clients.crl", &clients.crl(&[], 2090));
        setup.set("server.tls.client_crl", "clients.crl");
        setup.set(
            "clients.customer-service-agent.certificate",
            "spiffe://a/support",
        );
    })
    .await;
    let identity = clients.client("spiffe://a/support");
    let agent = house.showing(&identity.header());
    let stream = writing(&house, &agent, "8s").await;
    house.replace("clients.crl", &clients.crl(&[identity.serial()], 2090));
    is_told_to_look(&house, stream, "certificate_revoked").await;
}

#[tokio::test]
async fn the_log_says_how_a_stream_ended() {
    let house = House::with(|setup| {
        setup.set("mcp.max_stream_age", "2s");
    })
    .await;
    let mut old = house.agent(SUPPORT).stream().await;
    drop(house.agent(SUPPORT).stream().await);
    closed(&house, "disconnected").await;
    assert_eq!(old.next().await, None);
    closed(&house, "too_old").await;
    let mut last = house.agent(SUPPORT).stream().await;
    house.signal("-TERM");
    assert_eq!(last.next().await, None);
    closed(&house, "ended").await;
    let is_end = |line: &&Value| line["event"] == "session_close";
    assert_eq!(house.audit().iter().filter(is_end).count(), 3);
}
