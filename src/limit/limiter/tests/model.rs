//! Beside a model that has no windows.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const CLIENTS: [&str; 3] = ["one", "two", "big"];

fn call(client: usize, user: usize, tool: usize, id: u64) -> Call<'static> {
    Call {
        client: CLIENTS[client],
        user: [None, Some("ann"), Some("bob")][user],
        tool: [None, Some("search"), Some("report")][tool],
        id,
    }
}

/// What was admitted, told without windows: each dimension's calls in a plain list.
#[derive(Default)]
struct Naive(Vec<(&'static str, String, u64, u64)>);

impl Naive {
    fn dimensions(
        call: &Call<'_>,
        client: u32,
        tool: u32,
    ) -> Vec<(&'static str, String, u32, u64)> {
        let mut all = vec![("global", String::new(), 8, 1_000)];
        all.push(match call.client {
            "big" => ("client", "big".to_owned(), 50, 1_000),
            name => ("client", name.to_owned(), client, 700),
        });
        all.extend(call.user.map(|user| ("user", user.to_owned(), 3, 500)));
        if call.tool == Some("report") {
            all.push(("client:tool", call.client.to_owned(), tool, 2_000));
        }
        all
    }

    fn refusing(&self, now: u64, call: &Call<'_>, client: u32, tool: u32) -> Vec<&'static str> {
        let mut refusing = Vec::new();
        for (name, whose, limit, span) in Self::dimensions(call, client, tool) {
            let inside: HashSet<u64> = self
                .0
                .iter()
                .filter(|(n, w, at, _)| *n == name && *w == whose && at + span > now)
                .map(|(.., id)| *id)
                .collect();
            if inside.len() >= limit as usize && !inside.contains(&call.id) {
                refusing.push(name);
            }
        }
        refusing
    }

    fn admit(&mut self, now: u64, call: &Call<'_>, client: u32, tool: u32) {
        for (name, whose, _, span) in Self::dimensions(call, client, tool) {
            let known = |(n, w, at, id): &(&str, String, u64, u64)| {
                *n == name && *w == whose && *id == call.id && at + span > now
            };
            if !self.0.iter().any(known) {
                self.0.push((name, whose, now, call.id));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn it_admits_what_a_naive_model_admits(
        (client, tool) in (1_u32..6, 1_u32..4),
        calls in proptest::collection::vec(
            (0_u64..300, 0_usize..3, 0_usize..3, 0_usize..3, 0_u64..60),
            1..80,
        ),
    ) {
        let limiter = Limiter::new(rules(8, client, tool));
        let mut naive = Naive::default();
        let mut now = 0;
        for (gap, who, user, what, id) in calls {
            now += gap;
            let call = call(who, user, what, id);
            let refusing = naive.refusing(now, &call, client, tool);
            let verdict = ask(&limiter, now, &call);
            prop_assert_eq!(verdict.violated().collect::<Vec<_>>(), refusing.clone());
            prop_assert_eq!(verdict.is_admitted(), refusing.is_empty());
            if let Some(wait) = wait(&verdict) {
                let back = naive.refusing(now + wait, &call, client, tool);
                prop_assert!(back.is_empty(), "back in {wait} ms: {back:?}");
                let early = naive.refusing(now + wait - 1, &call, client, tool);
                prop_assert!(!early.is_empty());
            } else {
                naive.admit(now, &call, client, tool);
            }
        }
    }

    #[test]
    fn coming_back_as_told_is_admitted_and_a_millisecond_earlier_is_not(
        calls in proptest::collection::vec((0_u64..200, 0_usize..3, 0_usize..3, 0_usize..3), 1..60),
    ) {
        let limiter = Limiter::new(rules(8, 3, 1));
        let mut now = 0;
        for (id, (gap, who, user, what)) in (0..).zip(calls) {
            now += gap;
            let call = call(who, user, what, id);
            if let Some(wait) = wait(&ask(&limiter, now, &call)) {
                prop_assert!(!ask(&limiter, now + wait - 1, &call).is_admitted());
                now += wait;
                prop_assert!(ask(&limiter, now, &call).is_admitted());
            }
        }
    }
}
