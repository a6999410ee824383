//! Zoho was away and is back: how soon that is found out, and at what price.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Url;
use tokio::time::{Instant, sleep};

use super::{
    Scope, Zoho,
    http::is_there,
    scripted::{ONE, Say, Scripted, call, contact, say, say_token},
};

/// Far less than the pause that is left.
const SOON: Duration = Duration::from_secs(15);

/// A Zoho whose accounts server can be away.
async fn server(away: &Arc<AtomicBool>, absent: fn() -> Say) -> Scripted {
    let (elsewhere, here) = (Arc::clone(away), Arc::clone(away));
    Scripted::with_tokens(
        move |seen, _| match seen.is_look() {
            true if elsewhere.load(Ordering::Relaxed) => absent(),
            true => say(404, "{}"),
            false => say(200, ONE),
        },
        move |_| match here.load(Ordering::Relaxed) {
            true => absent(),
            false => say_token("t1", 3600),
        },
    )
    .await
}

/// How long it takes until the call goes well.
async fn until_served(zoho: &Zoho, scope: &Scope) -> Duration {
    let began = Instant::now();
    let ask = || zoho.view(scope, Instant::now() + Duration::from_secs(10));
    while contact(&ask()).await.is_err() {
        assert!(began.elapsed() < SOON * 2, "nobody was served");
        sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

async fn looks(server: &Scripted, looks: usize) {
    while server.looks() < looks {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn when_the_accounts_server_is_back_everybody_asks_it_at_once() {
    let away = Arc::new(AtomicBool::new(true));
    let server = server(&away, || say(503, "<html>maintenance</html>")).await;
    let zoho = server.zoho();
    let people = br#"{"b": {"refresh_token":"1000.bo","user":"5725767000000411001"}}"#;
    zoho.replace_people(people).unwrap();
    let bo = Scope::User("b".into());
    let as_bo = || zoho.view(&bo, Instant::now() + Duration::from_secs(10));
    while server.mints() < 6 {
        assert!(contact(&call(&zoho)).await.is_err());
        assert!(contact(&as_bo()).await.is_err());
    }
    looks(&server, 1).await;
    away.store(false, Ordering::Relaxed);
    for scope in [Scope::Org, bo] {
        let took = until_served(&zoho, &scope).await;
        assert!(took < SOON, "{took:?}");
    }
    assert_eq!(server.mints(), 8);
}

#[tokio::test]
async fn a_server_that_is_there_and_gives_no_token_is_asked_for_none_more_often() {
    let tokens = |_| say(503, "");
    let server = Scripted::with_tokens(|_, _| say(200, ONE), tokens).await;
    let zoho = server.zoho();
    while server.mints() < 3 {
        assert!(contact(&call(&zoho)).await.is_err());
    }
    let before = server.looks();
    looks(&server, before + 2).await;
    assert!(contact(&call(&zoho)).await.is_err());
    assert_eq!(server.mints(), 3);
}

#[tokio::test]
async fn a_server_that_is_back_before_it_gives_tokens_is_asked_again_soon() {
    let away = Arc::new(AtomicBool::new(true));
    let here = Arc::clone(&away);
    let server = Scripted::with_tokens(
        move |seen, _| match seen.is_look() && here.load(Ordering::Relaxed) {
            true => say(503, ""),
            false => say(200, ONE),
        },
        |n| match n {
            0..5 => say(503, ""),
            _ => say_token("t1", 3600),
        },
    )
    .await;
    let zoho = server.zoho();
    while server.mints() < 3 {
        assert!(contact(&call(&zoho)).await.is_err());
    }
    looks(&server, 1).await;
    away.store(false, Ordering::Relaxed);
    let took = until_served(&zoho, &Scope::Org).await;
    assert!(took < SOON, "{took:?}");
    assert_eq!(server.mints(), 6);
}

#[tokio::test]
async fn a_server_that_only_kept_silent_is_found_again_soon() {
    let away = Arc::new(AtomicBool::new(true));
    let server = server(&away, || Say::Stall("")).await;
    let http = server.zoho().inner.http.clone();
    let url = Url::parse(&format!("{}/oauth/v2/token", server.url)).unwrap();
    let began = Instant::now();
    let back = async {
        looks(&server, 1).await;
        away.store(false, Ordering::Relaxed);
    };
    let (found, ()) = tokio::join!(is_there(&http, &url, SOON * 4), back);
    assert!(found.is_some() && began.elapsed() < SOON);
}
