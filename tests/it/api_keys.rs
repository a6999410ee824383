//! Keys: who gets in, and what the rest hears.

use serde_json::json;

use crate::house::{House, REPORTING, SUPPORT, command};

#[tokio::test]
async fn every_bad_key_hears_the_same_and_the_log_says_why() {
    let house = House::with(|setup| {
        setup.set("limits.failed_logins", "{ requests = 1000, per = \"1m\" }");
    })
    .await;
    let good = &house.keys[SUPPORT];
    let (id, secret) = (&good[10..20], &good[21..53]);
    let other_secret: String = secret.chars().rev().collect();
    let cases = [
        ("nonsense".to_owned(), "malformed"),
        (with_another_end(good), "checksum"),
        (
            with_checksum(&format!("zmcp_live_{}_{secret}", "A".repeat(10))),
            "unknown",
        ),
        (
            with_checksum(&format!("zmcp_live_{id}_{other_secret}")),
            "secret",
        ),
    ];
    for (key, reason) in cases {
        let answer = house.stranger(Some(&key)).list().await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.text),
            (401, r#"{"error":"Invalid API key"}"#),
            "{reason}"
        );
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        house
            .recorded(reason, |line| {
                line["event"] == "auth_failed"
                    && line["reason"].as_str().unwrap_or_default().contains(reason)
            })
            .await;
    }
    let nobody = house.stranger(None).list().await;
    assert_eq!(
        (nobody.status.as_u16(), &*nobody.text),
        (401, r#"{"error":"API key required"}"#)
    );
}

/// The last part of a key, so that only its other parts are wrong.
fn with_another_end(key: &str) -> String {
    let other = if key.ends_with('x') { 'y' } else { 'x' };
    format!("{}{other}", &key[..key.len() - 1])
}

fn with_checksum(body: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    format!("{body}_{}", std::str::from_utf8(&checksum).unwrap())
}

#[tokio::test]
async fn a_key_may_come_as_a_bearer_token_but_two_keys_may_not_disagree() {
    let house = House::start().await;
    let bearer = format!("Bearer {}", house.keys[SUPPORT]);
    let by_bearer = house.stranger(None).with("authorization", &bearer);
    assert_eq!(by_bearer.status().await, 200);
    let twice = house.agent(SUPPORT).with("authorization", &bearer);
    assert_eq!(twice.status().await, 200);
    let torn = house.agent(REPORTING).with("authorization", &bearer);
    assert_eq!(torn.status().await, 401);
    let told = house.event("auth_failed").await;
    let ids = [REPORTING, SUPPORT].map(|client| &house.keys[client][10..20]);
    assert_eq!(told["keyId"], ids.join("+"), "one of them may be stolen");
    let token = house
        .stranger(None)
        .with("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.");
    assert_eq!(token.list().await.text, r#"{"error":"Invalid token"}"#);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_locks_nobody_out() {
    let house = House::with(|setup| {
        setup.set("limits.failed_logins", "{ requests = 5, per = \"1m\" }");
        setup.set("server.ops_listen", "127.0.0.1:0");
    })
    .await;
    let guesser = house.stranger(Some("zmcp_live_guess"));
    let mut refused = 0;
    for _ in 0..20 {
        let answer = guesser.list().await;
        if answer.status == 429 {
            refused += 1;
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
    assert!((10..=15).contains(&refused), "{refused}");
    assert_eq!(house.agent(SUPPORT).status().await, 200);
    let told = house.event("rate_limit_exceeded").await;
    assert_eq!(told["policy"], "failed_logins");
    assert_eq!(house.events("rate_limit_exceeded").len(), 1);
    let metrics = house.operator().get("/metrics").await.text;
    let counted = format!(
        "zoho_mcp_limited_total{{dimension=\"failed_logins\",mode=\"enforce\"}} {refused}\n"
    );
    assert!(metrics.contains(&counted), "{counted}: {metrics}");
}

#[tokio::test]
async fn requests_without_a_credential_do_not_flood_the_log() {
    let mut house = House::with(|setup| {
        setup.set("limits.failed_logins", "{ requests = 5, per = \"10m\" }");
    })
    .await;
    let nobody = house.stranger(None);
    for _ in 0..40 {
        let answer = nobody.list().await;
        assert_eq!(answer.status, 401, "the answer stays the same");
    }
    let guess = house.stranger(Some("zmcp_live_guess"));
    let answer = guess.list().await;
    assert_eq!(answer.status, 401, "guesses are counted apart");
    house.signal("-TERM");
    house.ended().await;
    let told = house.recorded("the rest in one line", |line| line["repeated"] == 35);
    let told = told.await;
    assert_eq!(told["event"], "auth_failed");
    assert_eq!(told["reason"], "no_credential");
    assert_eq!(house.events("auth_failed").len(), 5 + 1 + 1);
}

#[tokio::test]
async fn a_rotated_key_works_at_once_and_a_retired_one_no_longer() {
    let house = House::start().await;
    let store = house.file("keys.json");
    let store = store.to_str().unwrap();
    let made = command(&["keys", "rotate", "--client", SUPPORT, "--store", store]);
    let second = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    house.signal("-HUP");
    house.event("keys_reload").await;
    for key in [&second, &house.keys[SUPPORT]] {
        assert_eq!(house.stranger(Some(key)).status().await, 200);
    }
    let first = &house.keys[SUPPORT];
    let id = &first[10..20];
    let retired = command(&["keys", "retire", "--force", "--key", id, "--store", store]);
    assert!(retired.status.success());
    // Without a signal: the file is looked at every other second.
    house
        .recorded("a second reload", |_| {
            house.events("keys_reload").len() == 2
        })
        .await;
    assert_eq!(
        house.agent(SUPPORT).list().await.text,
        r#"{"error":"Invalid API key"}"#
    );
    assert_eq!(house.stranger(Some(&second)).status().await, 200);
}

#[tokio::test]
async fn a_broken_key_file_changes_nothing() {
    let house = House::start().await;
    std::fs::write(house.file("keys.json"), "{\"version\":1,\"keys\":[").unwrap();
    let told = house.event("keys_reload").await;
    assert_eq!(told["reason"], "refused_last_good_keeps_serving");
    assert_eq!(house.agent(SUPPORT).status().await, 200);
}

#[tokio::test]
async fn the_log_names_the_key_and_never_shows_it() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    agent.tools().await;
    agent.tools().await;
    let told = house.event("auth_success").await;
    assert_eq!(
        (&told["keyId"], &told["authMethod"]),
        (&json!(&house.keys[SUPPORT][10..20]), &json!("api_key"))
    );
    assert_eq!(
        house.events("auth_success").len(),
        1,
        "once for each connection"
    );
    let everything = house.audit_text().concat() + &house.operational_log();
    assert!(!everything.contains(&house.keys[SUPPORT][21..53]));
}
