//! Several ways to prove who is calling, together and one after the other.

use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::{
    agent::Agent,
    house::{House, REPORTING, SUPPORT, command},
    issuer::{Issuer, Key},
};

const AS_SUPPORT: &str = "client = \"customer-service-agent\"";

/// A house where the support client has to have a key and a token.
async fn strict() -> (House, Issuer, Key) {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config(AS_SUPPORT));
        setup.set(
            "clients.customer-service-agent.credentials",
            "[\"api_key\", \"jwt\"]",
        );
    })
    .await;
    (house, issuer, key)
}

fn with_token(agent: Agent, token: &str) -> Agent {
    agent.with("authorization", &format!("Bearer {token}"))
}

async fn heard(agent: &Agent) -> (u16, String) {
    let answer = agent.list().await;
    let error = answer.json()["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status.as_u16(), error)
}

#[tokio::test]
async fn each_credential_that_is_listed_is_needed() {
    let (house, issuer, key) = strict().await;
    let token = issuer.token(&key, json!({}));
    let both = with_token(house.agent(SUPPORT), &token);
    assert_eq!(heard(&both).await.0, 200);
    let told = house.event("auth_success").await;
    assert_eq!(told["authMethod"], "api_key+jwt");
    assert!(told["userId"].as_str().unwrap().starts_with("hmac:"));
    assert_eq!(
        told["keyId"],
        format!("{}+own", &house.keys[SUPPORT][10..20])
    );
    let required = |text: &str| (401, text.to_owned());
    let key_alone = heard(&house.agent(SUPPORT)).await;
    assert_eq!(key_alone, required("Bearer token required"));
    let told = house.event("auth_failed").await;
    assert_eq!(told["clientId"], SUPPORT);
    let token_alone = heard(&with_token(house.stranger(None), &token)).await;
    assert_eq!(token_alone, required("API key required"));
    // Others are asked for nothing more than before.
    assert_eq!(heard(&house.agent(REPORTING)).await.0, 200);
}

#[tokio::test]
async fn credentials_of_two_clients_are_nobodys() {
    let (house, issuer, key) = strict().await;
    let torn = with_token(house.agent(REPORTING), &issuer.token(&key, json!({})));
    let (status, error) = heard(&torn).await;
    assert_eq!(status, 401);
    assert!(error.contains("disagree"), "{error}");
    let told = house.event("auth_failed").await;
    assert_eq!(told["reason"], "conflict");
    let keys = format!("{}+own", &house.keys[REPORTING][10..20]);
    assert_eq!(told["keyId"], keys, "one of them may be stolen");
}

#[tokio::test]
async fn a_bad_credential_beside_a_good_one_is_refused() {
    let (house, issuer, key) = strict().await;
    let expired = issuer.token(&key, json!({ "iat": 1, "exp": 2 }));
    let (status, error) = heard(&with_token(house.agent(REPORTING), &expired)).await;
    assert_eq!((status, &*error), (401, "Token expired"));
    let good = issuer.token(&key, json!({}));
    let wrong = with_token(house.stranger(Some("zmcp_live_x")), &good);
    assert_eq!(heard(&wrong).await, (401, "Invalid API key".to_owned()));
}

#[tokio::test]
async fn a_session_is_its_openers_and_as_strongly_proven() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config(AS_SUPPORT));
    })
    .await;
    let of = |user: &str| issuer.token(&key, json!({ "sub": user }));
    let ada = with_token(house.agent(SUPPORT), &of("ada"));
    let mut stream = ada.stream().await;
    stream.initialize().await;
    let ping = json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" }).to_string();
    for (who, status) in [
        (with_token(house.stranger(None), &of("ada")), 404),
        (with_token(house.agent(SUPPORT), &of("bob")), 404),
        (house.agent(SUPPORT), 404),
        (house.agent(REPORTING), 404),
        (with_token(house.agent(SUPPORT), &of("ada")), 202),
    ] {
        let posted = who
            .send(reqwest::Method::POST, &stream.endpoint, ping.clone())
            .await;
        assert_eq!(posted.status, status);
    }
    let foreign = |event: &serde_json::Value| event["reason"] == "foreign_session";
    house
        .recorded("the last of them", |line| {
            foreign(line) && line["clientId"] == REPORTING
        })
        .await;
    let told = house.events("auth_failed");
    assert_eq!(told.iter().filter(|event| foreign(event)).count(), 4);
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_retired() {
    let house = House::start().await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    let mut other = house.agent(REPORTING).stream().await;
    let store = house.file("keys.json");
    let store = store.to_str().unwrap();
    let id = &house.keys[SUPPORT][10..20];
    assert!(
        command(&["keys", "retire", "--force", "--key", id, "--store", store])
            .status
            .success()
    );
    assert_eq!(stream.next().await, None);
    let closed = house.event("session_close").await;
    assert_eq!(
        (&closed["reason"], &closed["keyId"]),
        (&json!("key_retired"), &json!(id))
    );
    other.initialize().await;
    assert_eq!(house.events("session_close").len(), 1);
}

#[tokio::test]
async fn a_stream_ends_when_its_client_is_no_longer_configured() {
    let house = House::start().await;
    let mut stream = house.agent(REPORTING).stream().await;
    stream.initialize().await;
    let file = house.file("zoho-mcp.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let without = text.replace("[clients.reporting-agent]\nrole = \"reporting\"\n", "");
    assert_ne!(text, without);
    std::fs::write(&file, without).unwrap();
    house.signal("-HUP");
    assert_eq!(stream.next().await, None);
    assert_eq!(
        house.event("session_close").await["reason"],
        "client_removed"
    );
}
