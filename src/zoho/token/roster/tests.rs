use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use uuid::Uuid;

use super::{
    super::{
        outcome::FORGIVEN_EVERY,
        stop::{Stop, Why},
    },
    *,
};
use crate::{
    telemetry::Trace,
    zoho::{
        Zoho, ZohoError,
        scripted::{ONE, Scripted, call, credentials, say, say_token},
    },
};

const OWN: &str = "1000.refresh";
const BO: &str = "1000.bo";

/// A document in which they have these refresh tokens, all of one CRM user.
fn people<'a>(named: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let person =
        |token| serde_json::json!({ "refresh_token": token, "user": "5725767000000411001" });
    let named = named.into_iter();
    let document: HashMap<_, _> = named.map(|(name, token)| (name, person(token))).collect();
    serde_json::to_vec(&document).unwrap()
}

/// Others than the daemon has at first, with that client.
fn others(client: &str, token: &str) -> Credentials {
    Credentials {
        client_id: client.into(),
        refresh_token: token.into(),
        ..credentials()
    }
}

/// Has a token for a person, or for the daemon itself, and loses it again.
async fn spend(zoho: &Zoho, person: Option<&str>) -> Result<(), ZohoError> {
    let call = call(zoho);
    let tokens = match person {
        Some(name) => call.tokens_of(name).await?,
        None => zoho.inner.tokens(),
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let token = tokens.get(deadline, &Trace::default()).await?;
    tokens.forget(&token);
    Ok(())
}

fn is_held_back(spent: &Result<(), ZohoError>) -> bool {
    matches!(spent, Err(ZohoError::TokenThrottled { .. }))
}

/// A Zoho that says so of the refresh token of that name, while that is so.
async fn refusing(token: &'static str, error: &'static str) -> (Scripted, Arc<AtomicBool>) {
    let refuses = Arc::new(AtomicBool::new(true));
    let is_so = Arc::clone(&refuses);
    let server = Scripted::with_minted(
        |_, _| say(200, ONE),
        move |seen, n| match seen.body.contains(token) && is_so.load(Ordering::Relaxed) {
            true => say(400, &format!(r#"{{"error":"{error}"}}"#)),
            false => say_token(&format!("t{n}"), 3600),
        },
    )
    .await;
    (server, refuses)
}

#[tokio::test]
async fn a_refresh_token_under_several_names_is_shown_ten_times_in_ten_minutes() {
    for token in [BO, OWN] {
        let server = Scripted::start(|_, _| say(200, ONE)).await;
        let zoho = server.zoho();
        zoho.replace_people(&people([("a", token), ("b", token)]))
            .unwrap();
        let mut everybody = vec![Some("a"), Some("b")];
        everybody.extend((token == OWN).then_some(None));
        for name in everybody.iter().cycle().take(36) {
            let _ = spend(&zoho, *name).await;
        }
        for name in everybody {
            assert!(is_held_back(&spend(&zoho, name).await), "{name:?}");
        }
        assert_eq!(server.mints(), 10, "{token}");
    }
}

#[tokio::test]
async fn a_person_who_is_renamed_or_taken_out_and_put_back_does_not_begin_anew() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let zoho = server.zoho();
    for name in ["a", "b", "a", "c"] {
        zoho.replace_people(&people([(name, BO)])).unwrap();
        for _ in 0..3 {
            let _ = spend(&zoho, Some(name)).await;
        }
        if name == "b" {
            zoho.replace_people(b"{}").unwrap();
        }
    }
    assert!(is_held_back(&spend(&zoho, Some("c")).await));
    assert_eq!(server.mints(), 10);
}

#[tokio::test]
async fn the_daemons_credentials_are_not_shown_in_a_denial_although_others_were_in_their_place() {
    let (server, _) = refusing(OWN, "Access Denied").await;
    let zoho = server.zoho();
    assert!(is_held_back(&spend(&zoho, None).await));
    for _ in 0..3 {
        zoho.replace_credentials(others("1000.CLIENT", "1000.other"), false)
            .await;
        assert!(spend(&zoho, None).await.is_ok());
        zoho.replace_credentials(credentials(), false).await;
        assert!(is_held_back(&spend(&zoho, None).await));
    }
    assert_eq!(server.mints(), 4);
}

#[tokio::test]
async fn people_are_not_asked_for_in_a_denial_although_the_daemon_had_another_client() {
    let (server, _) = refusing(BO, "Access Denied").await;
    let zoho = server.zoho();
    zoho.replace_people(&people([("bo", BO)])).unwrap();
    for clients in 1..=2 {
        for credentials in [credentials(), others("1000.OTHER", OWN)] {
            zoho.replace_credentials(credentials, false).await;
            assert!(is_held_back(&spend(&zoho, Some("bo")).await), "{clients}");
        }
    }
    assert_eq!(server.mints(), 1, "the refresh token is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_the_daemons_client_that_change_at_once_are_both_the_new_ones() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let zoho = server.zoho();
    for round in 0..100 {
        let named: Vec<_> = (0..100).map(|n| format!("{round}.{n}")).collect();
        let document = people(named.iter().map(|it| (&**it, &**it)));
        let client = format!("1000.{round}");
        let replacing = {
            let zoho = zoho.clone();
            tokio::task::spawn_blocking(move || zoho.replace_people(&document))
        };
        zoho.replace_credentials(others(&client, OWN), false).await;
        replacing.await.unwrap().unwrap();
        let tokens = call(&zoho).tokens_of(&named[0]).await.unwrap();
        assert_eq!(tokens.credentials().client_id, client);
    }
}

#[tokio::test]
async fn refused_credentials_that_are_put_back_are_shown_once_more() {
    let (server, refuses) = refusing(OWN, "invalid_code").await;
    let zoho = server.zoho();
    for _ in 0..2 {
        let refused = spend(&zoho, None).await;
        assert!(matches!(refused, Err(ZohoError::Credentials { .. })));
    }
    assert_eq!(server.mints(), 1);
    refuses.store(false, Ordering::Relaxed);
    zoho.replace_credentials(others("1000.CLIENT", "1000.other"), false)
        .await;
    zoho.replace_credentials(credentials(), false).await;
    assert!(spend(&zoho, None).await.is_ok());
    assert_eq!(server.mints(), 2);
}

#[tokio::test]
async fn an_operator_has_refused_credentials_shown_once_more_in_two_minutes() {
    let (server, _) = refusing(OWN, "invalid_code").await;
    let zoho = server.zoho();
    let reloaded = async || {
        zoho.replace_credentials(credentials(), true).await;
        spend(&zoho, None).await
    };
    for _ in 0..6 {
        let refused = reloaded().await;
        assert!(matches!(refused, Err(ZohoError::Credentials { .. })));
        assert!(zoho.inner.tokens().refused_for_good());
    }
    assert_eq!(server.mints(), 2);
    lock(&zoho.inner.tokens().0.state).forgiven = Instant::now().checked_sub(FORGIVEN_EVERY);
    assert!(reloaded().await.is_err());
    assert_eq!(server.mints(), 3);
}

#[tokio::test]
async fn refused_credentials_are_told_to_be_that_although_no_slot_is_left_to_show_them() {
    let (server, _) = refusing(OWN, "invalid_code").await;
    let zoho = server.zoho();
    for _ in 0..12 {
        let refused = spend(&zoho, None).await;
        assert!(matches!(refused, Err(ZohoError::Credentials { .. })));
        assert!(zoho.inner.tokens().refused_for_good());
        assert!(!zoho.inner.tokens().throttled(Instant::now()));
        for credentials in [others("1000.CLIENT", "1000.other"), credentials()] {
            zoho.replace_credentials(credentials, false).await;
        }
    }
    assert_eq!(server.mints(), 10);
}

#[tokio::test]
async fn a_credential_that_two_people_have_serves_the_one_whose_it_is_alone() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let zoho = server.zoho();
    let document = format!(
        r#"{{"a": {{"refresh_token":"{BO}","user":"5725767000000411001"}},
             "b": {{"refresh_token":"{BO}","user":"7"}}}}"#
    );
    zoho.replace_people(document.as_bytes()).unwrap();
    for _ in 0..2 {
        assert!(spend(&zoho, Some("a")).await.is_ok());
        let foreign = spend(&zoho, Some("b")).await;
        assert!(matches!(foreign, Err(ZohoError::User(_))), "{foreign:?}");
    }
}

