use super::*;

fn standing(name: &'static str, requests: u32, per: &str, remaining: u32, reset: u64) -> Standing {
    Standing {
        name,
        quota: Quota {
            requests: requests.try_into().unwrap(),
            per: per.parse().unwrap(),
        },
        remaining,
        reset: Duration::from_millis(reset),
        violated: remaining == 0,
        shadow: false,
    }
}

fn header(verdict: &Verdict, wanted: &str) -> Option<String> {
    verdict
        .headers()
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.to_str().unwrap().to_owned())
}

#[test]
fn an_admitted_call_is_told_what_is_left() {
    let verdict = Verdict::new(
        vec![
            standing("global", 500, "1m", 499, 60_000),
            standing("client", 60, "1m", 12, 30_001),
        ],
        None,
    );
    assert!(verdict.is_admitted());
    assert_eq!(
        header(&verdict, "ratelimit").unwrap(),
        "\"global\";r=499;t=60, \"client\";r=12;t=31"
    );
    assert_eq!(
        header(&verdict, "ratelimit-policy").unwrap(),
        "\"global\";q=500;w=60, \"client\";q=60;w=60"
    );
    assert_eq!(header(&verdict, "retry-after"), None);
}

#[test]
fn a_refusal_says_who_refuses_and_when_to_come_back() {
    let verdict = Verdict::new(
        vec![
            standing("global", 500, "1m", 3, 59_000),
            standing("client", 60, "1m", 0, 6_001),
        ],
        Some(Duration::from_millis(6_001)),
    );
    assert_eq!(
        verdict.message(),
        "Rate limit exceeded (client, 60 per 1m). Retry after 7 seconds."
    );
    assert_eq!(
        verdict.data(),
        json!({"retryAfterSeconds": 7, "violatedPolicies": ["client"]})
    );
    assert_eq!(header(&verdict, "retry-after").unwrap(), "7");
    assert_eq!(
        header(&verdict, "ratelimit").unwrap(),
        "\"global\";r=3;t=7, \"client\";r=0;t=7",
        "no item names a time after Retry-After"
    );
}

#[test]
fn a_limit_that_only_watches_is_for_the_log_and_not_for_the_caller() {
    let shadow = Standing {
        shadow: true,
        ..standing("client", 60, "1m", 0, 7)
    };
    let verdict = Verdict::new(vec![standing("global", 500, "1m", 9, 1), shadow], None);
    assert!(verdict.is_admitted());
    assert_eq!(header(&verdict, "ratelimit").unwrap(), "\"global\";r=9;t=1");
    assert_eq!(verdict.violated().count(), 0);
    assert_eq!(verdict.shadow_policy().unwrap(), "client, 60 per 1m");
}

#[test]
fn a_client_that_is_busy_has_no_window_to_wait_for() {
    let verdict = Verdict::busy(Busy::Client(32));
    assert!(!verdict.is_admitted() && verdict.is_busy());
    assert_eq!(verdict.headers().count(), 1);
    assert_eq!(header(&verdict, "retry-after").unwrap(), "1");
    assert_eq!(verdict.policy(), "in_flight, 32");
    assert_eq!(verdict.violated().collect::<Vec<_>>(), ["in_flight"]);
    let everybody = Verdict::busy(Busy::Everybody(500));
    assert_eq!(
        everybody.message(),
        "Too many calls are running (in_flight_total, 500). Retry after 1 second."
    );
}

#[test]
fn a_call_that_cannot_be_counted_is_not_told_that_there_were_too_many() {
    let standings = vec![standing("client", 60, "1m", 0, 1_000)];
    let verdict = Verdict::new(standings, Some(Duration::from_secs(1))).uncounted();
    assert_eq!(
        verdict.message(),
        "Calls cannot be counted at the moment, so this one is not admitted (client, 60 per \
         1m). Retry after 1 second."
    );
    assert_eq!(header(&verdict, "ratelimit"), None);
    assert_eq!(header(&verdict, "retry-after").unwrap(), "1");
}

#[test]
fn all_that_refuse_are_named() {
    let verdict = Verdict::new(
        vec![
            standing("client", 60, "90s", 0, 1),
            standing("client:tool", 10, "24h", 0, 2),
        ],
        Some(Duration::from_millis(2)),
    );
    assert_eq!(
        verdict.policy(),
        "client, 60 per 90s; client:tool, 10 per 1d"
    );
    assert_eq!(verdict.retry_after_seconds(), Some(1));
    assert_eq!(
        verdict.violated().collect::<Vec<_>>(),
        ["client", "client:tool"]
    );
}

#[test]
fn a_share_that_is_used_up_is_not_told_as_the_whole_limit() {
    let standings = vec![standing("client", 60, "10s", 0, 1_000)];
    let verdict = Verdict::new(standings, Some(Duration::from_secs(1))).by_share();
    assert!(verdict.is_over_share());
    assert_eq!(
        verdict.message(),
        "Rate limit exceeded (client, this instance's share of 60 per 10s). Retry after 1 second."
    );
    assert_eq!(
        verdict.policy(),
        "client, 60 per 10s",
        "the log has a field"
    );
    let busy = Verdict::busy(Busy::Client(16)).by_share();
    assert_eq!(
        busy.message(),
        "Too many calls of this client are running (in_flight, 16, this instance's share). Wait \
         for one to finish, then try again."
    );
    assert!(!verdict.uncounted().is_over_share());
}

#[test]
fn nobody_is_told_to_come_back_at_once() {
    for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2)] {
        assert_eq!(seconds_to_wait(Duration::from_millis(millis)), seconds);
    }
}
