use super::*;
use crate::{
    auth::User,
    limit::{local::SWEEP_EVERY, rules::Config},
    setting::{LimitMode, OnStoreError, Quota},
};
use uuid::Uuid;

mod model;

fn rules(global: u32, client: u32, tool: u32) -> Rules {
    let config: Config = toml::from_str(&format!(
        "global = {{ requests = {global}, per = '1s' }}
         client = {{ requests = {client}, per = '700ms' }}
         user = {{ requests = 3, per = '500ms' }}
         tools = {{ report = {{ requests = {tool}, per = '2s' }} }}
         failed_logins = {{ requests = 10, per = '1m' }}
         in_flight = 2
         in_flight_total = 5
         on_store_error = 'local'
         answer = 'http'"
    ))
    .unwrap();
    let own = Quota {
        requests: 50.try_into().unwrap(),
        per: "1s".parse().unwrap(),
    };
    Rules::new(&config, [("big".into(), own.into())]).unwrap()
}

struct Call<'a> {
    client: &'a str,
    user: Option<&'a str>,
    tool: Option<&'a str>,
    id: u64,
}

fn by(client: &str, id: u64) -> Call<'_> {
    Call {
        client,
        user: None,
        tool: None,
        id,
    }
}

fn ask(limiter: &Limiter, now: u64, call: &Call<'_>) -> Verdict {
    ask_as(limiter, now, call, Alone::Whole)
}

fn ask_as(limiter: &Limiter, now: u64, call: &Call<'_>, alone: Alone) -> Verdict {
    let user = call.user.map(|subject| User {
        issuer: "https://issuer".into(),
        subject: subject.into(),
    });
    let subject = Subject {
        client: &call.client.into(),
        user: user.as_ref(),
        tool: call.tool,
        request_id: Uuid::from_u64_pair(7, call.id),
    };
    let claims = claims(&limiter.rules.load(), &subject);
    limiter.admit_alone(now, claims, &subject, alone)
}

fn wait(verdict: &Verdict) -> Option<u64> {
    verdict.retry_after().map(millis)
}

#[test]
fn a_flooding_client_takes_nothing_from_others() {
    let limiter = Limiter::new(rules(100, 10, 1));
    let mut honest = 0;
    for n in 0..1_000 {
        ask(&limiter, n, &by("flood", n));
        if n % 100 == 0 {
            honest += u32::from(ask(&limiter, n, &by("honest", 10_000 + n)).is_admitted());
        }
    }
    assert_eq!(honest, 10);
}

#[test]
fn a_call_refused_by_one_dimension_is_counted_in_none() {
    let limiter = Limiter::new(rules(10, 10, 1));
    let report = |id| Call {
        tool: Some("report"),
        ..by("one", id)
    };
    assert!(ask(&limiter, 0, &report(1)).is_admitted());
    for id in 2..50 {
        let verdict = ask(&limiter, 0, &report(id));
        assert_eq!(verdict.violated().collect::<Vec<_>>(), ["client:tool"]);
        let left: Vec<u32> = verdict.standings().iter().map(|it| it.remaining).collect();
        assert_eq!(left, [9, 9, 0]);
    }
    let search = |id| Call {
        tool: Some("search"),
        ..by("one", id)
    };
    assert_eq!(
        (50..99)
            .filter(|&id| ask(&limiter, 0, &search(id)).is_admitted())
            .count(),
        9
    );
}

#[test]
fn a_client_may_have_limits_of_its_own() {
    let limiter = Limiter::new(rules(100, 1, 1));
    let admitted = |client| {
        let calls = (0..60).filter(|&id| ask(&limiter, 0, &by(client, id)).is_admitted());
        calls.count()
    };
    assert_eq!((admitted("big"), admitted("small")), (50, 1));
}

#[test]
fn the_wait_is_that_of_the_dimension_that_waits_longest() {
    let limiter = Limiter::new(rules(100, 1, 1));
    let call = Call {
        tool: Some("report"),
        ..by("one", 1)
    };
    assert!(ask(&limiter, 0, &call).is_admitted());
    let verdict = ask(&limiter, 100, &Call { id: 2, ..call });
    assert_eq!(wait(&verdict), Some(1_900));
    assert_eq!(
        verdict.violated().collect::<Vec<_>>(),
        ["client", "client:tool"]
    );
    assert_eq!(verdict.retry_after_seconds(), Some(2));
}