#[tokio::test]
async fn ten_thousand_people_are_exchanged_again_and_again_and_no_more_are_kept_than_twice_that() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let zoho = server.zoho();
    let roster = &zoho.inner.roster;
    let count = || lock(&roster.known).len();
    let exchange = |round: usize| {
        let named: Vec<_> = (0..10_000).map(|n| format!("{round}.{n}")).collect();
        let named = named.iter().map(|it| (&**it, &**it));
        zoho.replace_people(&people(named)).unwrap();
    };
    exchange(0);
    exchange(1);
    assert_eq!(count(), 10_001, "who asked for nothing is forgotten");
    let now = Instant::now();
    let until = now + Duration::from_secs(900);
    let denied = roster.of(others("1000.CLIENT", "1.7"));
    lock(&denied.0.state).stop = Some(Stop {
        why: Why::Throttled,
        until: Some(until),
        again: None,
    });
    drop(denied);
    for round in 2..5 {
        for tokens in lock(&roster.known).values() {
            let asked = lock(&tokens.0.mints).apart(Uuid::new_v4(), 1, now);
            assert!(asked.is_ok() || round > 2);
        }
        exchange(round);
        assert!((20_000..=20_001).contains(&count()), "{}", count());
    }
    let is_denied = || {
        let known = lock(&roster.known);
        known.contains_key(&roster.own().name(&others("1000.CLIENT", "1.7")))
    };
    assert!(is_denied());
    roster.tidy(until - Duration::from_secs(1));
    assert!(is_denied() && count() == 10_002, "{}", count());
    roster.tidy(until);
    assert_eq!(count(), 10_001);
}

/// The daemon's own, with a client secret of that name.
fn with_secret(secret: &str) -> Credentials {
    Credentials {
        client_secret: secret.into(),
        ..credentials()
    }
}

#[tokio::test]
async fn a_refresh_token_with_another_secret_does_not_begin_anew() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let zoho = server.zoho();
    for round in 0..4 {
        for _ in 0..3 {
            let _ = spend(&zoho, None).await;
        }
        let rotated = with_secret(&format!("secret {round}"));
        zoho.replace_credentials(rotated, false).await;
    }
    assert!(is_held_back(&spend(&zoho, None).await));
    assert_eq!(server.mints(), 10);
}

#[tokio::test]
async fn a_refresh_token_that_is_denied_is_not_shown_with_another_secret() {
    let (server, _) = refusing(OWN, "Access Denied").await;
    let zoho = server.zoho();
    assert!(is_held_back(&spend(&zoho, None).await));
    for rotated in [with_secret("another"), credentials()] {
        zoho.replace_credentials(rotated, false).await;
        assert!(is_held_back(&spend(&zoho, None).await));
    }
    assert_eq!(server.mints(), 1);
}
