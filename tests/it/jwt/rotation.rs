//! Keys that take each other's place under one name or none, and sets that are empty.

use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::AS_SUPPORT;
use crate::{
    house::House,
    issuer::{Issuer, Key, overlay},
};

/// A key that the set gives no name, and that its tokens do not name.
fn nameless(algorithm: Algorithm) -> Key {
    let mut key = Key::new("none", algorithm);
    overlay(&mut key.public, json!({ "kid": null }));
    key
}

/// A good token that does not say which key has signed it.
fn unnamed(issuer: &Issuer, key: &Key) -> String {
    let mut header = key.header();
    overlay(&mut header, json!({ "kid": null }));
    key.sign_text(&header.to_string(), &issuer.claims(json!({})).to_string())
}

#[tokio::test]
async fn a_key_that_takes_anothers_place_under_its_name_counts_from_its_first_token_on() {
    let [old, new] = [(), ()].map(|()| Key::new("own", Algorithm::ES256));
    let issuer = Issuer::start(&[&old]).await;
    let house = House::behind(&issuer).await;
    assert_eq!(house.status(&issuer.token(&old, json!({}))).await, 200);
    issuer.publish(&[&new]);
    assert_eq!(house.status(&issuer.token(&new, json!({}))).await, 200);
    assert_eq!(house.status(&issuer.token(&old, json!({}))).await, 401);
    // Forged signatures cost the issuer nothing more.
    let before = issuer.fetches();
    for user in 0..20 {
        let forged = issuer.token(&old, json!({ "sub": user.to_string() }));
        assert_eq!(house.status(&forged).await, 401);
    }
    assert_eq!(issuer.fetches(), before);
}

#[tokio::test]
async fn a_key_without_a_name_is_replaced_by_another() {
    let [old, new] = [(), ()].map(|()| nameless(Algorithm::EdDSA));
    let issuer = Issuer::start(&[&old]).await;
    let house = House::behind(&issuer).await;
    assert_eq!(house.status(&unnamed(&issuer, &old)).await, 200);
    issuer.publish(&[&new]);
    assert_eq!(house.status(&unnamed(&issuer, &new)).await, 200);
    assert_eq!(house.status(&unnamed(&issuer, &old)).await, 401);
}

#[tokio::test]
async fn each_of_the_keys_that_a_token_can_mean_is_tried() {
    let [one, two] = [(), ()].map(|()| Key::new("twin", Algorithm::ES256));
    let third = nameless(Algorithm::ES256);
    let issuer = Issuer::start(&[&one, &two, &third]).await;
    let house = House::behind(&issuer).await;
    for key in [&one, &two] {
        assert_eq!(house.status(&issuer.token(key, json!({}))).await, 200);
    }
    for key in [&one, &two, &third] {
        assert_eq!(house.status(&unnamed(&issuer, key)).await, 200);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_key_that_is_made_up_hides_a_new_one_for_a_while_and_locks_nobody_out() {
    let [own, new] = ["own", "new"].map(|id| Key::new(id, Algorithm::ES256));
    let issuer = Issuer::start(&[&own]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config(AS_SUPPORT));
    })
    .await;
    assert_eq!(house.status(&issuer.token(&own, json!({}))).await, 200);
    let made_up = own.with("made-up", Algorithm::ES256);
    assert_eq!(house.status(&issuer.token(&made_up, json!({}))).await, 401);
    let fetches = issuer.fetches();
    issuer.publish(&[&own, &new]);
    // More than there may be failed logins.
    for user in 0..20 {
        let early = issuer.token(&new, json!({ "sub": user.to_string() }));
        assert_eq!(house.status(&early).await, 401);
    }
    assert_eq!(issuer.fetches(), fetches);
    // Nobody asks any more, and still the new key is looked for: half a minute after the last time.
    let deadline = Instant::now() + Duration::from_secs(60);
    while issuer.fetches() == fetches {
        assert!(Instant::now() < deadline, "nobody looked for the new key");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let changed = |line: &Value| {
        let reason = line["reason"].as_str().unwrap_or_default();
        reason.starts_with("jwks_changed")
    };
    house.recorded("the new key", changed).await;
    assert_eq!(house.status(&issuer.token(&new, json!({}))).await, 200);
    assert_eq!(issuer.fetches(), fetches + 1);
}

#[tokio::test]
async fn an_issuer_that_has_withdrawn_every_key_vouches_for_nobody() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config(AS_SUPPORT));
        setup.set("auth.api_keys.enabled", "false");
    })
    .await;
    let token = issuer.token(&own, json!({}));
    let mut stream = house.bearer(&token).stream().await;
    issuer.publish(&[]);
    house.signal("-HUP");
    assert_eq!(stream.next().await, None);
    assert_eq!(house.status(&token).await, 401);
    let emptied = |line: &Value| {
        let reason = line["reason"].as_str().unwrap_or_default();
        line["event"] == "keys_reload" && reason.starts_with("jwks_empty")
    };
    house.recorded("the empty set", emptied).await;
    assert_eq!(house.stranger(None).get("/readyz").await.status, 503);
    issuer.publish(&[&own]);
    let back = |line: &Value| {
        let reason = line["reason"].as_str().unwrap_or_default();
        reason.starts_with("jwks_changed")
    };
    house
        .recorded("the key's return, without a request", back)
        .await;
    assert_eq!(house.status(&token).await, 200);
}