#[test]
fn an_admitted_call_stands_with_itself_counted() {
    let limiter = Limiter::new(rules(100, 10, 1));
    let verdict = ask(&limiter, 0, &by("one", 1));
    let client = verdict.standings()[1];
    assert_eq!((client.name, client.remaining), ("client", 9));
    assert_eq!(client.reset, Duration::from_millis(700));
    let verdict = ask(&limiter, 300, &by("one", 2));
    let client = verdict.standings()[1];
    assert_eq!(
        (client.remaining, client.reset),
        (8, Duration::from_millis(400))
    );
    let again = ask(&limiter, 300, &by("one", 2));
    assert_eq!(
        again.standings()[1].remaining,
        8,
        "asked twice, counted once"
    );
}

#[test]
fn other_rules_hold_from_the_reload_on_and_what_was_counted_stays() {
    let limiter = Limiter::new(rules(100, 5, 1));
    assert!((0..5).all(|id| ask(&limiter, 0, &by("one", id)).is_admitted()));
    limiter.reload(rules(100, 6, 1));
    assert!(ask(&limiter, 1, &by("one", 5)).is_admitted());
    limiter.reload(rules(100, 2, 1));
    assert_eq!(wait(&ask(&limiter, 2, &by("one", 6))), Some(698));
}

#[test]
fn users_without_a_place_share_one_window_and_memory_stays_bounded() {
    let limiter = Limiter::new(rules(1_000_000, 1_000_000, 1));
    *limiter.windows() = Windows::with_capacity(50);
    let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let mut id = 0;
    let mut ask_as = |now: u64, name: &str| {
        id += 1;
        ask(
            &limiter,
            now,
            &Call {
                user: Some(name),
                ..by("one", id)
            },
        )
        .is_admitted()
    };
    let admitted = names.iter().filter(|name| ask_as(0, name)).count();
    assert_eq!(
        admitted,
        48 + 3,
        "48 beside the windows of all and of the client"
    );
    assert!(ask_as(0, "0"), "who has a place keeps it");
    assert!(
        ask_as(5_000, "999"),
        "places of those who are gone are given away"
    );
    assert!(limiter.windows().len() <= 51);
}

#[test]
fn windows_at_rest_are_swept() {
    let limiter = Limiter::new(rules(100, 5, 1));
    for (id, client) in (0..).zip(["one", "two", "three"]) {
        ask(&limiter, 0, &by(client, id));
    }
    ask(&limiter, SWEEP_EVERY + 2_000, &by("one", 9));
    assert_eq!(limiter.windows().len(), 2);
}

#[test]
fn what_redis_was_told_is_not_told_again_and_nothing_is_left_out() {
    let limiter = Limiter::new(rules(1_000, 1_000, 1_000));
    let (mut since, mut told) = (0, Vec::new());
    for round in 0..20 {
        // A clock that was read before the last telling, and one at the same moment.
        for (n, now) in [(0, round * 10 - round.min(1)), (1, round * 10)] {
            assert!(ask(&limiter, now, &by("c", round * 2 + n)).is_admitted());
        }
        let mut windows = limiter.windows();
        let (keys, until) = windows.newer(round * 10, since);
        assert_eq!(keys.len(), 2, "of everybody and of the client");
        let (_, calls) = windows.calls(round * 10, &keys[0], since).unwrap();
        assert!(calls.len() <= 4, "{calls:?}");
        told.extend(calls.into_iter().map(|(_, id)| id));
        assert!(windows.newer(round * 10, until + 1).0.is_empty());
        since = until;
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 40);
}

#[test]
fn a_clock_read_out_of_order_does_no_harm() {
    let limiter = Limiter::new(rules(100, 1, 1));
    assert!(ask(&limiter, 1_000, &by("one", 1)).is_admitted());
    assert_eq!(wait(&ask(&limiter, 900, &by("one", 2))), Some(700));
}

#[tokio::test]
async fn a_call_is_admitted_once_its_wait_is_over() {
    let limiter = Limiter::new(rules(100, 1, 1));
    let client: Arc<str> = "one".into();
    let subject = |id| Subject {
        client: &client,
        user: None,
        tool: None,
        request_id: Uuid::from_u64_pair(0, id),
    };
    assert!(limiter.admit(&subject(1)).await.verdict.is_admitted());
    let refused = limiter.admit(&subject(2)).await.verdict;
    tokio::time::sleep(refused.retry_after().unwrap()).await;
    assert!(limiter.admit(&subject(2)).await.verdict.is_admitted());
}

