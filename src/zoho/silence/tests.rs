use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;

use super::*;
use crate::{
    setting::Span,
    zoho::{
        Problem, Scope, State, Zoho, ZohoError,
        scripted::{
            INVALID_TOKEN, NOTED, ONE, Say, Scripted, Seen, call, contact, credentials, note, say,
        },
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// A client with two places, whose requests have longer than a silence lasts.
fn zoho(server: &Scripted) -> Zoho {
    let mut config = server.config();
    config.concurrency = NonZeroU32::new(2).unwrap();
    config.request_timeout = Span::millis(30_000);
    Zoho::new(&config, credentials()).unwrap()
}

fn answer(seen: &Seen) -> Say {
    match (&seen.authorization, &*seen.method) {
        (None, _) => say(401, INVALID_TOKEN),
        (_, "POST") => say(201, NOTED),
        _ => say(200, ONE),
    }
}

/// What a patient call comes to, and after how long.
async fn patient(zoho: &Zoho) -> (Result<(), ZohoError>, Duration) {
    let began = Instant::now();
    let found = contact(&zoho.view(&Scope::Org, began + 25 * SECOND)).await;
    (found.map(drop), began.elapsed())
}

fn is_told<T>(result: &Result<T, ZohoError>) -> bool {
    let problem = Problem::CircuitOpen;
    matches!(result, Err(ZohoError::Unavailable { problem: told }) if *told == problem)
}

/// Requests with a token.
fn asked(server: &Scripted) -> usize {
    let asked = server.asked();
    asked.iter().filter(|it| it.authorization.is_some()).count()
}

#[tokio::test]
async fn a_silence_is_told_of_soon_and_what_was_lost_in_it_is_asked_again() {
    let away = Arc::new(AtomicBool::new(false));
    let is_away = Arc::clone(&away);
    let server = Scripted::start(move |seen, _| match is_away.load(Ordering::Relaxed) {
        true => Say::Stall(""),
        false => answer(seen),
    })
    .await;
    let zoho = zoho(&server);
    contact(&call(&zoho)).await.unwrap();
    away.store(true, Ordering::Relaxed);
    let write = async {
        let crm = zoho.view(&Scope::Org, Instant::now() + 25 * SECOND);
        note(&crm).await
    };
    let mends = async {
        while zoho.status().state != State::Down {
            sleep(SECOND / 20).await;
        }
        let (told, took) = patient(&zoho).await;
        assert!(is_told(&told) && took < SECOND, "{told:?} {took:?}");
        assert_eq!(asked(&server), 3, "two that had places");
        away.store(false, Ordering::Relaxed);
        let mended = Instant::now();
        while patient(&zoho).await.0.is_err() {
            sleep(SECOND / 20).await;
        }
        assert!(mended.elapsed() < 5 * SECOND, "{:?}", mended.elapsed());
    };
    let began = Instant::now();
    let reads = join_all((0..5).map(|_| patient(&zoho)));
    let (written, reads, ()) = tokio::join!(write, reads, mends);
    assert!(matches!(written, Err(ZohoError::Ambiguous { .. })));
    let told: Vec<_> = reads.iter().filter(|(it, _)| is_told(it)).collect();
    let answered = reads.iter().filter(|(it, _)| it.is_ok()).count();
    assert_eq!((told.len(), answered), (4, 1), "{reads:?}");
    assert!(told.iter().all(|(_, took)| *took < 6 * SECOND), "{told:?}");
    assert!(began.elapsed() < 15 * SECOND, "{:?}", began.elapsed());
    assert_eq!(zoho.status().state, State::Ok);
}

#[tokio::test]
async fn a_zoho_that_fails_to_answer_without_a_token_is_found_again_by_a_request() {
    let away = Arc::new(AtomicBool::new(false));
    let is_away = Arc::clone(&away);
    let server = Scripted::start(move |seen, _| {
        match (&seen.authorization, is_away.load(Ordering::Relaxed)) {
            (None, _) => say(503, ""),
            (Some(_), true) => Say::Stall(""),
            (Some(_), false) => answer(seen),
        }
    })
    .await;
    let mut config = server.config();
    config.request_timeout = Span::millis(5_000);
    let zoho = Zoho::new(&config, credentials()).unwrap();
    contact(&call(&zoho)).await.unwrap();
    away.store(true, Ordering::Relaxed);
    // None of these is answered any more.
    let lost = join_all((0..4).map(|_| patient(&zoho))).await;
    assert!(lost.iter().all(|(it, _)| it.is_err()), "{lost:?}");
    away.store(false, Ordering::Relaxed);
    let mended = Instant::now();
    while patient(&zoho).await.0.is_err() {
        assert!(mended.elapsed() < 5 * SECOND);
        sleep(SECOND / 20).await;
    }
    patient(&zoho).await.0.unwrap();
}

#[tokio::test]
async fn who_waits_for_a_slow_zoho_is_answered() {
    let late = |_: &Seen, _| Say::Late(SECOND * 5 / 2, ONE.into());
    let server = Scripted::start(late).await;
    let zoho = zoho(&server);
    let calls = join_all((0..4).map(|_| patient(&zoho))).await;
    assert!(calls.iter().all(|(it, _)| it.is_ok()), "{calls:?}");
}

#[tokio::test]
async fn what_a_zoho_that_turned_slow_answers_after_others_were_told_is_not_lost() {
    let server = Scripted::start(|_, _| Say::Late(5 * SECOND, ONE.into())).await;
    let zoho = zoho(&server);
    let calls = join_all((0..4).map(|_| patient(&zoho))).await;
    let told = calls.iter().filter(|(it, _)| is_told(it)).count();
    let answered = calls.iter().filter(|(it, _)| it.is_ok()).count();
    assert_eq!((told, answered), (2, 2), "{calls:?}");
    assert_eq!((asked(&server), zoho.status().state), (2, State::Ok));
}

#[test]
fn many_have_to_wait_for_longer_than_is_usual() {
    let now = Instant::now();
    let silence = Silence::new(now);
    silence.heard(SECOND / 10, now);
    let few = [silence.begin(now), silence.begin(now)];
    assert!(few.iter().all(|(_, is_first)| !is_first));
    assert_eq!(silence.look(now + 9 * SECOND), Look::Over);
    let (third, is_first) = silence.begin(now + SECOND);
    assert!(is_first && !silence.begin(now + SECOND).1, "one watches");
    assert_eq!(silence.look(now + 5 * SECOND / 2), Look::Fine);
    assert_eq!(silence.look(now + 3 * SECOND), Look::Doubtful);
    for _ in 0..8 {
        silence.heard(6 * SECOND, now + 3 * SECOND);
    }
    assert_eq!(
        silence.look(now + 12 * SECOND),
        Look::Fine,
        "as slow as usual"
    );
    silence.heard(SECOND / 10, now + 12 * SECOND);
    assert_eq!(silence.look(now + 15 * SECOND), Look::Doubtful);
    drop(third);
    assert_eq!(silence.look(now + 15 * SECOND), Look::Over);
    assert!(
        silence.begin(now + 15 * SECOND).1,
        "and another one watches"
    );
}
