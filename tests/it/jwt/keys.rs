//! An issuer's keys: fetched, rotated, withdrawn, made up, and out of reach.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use super::AS_SUPPORT;
use crate::{
    house::{House, SUPPORT, command, eventually},
    issuer::{AUDIENCE, Issuer, Key},
};

#[tokio::test]
async fn made_up_key_ids_cost_the_issuer_one_fetch() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    assert_eq!(house.status(&issuer.token(&own, json!({}))).await, 200);
    let before = issuer.fetches();
    let made_up = (0..300).map(|n| own.with(&format!("k{n}"), Algorithm::ES256));
    let tokens: Vec<String> = made_up.map(|key| issuer.token(&key, json!({}))).collect();
    let guesser = house.stranger(None);
    for some in tokens.chunks(50) {
        let tried = some.iter().map(async |token| {
            let guess = guesser
                .clone()
                .with("authorization", &format!("Bearer {token}"));
            guess.status().await
        });
        let statuses = futures_util::future::join_all(tried).await;
        assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    }
    assert!(issuer.fetches() <= before + 1, "{}", issuer.fetches());
    assert_eq!(house.status(&issuer.token(&own, json!({}))).await, 200);
}

#[tokio::test]
async fn a_rotated_key_counts_from_its_first_token_on_and_a_withdrawn_one_no_longer() {
    let [old, new] = ["old", "new"].map(|id| Key::new(id, Algorithm::EdDSA));
    let issuer = Issuer::start(&[&old]).await;
    let house = House::behind(&issuer).await;
    let of_old = issuer.token(&old, json!({}));
    assert_eq!(house.status(&of_old).await, 200);
    let mut stream = house.bearer(&of_old).stream().await;
    issuer.publish(&[&new]);
    assert_eq!(house.status(&issuer.token(&new, json!({}))).await, 200);
    // It was verified before, and that counts no longer either.
    assert_eq!(house.status(&of_old).await, 401);
    assert_eq!(stream.next().await, None);
    let closed = house.event("session_close").await;
    assert_eq!(closed["reason"], "token_key_removed");
}

#[tokio::test]
async fn known_keys_go_on_while_the_issuer_is_down() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    assert_eq!(house.status(&issuer.token(&own, json!({}))).await, 200);
    let told = async |word: &str| {
        let told = |line: &Value| {
            let reason = line["reason"].as_str().unwrap_or_default();
            line["event"] == "keys_reload" && reason.starts_with(word)
        };
        house.recorded(word, told).await;
    };
    issuer.down(true);
    house.signal("-HUP");
    told("jwks_unavailable_last_good_keeps_serving").await;
    assert_eq!(
        house
            .status(&issuer.token(&own, json!({ "sub": "b" })))
            .await,
        200
    );
    let fetches = issuer.fetches();
    house.signal("-HUP");
    eventually("another try", || (issuer.fetches() > fetches).then_some(())).await;
    issuer.down(false);
    house.signal("-HUP");
    told("jwks_available").await;
    let events = house.events("keys_reload");
    assert_eq!(events.len(), 2, "one for each change: {events:?}");
}

#[tokio::test]
async fn while_an_issuer_hangs_tokens_that_are_made_up_leave_room_for_everybody_else() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config(AS_SUPPORT));
        setup.set("server.max_requests", "60");
    })
    .await;
    assert_eq!(house.status(&issuer.token(&own, json!({}))).await, 200);
    issuer.hang();
    let guess = |n: u32| {
        let made_up = own.with(&format!("k{n}"), Algorithm::ES256);
        let guess = house.bearer(&issuer.token(&made_up, json!({})));
        async move { guess.status().await }
    };
    let mut flood: JoinSet<_> = (0..60).map(guess).collect();
    let at_once = async {
        for _ in 0..60 - 32 {
            assert_eq!(flood.join_next().await.unwrap().unwrap(), 401);
        }
    };
    timeout(Duration::from_secs(4), at_once)
        .await
        .expect("few of them to wait for the issuer");
    for user in 0..20 {
        let by_key = house.agent(SUPPORT).list().await;
        assert_eq!(by_key.status, 200);
        let known = issuer.token(&own, json!({ "sub": user.to_string() }));
        assert_eq!(house.status(&known).await, 200);
    }
    while let Some(status) = flood.join_next().await {
        assert_eq!(status.unwrap(), 503);
    }
    // By now it is known that there is no answer.
    let later = timeout(Duration::from_secs(4), guess(60)).await;
    assert_eq!(later.expect("nobody to wait any more"), 503);
}

