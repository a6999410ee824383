//! What a running daemon takes over, what it keeps, and what it says about both.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{DASHBOARD, House, REP, eventually},
    issuer::{AUDIENCE, Issuer, Key},
    moto::{Moto, Stub},
};

const SECRET: &str = "a secret of thirty-two bytes or more";
const OTHER: &str = "another one of thirty-two bytes or more";
const REFUSED: &str = "refused_last_good_keeps_serving";

fn issuer_with(key: &str) -> String {
    format!(
        "[[auth.jwt]]\nissuer = \"ours\"\naudience = \"{AUDIENCE}\"\nclient = \"reporting-agent\"\n{key}\n"
    )
}

/// An agent with a token of the issuer that is `ours`.
fn bearer(house: &House, issuer: &Issuer, key: &Key) -> Agent {
    let token = issuer.token(key, json!({ "iss": "ours" }));
    let agent = house.stranger(None);
    agent.with("authorization", &format!("Bearer {token}"))
}

async fn reloaded(house: &House, policy: Value, reason: &str) -> Value {
    let told = |line: &Value| {
        line["event"] == "config_reload" && line["policy"] == policy && line["reason"] == reason
    };
    house.recorded(reason, told).await
}

/// Takes a client out of the configuration.
fn withdraw_dashboard(house: &House) {
    let file = house.file("zoho-mcp.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let client = "[clients.readonly-dashboard]\nrole = \"dashboard\"\n";
    assert!(text.contains(client));
    house.replace("zoho-mcp.toml", &text.replace(client, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_withdrawn_while_a_secret_store_hangs() {
    let moto = Moto::start().await;
    let secret = json!({ "Name": "issuer", "SecretString": SECRET });
    moto.ask("CreateSecret", secret).await;
    let mut house = House::with(|setup| {
        moto.serves(setup);
        setup.config(&issuer_with("hs256_secret = \"aws:issuer\""));
    })
    .await;
    let issuer = Issuer::start(&[]).await;
    let ours = bearer(&house, &issuer, &Key::secret(SECRET));
    assert_eq!(ours.status().await, 200);
    assert_eq!(house.agent(DASHBOARD).status().await, 200);
    moto.signal("-STOP");
    withdraw_dashboard(&house);
    house.signal("-HUP");
    reloaded(&house, Value::Null, "applied").await;
    assert_eq!(house.agent(DASHBOARD).status().await, 401);
    assert_eq!(ours.status().await, 200, "its secret is known");
    let told = reloaded(&house, json!("auth.jwt"), REFUSED).await;
    assert_eq!(told["level"], "warn");
    assert!(house.operational_log().contains("auth.jwt[0].hs256_secret"));
    // A look is on its way again by now, and the end does not wait for it.
    house.signal("-TERM");
    assert!(house.ended().await.success());
}

#[tokio::test]
async fn a_secret_that_was_not_to_be_had_is_taken_when_it_is() {
    let stub = Stub::start().await;
    stub.fail("issuer", 500, "InternalServiceError");
    let house = House::with(|setup| stub.serves(setup)).await;
    let issuer = Issuer::start(&[]).await;
    let ours = bearer(&house, &issuer, &Key::secret(SECRET));
    let text = std::fs::read_to_string(house.file("zoho-mcp.toml")).unwrap();
    let with = issuer_with("hs256_secret = \"aws:issuer\"") + &text;
    house.replace("zoho-mcp.toml", &with);
    reloaded(&house, Value::Null, "applied").await;
    reloaded(&house, json!("auth.jwt"), REFUSED).await;
    assert_eq!(ours.status().await, 401);
    stub.hold("issuer", SECRET);
    reloaded(&house, json!("auth.jwt"), "applied").await;
    assert_eq!(ours.status().await, 200);
}

#[tokio::test]
async fn another_secret_in_aws_counts_within_the_refresh() {
    let stub = Stub::start().await;
    stub.hold("issuer", SECRET);
    stub.hold("people", "{}");
    let house = House::with(|setup| {
        stub.serves(setup);
        setup.set("auth.api_keys.refresh", "1s");
        setup.set("zoho.user_credentials", "aws:people");
        setup.config(&issuer_with("hs256_secret = \"aws:issuer\""));
    })
    .await;
    let issuer = Issuer::start(&[]).await;
    let [old, new] = [SECRET, OTHER].map(|secret| bearer(&house, &issuer, &Key::secret(secret)));
    assert_eq!((old.status().await, new.status().await), (200, 401));
    let asked = stub.asked().len();
    eventually("looks", || (stub.asked().len() > asked + 4).then_some(())).await;
    assert!(house.events("config_reload").is_empty(), "nothing is new");
    stub.hold("issuer", OTHER);
    reloaded(&house, json!("auth.jwt"), "applied").await;
    assert_eq!((old.status().await, new.status().await), (401, 200));
    stub.hold("people", "no document");
    reloaded(&house, json!("zoho.user_credentials"), REFUSED).await;
    stub.hold(
        "people",
        &json!({ REP: { "refresh_token": "1000.x", "user": REP } }).to_string(),
    );
    reloaded(&house, json!("zoho.user_credentials"), "applied").await;
    assert_eq!(house.events("config_reload").len(), 3);
}

#[tokio::test]
async fn another_public_key_in_a_file_counts_without_a_signal() {
    let [old, new] = ["old", "new"].map(|id| Key::new(id, Algorithm::ES256));
    let house = House::with(|setup| {
        setup.file("issuer.pem", &old.public_pem);
        setup.config(&issuer_with("public_key = \"file:issuer.pem\""));
    })
    .await;
    let issuer = Issuer::start(&[]).await;
    let [by_old, by_new] = [&old, &new].map(|key| bearer(&house, &issuer, key));
    assert_eq!((by_old.status().await, by_new.status().await), (200, 401));
    house.replace("issuer.pem", "no key");
    reloaded(&house, json!("auth.jwt"), REFUSED).await;
    assert_eq!(by_old.status().await, 200, "the last good one");
    assert!(house.operational_log().contains("auth.jwt[0].public_key"));
    house.replace("issuer.pem", &new.public_pem);
    reloaded(&house, json!("auth.jwt"), "applied").await;
    assert_eq!((by_old.status().await, by_new.status().await), (401, 200));
}

#[tokio::test]
async fn a_document_that_was_refused_is_tried_again_by_itself() {
    let house = House::start().await;
    let text = std::fs::read_to_string(house.file("zoho-mcp.toml")).unwrap();
    let with = issuer_with("hs256_secret = \"file:late\"") + &text;
    house.replace("zoho-mcp.toml", &with);
    reloaded(&house, Value::Null, REFUSED).await;
    std::fs::write(house.file("late"), SECRET).unwrap();
    reloaded(&house, Value::Null, "applied").await;
    let issuer = Issuer::start(&[]).await;
    let ours = bearer(&house, &issuer, &Key::secret(SECRET));
    assert_eq!(ours.status().await, 200);
    assert_eq!(
        house.events("config_reload").len(),
        2,
        "one for each change"
    );
}

#[tokio::test]
async fn an_issuer_that_was_taken_out_comes_back_with_its_secret_or_not_at_all() {
    let house = House::with(|setup| {
        setup.file("issuer", SECRET);
        setup.config(&issuer_with("hs256_secret = \"file:issuer\""));
    })
    .await;
    let issuer = Issuer::start(&[]).await;
    let ours = bearer(&house, &issuer, &Key::secret(SECRET));
    assert_eq!(ours.status().await, 200);
    let with = std::fs::read_to_string(house.file("zoho-mcp.toml")).unwrap();
    let (_, without) = with.split_once("[server]").unwrap();
    house.replace("zoho-mcp.toml", &format!("[server]{without}"));
    reloaded(&house, Value::Null, "applied").await;
    assert_eq!(ours.status().await, 401);
    std::fs::remove_file(house.file("issuer")).unwrap();
    house.replace("zoho-mcp.toml", &with);
    reloaded(&house, Value::Null, REFUSED).await;
    assert_eq!(ours.status().await, 401, "nobody knows its secret any more");
}

#[tokio::test]
async fn what_needs_a_restart_is_said_to_need_one() {
    let house = House::start().await;
    let file = "zoho-mcp.toml";
    let text = std::fs::read_to_string(house.file(file)).unwrap();
    let moved = text.replace("127.0.0.1:0", "127.0.0.1:1");
    house.replace(
        file,
        &(moved + "[mcp]\nlegacy_sse = false\n[auth.api_keys]\nenabled = false\n"),
    );
    reloaded(&house, Value::Null, "applied_in_part").await;
    eventually("the keys", || {
        let log = house.operational_log();
        let keys = [
            "needs a restart:",
            "server.listen",
            "mcp.legacy_sse",
            "auth.api_keys.enabled",
        ];
        keys.iter().all(|key| log.contains(key)).then_some(())
    })
    .await;
    house.replace(file, &text);
    reloaded(&house, Value::Null, "applied").await;
}
