//! Whole exchanges about the access token.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    Scope, State, ZohoError,
    scripted::{
        INVALID_TOKEN, NOTED, ONE, Say, Scripted, Seen, call, contact, credentials, note, say,
        say_token,
    },
};

const ACCOUNT: &str = r#"{"data":[{"id":"5725767000000411001","Account_Name":"Zylker"}]}"#;

#[tokio::test]
async fn fifty_calls_at_once_need_one_token() {
    let server = Scripted::with_tokens(
        |_, _| say(200, ONE),
        |_| Say::Late(Duration::from_millis(50), r#"{"access_token":"t1"}"#.into()),
    )
    .await;
    let zoho = server.zoho();
    let calls = join_all((0..50).map(|_| async { contact(&call(&zoho)).await })).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!((server.mints(), server.asked().len()), (1, 50));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_refresh() {
    let server = Scripted::with_tokens(
        |_, _| say(200, ONE),
        |_| {
            Say::Late(
                Duration::from_millis(150),
                r#"{"access_token":"t1"}"#.into(),
            )
        },
    )
    .await;
    let zoho = server.zoho();
    let hasty = zoho.view(&Scope::Org, Instant::now() + Duration::from_millis(30));
    let result = contact(&hasty).await;
    assert!(matches!(result, Err(ZohoError::DeadlineExceeded)));
    assert_eq!(hasty.credits(), 0);
    assert!(contact(&call(&zoho)).await.is_ok());
    assert_eq!(server.mints(), 1);
}

#[tokio::test]
async fn a_token_taken_back_is_replaced_once_for_reads_and_writes() {
    let stale = |good: &'static str, status| {
        move |seen: &Seen, _| match seen.authorization.as_deref() {
            Some("Zoho-oauthtoken t1") => say(401, INVALID_TOKEN),
            _ => say(status, good),
        }
    };
    let server = Scripted::start(stale(ONE, 200)).await;
    let crm = call(&server.zoho());
    assert!(contact(&crm).await.is_ok());
    assert_eq!(
        (server.mints(), server.asked().len(), crm.credits()),
        (2, 2, 2)
    );
    let server = Scripted::start(stale(NOTED, 201)).await;
    assert_eq!(note(&call(&server.zoho())).await.unwrap().id.as_str(), "57");
    assert_eq!((server.mints(), server.asked().len()), (2, 2));
}

#[tokio::test]
async fn a_token_that_is_never_taken_is_tried_again_after_a_while() {
    let server = Scripted::start(|_, _| say(401, INVALID_TOKEN)).await;
    let zoho = server.zoho();
    for _ in 0..20 {
        match contact(&call(&zoho)).await {
            Err(ZohoError::TokenRefused { retry_after }) => assert!(retry_after.as_secs() <= 2),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((server.mints(), server.asked().len()), (2, 3));
    assert_eq!(zoho.status().state, State::TokenRefused);
    while server.mints() < 3 {
        assert!(contact(&call(&zoho)).await.is_err());
    }
    assert!(contact(&call(&zoho)).await.is_err());
    assert_eq!(server.mints(), 3, "one for each pause");
}

#[tokio::test]
async fn a_request_refused_once_is_sent_again_and_its_token_replaced_only_when_it_is_taken_back() {
    let (asked, revoked) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let is_revoked = Arc::clone(&revoked);
    let answer = move |seen: &Seen, _| {
        let is_old = seen.authorization.as_deref() == Some("Zoho-oauthtoken t1");
        let is_account = seen.target.starts_with("/crm/v8/Accounts/");
        match is_account {
            _ if is_old && is_revoked.load(Ordering::Relaxed) => say(401, INVALID_TOKEN),
            true if asked.fetch_add(1, Ordering::Relaxed) == 0 => say(401, INVALID_TOKEN),
            true => say(200, ACCOUNT),
            false => say(200, ONE),
        }
    };
    let server = Scripted::start(answer).await;
    let (zoho, id) = (server.zoho(), "5725767000000411001".parse().unwrap());
    assert!(contact(&call(&zoho)).await.is_ok());
    call(&zoho).account(&id).await.unwrap();
    assert_eq!((server.mints(), server.asked().len()), (1, 4));
    revoked.store(true, Ordering::Relaxed);
    assert!(contact(&call(&zoho)).await.is_ok());
    assert_eq!(server.mints(), 2);
}

#[tokio::test]
async fn one_kind_of_request_that_is_always_refused_fails_alone() {
    let answer = |seen: &Seen, _| match seen.target.starts_with("/crm/v8/Accounts/") {
        true => say(401, INVALID_TOKEN),
        false => say(200, ONE),
    };
    let server = Scripted::start(answer).await;
    let (zoho, id) = (server.zoho(), "5725767000000411001".parse().unwrap());
    for _ in 0..8 {
        let refused = call(&zoho).account(&id).await;
        assert!(
            matches!(refused, Err(ZohoError::TokenRefused { .. })),
            "{refused:?}"
        );
        assert!(contact(&call(&zoho)).await.is_ok());
        assert_eq!(zoho.status().state, State::Ok);
    }
    assert_eq!(server.mints(), 2);
    let asked = |path: &str| {
        let asked = server.asked();
        asked
            .iter()
            .filter(|seen| seen.target.contains(path))
            .count()
    };
    assert_eq!(
        (asked("/Accounts/"), asked("/org")),
        (9, 1),
        "{:?}",
        server.asked()
    );
}

#[tokio::test]
async fn refused_credentials_are_not_tried_again_at_once() {
    let server = Scripted::with_tokens(
        |_, _| say(200, ONE),
        |_| say(200, r#"{"error":"invalid_code"}"#),
    )
    .await;
    let zoho = server.zoho();
    for _ in 0..20 {
        let result = contact(&call(&zoho)).await;
        assert!(
            matches!(result, Err(ZohoError::Credentials { .. })),
            "{result:?}"
        );
    }
    assert_eq!((server.mints(), server.asked().len()), (1, 0));
    assert_eq!(zoho.status().state, State::CredentialsRefused);
}

#[tokio::test]
async fn a_throttled_mint_holds_everyone_back() {
    let denied = r#"{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}"#;
    let server = Scripted::with_tokens(|_, _| say(200, ONE), move |_| say(400, denied)).await;
    let zoho = server.zoho();
    for _ in 0..5 {
        match contact(&call(&zoho)).await {
            Err(ZohoError::TokenThrottled { retry_after }) => {
                assert!(retry_after.as_secs() > 290);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.mints(), 1);
}

#[tokio::test]
async fn when_zoho_is_back_nobody_waits_for_the_next_try() {
    static AWAY: AtomicBool = AtomicBool::new(true);
    let or_away = |body: &'static str| match AWAY.load(Ordering::Relaxed) {
        true => say(503, "<html>maintenance</html>"),
        false => say(200, body),
    };
    let tokens = move |_| or_away(r#"{"access_token":"t1"}"#);
    let server = Scripted::with_tokens(move |_, _| or_away(ONE), tokens).await;
    let zoho = server.zoho();
    for _ in 0..2 {
        assert!(contact(&call(&zoho)).await.is_err());
    }
    assert_eq!(zoho.probe(Duration::ZERO).await.state, State::Down);
    let tries = server.mints();
    AWAY.store(false, Ordering::Relaxed);
    zoho.probe(Duration::ZERO).await;
    assert!(contact(&call(&zoho)).await.is_ok());
    assert_eq!(server.mints(), tries + 1);
}

#[tokio::test]
async fn nothing_but_the_token_endpoint_decides_when_a_token_comes() {
    let elsewhere = |seen: &Seen, _| match seen.target.starts_with("/crm/") {
        true => say(200, ONE),
        false => say(503, "<html>maintenance</html>"),
    };
    let tokens = |n| match n {
        0 => say(503, ""),
        _ => say_token("t1", 3600),
    };
    let server = Scripted::with_tokens(elsewhere, tokens).await;
    assert!(contact(&call(&server.zoho())).await.is_ok());
    assert_eq!((server.mints(), server.asked().len()), (2, 1));
}

#[tokio::test]
async fn a_moment_without_tokens_is_waited_out_by_reads_and_writes() {
    for broken in ["<html>maintenance</html>", r#"{"error":"server_error"}"#] {
        let server = Scripted::with_tokens(
            |seen, _| match seen.body.is_empty() {
                true => say(200, ONE),
                false => say(201, NOTED),
            },
            move |n| match n {
                0 | 1 => say(503, broken),
                _ => say_token("t1", 3600),
            },
        )
        .await;
        let zoho = server.zoho();
        let (one, other) = (call(&zoho), call(&zoho));
        let (read, written) = tokio::join!(contact(&one), note(&other));
        assert!(read.is_ok() && written.is_ok(), "{read:?}");
        assert_eq!(server.mints(), 3);
    }
}

#[tokio::test]
async fn who_is_in_a_hurry_does_not_wait_for_tokens_to_come_back() {
    let server = Scripted::with_tokens(|_, _| say(200, ONE), |_| say(503, "")).await;
    let (zoho, began) = (server.zoho(), Instant::now());
    let hasty = zoho.view(&Scope::Org, began + Duration::from_millis(300));
    assert!(contact(&hasty).await.is_err());
    assert!(began.elapsed() < Duration::from_millis(450));
}

#[tokio::test]
async fn what_lasts_is_told_at_once() {
    let server = Scripted::with_tokens(|_, _| say(200, ONE), |_| Say::HangUp).await;
    let zoho = server.zoho();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(16) && server.mints() < 5 {
        assert!(contact(&call(&zoho)).await.is_err());
    }
    let late = Instant::now();
    assert!(contact(&call(&zoho)).await.is_err());
    assert!(
        late.elapsed() < Duration::from_secs(4),
        "{:?}",
        late.elapsed()
    );
}

#[tokio::test]
async fn an_empty_token_is_none_and_a_life_may_be_text() {
    let server = Scripted::with_tokens(
        |_, _| say(200, ONE),
        |_| say(200, r#"{"access_token":"","expires_in":3600}"#),
    )
    .await;
    let result = contact(&call(&server.zoho())).await;
    assert!(
        matches!(result, Err(ZohoError::NoToken { .. })),
        "{result:?}"
    );
    assert!(server.asked().is_empty());
    let server = Scripted::with_tokens(
        |_, _| say(200, ONE),
        |_| say(200, r#"{"access_token":"t1","expires_in":"3600"}"#),
    )
    .await;
    assert!(contact(&call(&server.zoho())).await.is_ok());
}

#[tokio::test]
async fn a_token_serves_whatever_is_odd_about_the_rest_of_its_answer() {
    for rest in [
        r#""expires_in":0"#,
        r#""expires_in":-1"#,
        r#""expires_in":1e18"#,
        r#""expires_in":{}"#,
        r#""api_domain":5"#,
        r#""api_domain":["https://evil.example"]"#,
        r#""api_domain":"https://evil.example""#,
        r#""error":7"#,
    ] {
        let answer = format!(r#"{{"access_token":"t1",{rest}}}"#);
        let server = Scripted::with_tokens(|_, _| say(200, ONE), move |_| say(200, &answer)).await;
        let zoho = server.zoho();
        for _ in 0..3 {
            assert!(contact(&call(&zoho)).await.is_ok(), "{rest}");
        }
        assert_eq!((server.mints(), server.asked().len()), (1, 3), "{rest}");
    }
}

#[test]
fn no_secret_shows_in_debug() {
    let shown = format!("{:?}", credentials());
    assert!(
        !shown.contains("s3cret") && !shown.contains("1000.refresh"),
        "{shown}"
    );
}

#[tokio::test]
async fn zoho_is_down_when_nobody_can_sign_in() {
    let server = Scripted::with_tokens(|_, _| say(200, ONE), |_| Say::HangUp).await;
    let zoho = server.zoho();
    assert!(contact(&call(&zoho)).await.is_err());
    assert_eq!(zoho.status().state, State::Down);
}

#[tokio::test]
async fn one_persons_missing_token_speaks_for_nobody_else() {
    let tokens = |n| match n {
        0 => say_token("t1", 3600),
        _ => say(503, ""),
    };
    let server = Scripted::with_tokens(|_, _| say(200, ONE), tokens).await;
    let zoho = server.zoho();
    let people = br#"{"b": {"refresh_token":"1000.bo","user":"5725767000000411001"}}"#;
    zoho.replace_people(people).unwrap();
    assert!(contact(&call(&zoho)).await.is_ok());
    let bo = zoho.view(
        &Scope::User("b".into()),
        Instant::now() + Duration::from_secs(10),
    );
    let missing = contact(&bo).await;
    assert!(
        matches!(missing, Err(ZohoError::NoToken { .. })),
        "{missing:?}"
    );
    assert_eq!(zoho.status().state, State::Ok);
}