#[tokio::test]
async fn without_any_key_a_token_is_neither_good_nor_bad() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    issuer.down(true);
    let house = House::behind(&issuer).await;
    let token = issuer.token(&own, json!({}));
    let answer = house.bearer(&token).list().await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    issuer.down(false);
    house.signal("-HUP");
    house
        .recorded("the keys", |line| {
            line["reason"]
                .as_str()
                .unwrap_or_default()
                .starts_with("jwks_available")
        })
        .await;
    assert_eq!(house.status(&token).await, 200);
}

#[tokio::test]
async fn without_any_key_of_any_kind_an_instance_is_not_ready() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    issuer.down(true);
    let house = House::with(|setup| {
        setup.config(&issuer.config(AS_SUPPORT));
        setup.set("auth.api_keys.enabled", "false");
    })
    .await;
    let stranger = house.stranger(None);
    assert_eq!(stranger.get("/readyz").await.status, 503);
    issuer.down(false);
    house.signal("-HUP");
    house
        .recorded("the keys", |line| {
            let reason = line["reason"].as_str().unwrap_or_default();
            reason.starts_with("jwks_available")
        })
        .await;
    assert_eq!(stranger.get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_whether_the_keys_can_be_fetched() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    let file = house.file("zoho-mcp.toml");
    let check = || {
        let checked = command(&["check", "--online", "--config", file.to_str().unwrap()]);
        String::from_utf8_lossy(&checked.stdout).into_owned()
            + &String::from_utf8_lossy(&checked.stderr)
    };
    let said = check();
    assert!(
        said.contains(&format!("tokens: 1 keys of {}", issuer.url)),
        "{said}"
    );
    issuer.down(true);
    let said = check();
    assert!(
        said.contains("could not fetch the keys") && said.contains("503"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_that_is_none_is_told_apart() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    let file = house.file("zoho-mcp.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    for (path, says) in [
        ("/redirect", "the answer was 307"),
        ("/huge", "larger than 64 KiB"),
        ("/html", "not a JSON object"),
        ("/twice", "not a JSON object"),
        ("/secret", "none of the keys can be used"),
    ] {
        std::fs::write(&file, good.replace("/jwks", path)).unwrap();
        let checked = command(&["check", "--online", "--config", file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(said.contains(says), "{path}: {said}");
    }
}

#[tokio::test]
async fn a_public_key_in_a_file_is_replaced_without_refusing_anybody() {
    let [old, new] = ["old", "new"].map(|id| Key::new(id, Algorithm::EdDSA));
    let issuer = Issuer::start(&[]).await;
    let house = House::with(|setup| {
        let url = &issuer.url;
        setup.config(&format!(
            "[[auth.jwt]]\nissuer = \"{url}\"\naudience = \"{AUDIENCE}\"\n\
             public_key = \"file:issuer.pem\"\n{AS_SUPPORT}\n"
        ));
        setup.file("issuer.pem", &old.public_pem);
        setup.set("limits.failed_logins", "{ requests = 1000, per = \"1m\" }");
    })
    .await;
    let (of_old, of_new) = (issuer.token(&old, json!({})), issuer.token(&new, json!({})));
    let statuses = async || [house.status(&of_old).await, house.status(&of_new).await];
    assert_eq!(statuses().await, [200, 401]);
    let steps = [
        (format!("{}{}", old.public_pem, new.public_pem), [200, 200]),
        (new.public_pem.clone(), [401, 200]),
    ];
    for (n, (file, wanted)) in steps.into_iter().enumerate() {
        house.replace("issuer.pem", &file);
        eventually("another reload", || {
            (house.events("config_reload").len() > n).then_some(())
        })
        .await;
        assert_eq!(statuses().await, wanted, "{file}");
    }
}

#[tokio::test]
async fn known_keys_go_on_until_those_at_a_new_address_were_fetched() {
    let [own, next] = ["own", "next"].map(|id| Key::new(id, Algorithm::ES256));
    let (issuer, moved) = (Issuer::start(&[&own]).await, Issuer::start(&[&next]).await);
    let house = House::behind(&issuer).await;
    let token = issuer.token(&own, json!({}));
    assert_eq!(house.status(&token).await, 200);
    moved.down(true);
    let file = house.file("zoho-mcp.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let address = |issuer: &Issuer| format!("jwks = \"{}/jwks\"", issuer.url);
    assert!(text.contains(&address(&issuer)));
    let text = text.replace(&address(&issuer), &address(&moved));
    house.replace("zoho-mcp.toml", &text);
    house.signal("-HUP");
    house.event("config_reload").await;
    assert_eq!(house.status(&token).await, 200);
    moved.down(false);
    house.signal("-HUP");
    let changed = |line: &Value| {
        let reason = line["reason"].as_str().unwrap_or_default();
        reason.starts_with("jwks_changed")
    };
    house.recorded("the keys of the new address", changed).await;
    assert_eq!(house.status(&token).await, 401);
    let token = issuer.token(&next, json!({}));
    assert_eq!(house.status(&token).await, 200);
}