#[tokio::test]
async fn a_call_without_a_place_is_counted_nowhere() {
    let limiter = Limiter::new(rules(100, 3, 9));
    let client: Arc<str> = "one".into();
    let admit = async |id| {
        let subject = Subject {
            client: &client,
            user: None,
            tool: Some("search"),
            request_id: Uuid::from_u64_pair(0, id),
        };
        limiter.admit(&subject).await
    };
    let held = (admit(1).await, admit(2).await);
    assert!(held.0.in_flight.is_some() && held.1.in_flight.is_some());
    let busy = admit(3).await;
    assert!(busy.verdict.is_busy() && busy.in_flight.is_none());
    drop(held);
    assert!(admit(4).await.verdict.is_admitted(), "the third of three");
    assert!(!admit(5).await.verdict.is_admitted());
}

#[test]
fn an_instance_alone_keeps_its_share_and_knows_what_it_has_admitted() {
    let limiter = Limiter::new(rules(100, 10, 1));
    for id in 0..4 {
        assert!(ask(&limiter, 0, &by("one", id)).is_admitted());
    }
    let share = Alone::Share {
        replicas: 2,
        on_store_error: OnStoreError::Local,
    };
    assert!(ask_as(&limiter, 1, &by("one", 4), share).is_admitted());
    assert!(!ask_as(&limiter, 1, &by("one", 5), share).is_admitted());
}

#[test]
fn without_the_store_a_limit_is_open_or_closed_as_it_says() {
    let limiter = Limiter::new(rules(100, 2, 1));
    let alone = |on_store_error| Alone::Share {
        replicas: 2,
        on_store_error,
    };
    let closed = ask_as(&limiter, 0, &by("one", 1), alone(OnStoreError::Closed));
    assert_eq!(wait(&closed), Some(1_000));
    for id in 0..9 {
        let open = alone(OnStoreError::Open);
        assert!(ask_as(&limiter, 1, &by("one", id), open).is_admitted());
    }
    let back = ask(&limiter, 2, &by("one", 99));
    assert!(!back.is_admitted(), "what was admitted unasked counts");
}

#[test]
fn a_limit_that_only_watches_counts_what_it_would_have_admitted() {
    let limiter = Limiter::new(rules(100, 50, 2));
    let mut watching = (*limiter.rules.load_full()).clone();
    watching.client.mode = LimitMode::Shadow;
    watching.client.requests = 3.try_into().unwrap();
    limiter.reload(watching);
    let shadowed = |id| {
        let verdict = ask(&limiter, 0, &by("one", id));
        assert!(verdict.is_admitted());
        verdict.shadow_policy().is_some()
    };
    let over: Vec<u64> = (0..10).filter(|&id| shadowed(id)).collect();
    assert_eq!(over, [3, 4, 5, 6, 7, 8, 9]);
    assert!(ask(&limiter, 700, &by("one", 99)).shadow_policy().is_none());
}

#[test]
fn a_limit_that_only_watches_says_nothing_of_a_call_that_another_refuses() {
    let limiter = Limiter::new(rules(2, 50, 2));
    let mut watching = (*limiter.rules.load_full()).clone();
    watching.client.mode = LimitMode::Shadow;
    watching.client.requests = 1.try_into().unwrap();
    limiter.reload(watching);
    let told = |id| {
        let verdict = ask(&limiter, 0, &by("one", id));
        (verdict.is_admitted(), verdict.shadow_policy().is_some())
    };
    assert_eq!(told(1), (true, false));
    assert_eq!(told(2), (true, true));
    assert_eq!(told(3), (false, false));
}

#[test]
fn a_limit_that_only_watches_does_not_close_without_the_store() {
    let limiter = Limiter::new(rules(100, 4, 1));
    let mut watching = (*limiter.rules.load_full()).clone();
    watching.client.mode = LimitMode::Shadow;
    watching.client.on_store_error = Some(OnStoreError::Closed);
    limiter.reload(watching);
    let share = Alone::Share {
        replicas: 2,
        on_store_error: OnStoreError::Local,
    };
    let over: Vec<u64> = (1..=4)
        .filter(|&id| {
            let verdict = ask_as(&limiter, 0, &by("one", id), share);
            assert!(verdict.is_admitted());
            verdict.shadow_policy().is_some()
        })
        .collect();
    assert_eq!(over, [3, 4], "only what is above its share of two");
}
