//! What the log has of tokens: who, of which issuer, by which key; and never a mail address.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::{AS_SUPPORT, SECRET};
use crate::{
    house::{House, eventually},
    issuer::{AUDIENCE, Issuer, Key},
};

#[tokio::test]
async fn a_person_is_named_by_issuer_and_never_by_address() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::behind(&issuer).await;
    for (subject, logged) in [
        (
            "auth0|5f7c8ec7c33c6c004bbafe82",
            Some("auth0|5f7c8ec7c33c6c004bbafe82"),
        ),
        (
            "0192f0c1-7b1e-7cc3-98c4-dc0c0c07398f",
            Some("0192f0c1-7b1e-7cc3-98c4-dc0c0c07398f"),
        ),
        ("canary.lovelace", None),
        ("auth0|canary", None),
        ("3331234567890123", None),
        ("IT60X0542811101000000123456", None),
        ("canary.ada@example.com", None),
        ("Canary Lovelace", None),
    ] {
        let token = issuer.token(&key, json!({ "sub": subject }));
        let seen = house.events("auth_success").len();
        assert_eq!(house.status(&token).await, 200);
        let told = eventually(subject, || house.events("auth_success").get(seen).cloned()).await;
        let user = told["userId"].as_str().unwrap();
        match logged {
            Some(logged) => assert_eq!(user, logged),
            None => assert!(user.starts_with("hmac:"), "{user}"),
        }
        assert_eq!(told["issuer"], issuer.url);
    }
    let everything = house.audit_text().concat() + &house.operational_log();
    for personal in ["canary", "3331234567890123", "it60x"] {
        assert!(!everything.to_lowercase().contains(personal), "{personal}");
    }
}

#[tokio::test]
async fn a_key_without_an_id_is_named_by_its_print_and_a_failure_by_what_was_tried() {
    let own = Key::new("own", Algorithm::ES256);
    let secret = Key::secret(SECRET);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::with(|setup| {
        setup.variable("ISSUER_SECRET", SECRET);
        setup.file("issuer.pem", &own.public_pem);
        for (name, key) in [
            ("pem", "public_key = \"file:issuer.pem\"\nalgorithms = [\"ES256\"]"),
            ("ours", "hs256_secret = \"env:ISSUER_SECRET\""),
        ] {
            setup.config(&format!(
                "[[auth.jwt]]\nissuer = \"{name}\"\naudience = \"{AUDIENCE}\"\n{AS_SUPPORT}\n{key}\n"
            ));
        }
    })
    .await;
    let mut ids = Vec::new();
    for (name, key) in [("pem", &own), ("ours", &secret)] {
        assert_eq!(
            house
                .status(&issuer.token(key, json!({ "iss": name })))
                .await,
            200
        );
        let told = house.recorded(name, |line| line["issuer"] == name).await;
        ids.push(told["keyId"].as_str().unwrap().to_owned());
    }
    assert!(
        ids.iter().all(|id| id.len() == 16) && ids[0] != ids[1],
        "{ids:?}"
    );
    assert_eq!(house.status("a.b.c").await, 401);
    let failed = house.event("auth_failed").await;
    assert_eq!(failed["authMethod"], "jwt");
}

#[tokio::test]
async fn a_token_that_fails_is_told_with_the_issuer_that_is_configured_and_no_other() {
    let [own, stranger] = [(), ()].map(|()| Key::new("own", Algorithm::ES256));
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    let told = Some(issuer.url.as_str());
    for (key, change, reason, told) in [
        (&own, json!({ "iat": 1, "exp": 2 }), "token_expired", told),
        (&own, json!({ "aud": "canary" }), "token_audience", told),
        (&stranger, json!({}), "token_signature", told),
        (
            &own,
            json!({ "iss": "https://canary.example/" }),
            "token_issuer",
            None,
        ),
    ] {
        assert_eq!(house.status(&issuer.token(key, change)).await, 401);
        let failed = house
            .recorded(reason, |line| line["reason"] == reason)
            .await;
        assert_eq!(failed["issuer"].as_str(), told, "{reason}");
        assert_eq!(failed["authMethod"], "jwt", "{reason}");
    }
    assert!(!house.audit_text().concat().contains("canary"));
}

#[tokio::test]
async fn a_key_set_that_hangs_keeps_nobody_waiting_in_line() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    issuer.hang();
    let house = House::behind(&issuer).await;
    let begun = std::time::Instant::now();
    let tokens = (0..12).map(|n| issuer.token(&key, json!({ "sub": format!("user-{n}") })));
    let tokens: Vec<String> = tokens.collect();
    let answers = futures_util::future::join_all(tokens.iter().map(|token| house.status(token)));
    assert_eq!(answers.await, [503; 12]);
    // One after another they would wait for a minute.
    assert!(begun.elapsed().as_secs() < 25, "{:?}", begun.elapsed());
}
