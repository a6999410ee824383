//! Whole exchanges with a Zoho that behaves, and with one that does not.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{
    Page, Problem, Scope, State, Zoho, ZohoError,
    deals::{DealFilter, DealGroup, DealOrder, DealStatus},
    scripted::{
        INVALID_TOKEN, NOTED, ONE, Say, Scripted, Seen, call, contact, credentials, note, say,
    },
    search::Search,
};
use crate::setting::Span;

const BUSY: &str = r#"{"code":"TOO_MANY_REQUESTS","details":{},"message":"too many requests. please try again after some time","status":"error"}"#;
const SPENT: &str = r#"{"code":429,"details":[],"error":"TOO_MANY_REQUESTS","error_info":"Many requests fired than the allowed limit for the past 24 hours."}"#;
const TEN: Page = Page {
    number: 1,
    size: 10,
};

/// A client whose requests have `millis`.
fn hurried(server: &Scripted, millis: u64) -> Zoho {
    let mut config = server.config();
    config.request_timeout = Span::millis(millis);
    Zoho::new(&config, credentials()).unwrap()
}

fn problem<T: std::fmt::Debug>(result: Result<T, ZohoError>) -> Problem {
    match result {
        Err(ZohoError::Unavailable { problem } | ZohoError::Ambiguous { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_contact_is_read_and_cleaned() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let (zoho, by) = (server.zoho(), Search::Name("Ann Lee".into()));
    let crm = call(&zoho);
    let found = crm.search_contacts(&by, TEN).await.unwrap();
    let contact = &found.rows[0];
    assert_eq!(contact.full_name.as_ref().unwrap().as_str(), "Ann Lee");
    assert_eq!(contact.account.as_ref().unwrap().id.as_str(), "7");
    assert!(found.more && contact.mobile.is_none());
    assert_eq!(crm.credits(), 1);
    let asked = &server.asked()[0];
    assert_eq!(asked.authorization.as_deref(), Some("Zoho-oauthtoken t1"));
    assert!(
        asked.target.starts_with(
            "/crm/v8/Contacts/search?criteria=%28%28%28%28%28%28First_Name%3Astarts_with%3AAnn%29and"
        ),
        "{}",
        asked.target
    );
    assert!(asked.target.ends_with("&page=1&per_page=10"));
}

#[tokio::test]
async fn a_read_is_tried_again_and_a_write_is_not() {
    let shaky = |good: &'static str, status| {
        move |_: &Seen, n| match n {
            0 => say(503, r#"{"code":"SERVICE_UNAVAILABLE","status":"error"}"#),
            _ => say(status, good),
        }
    };
    let server = Scripted::start(shaky(ONE, 200)).await;
    let crm = call(&server.zoho());
    assert!(contact(&crm).await.is_ok());
    assert_eq!((server.asked().len(), crm.credits()), (2, 2));
    let server = Scripted::start(shaky(NOTED, 201)).await;
    let result = note(&call(&server.zoho())).await;
    assert!(matches!(result, Err(ZohoError::Ambiguous { .. })));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_read_is_tried_three_times_at_most() {
    for (script, expected) in [
        (say as fn(u16, &str) -> Say, Problem::Unreadable),
        (|_, _| Say::HangUp, Problem::Broken),
        (
            |_, _| say(502, "<html>bad gateway</html>"),
            Problem::Status(502),
        ),
        (|_, _| say(200, r#"{"data":[{"id":"1""#), Problem::Broken),
        (
            |_, _| Say::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"data\"".into()),
            Problem::Broken,
        ),
    ] {
        let server = Scripted::start(move |_, _| script(200, "<html>maintenance</html>")).await;
        assert_eq!(problem(contact(&call(&server.zoho())).await), expected);
        assert_eq!(server.asked().len(), 3, "{expected:?}");
    }
}

#[tokio::test]
async fn a_write_that_breaks_after_it_was_sent_is_ambiguous() {
    for script in [
        (|| Say::HangUp) as fn() -> Say,
        || say(200, "<html>"),
        || say(500, r#"{"code":"INTERNAL_ERROR"}"#),
        || say(201, r#"{"data":[{"code":"SUCC"#),
    ] {
        let server = Scripted::start(move |_, _| script()).await;
        let result = note(&call(&server.zoho())).await;
        assert!(
            matches!(result, Err(ZohoError::Ambiguous { .. })),
            "{result:?}"
        );
        assert_eq!(server.asked().len(), 1);
    }
    let server = Scripted::start(|_, _| Say::Stall("HTTP/1.1 201")).await;
    let result = note(&call(&hurried(&server, 300))).await;
    assert_eq!(problem(result), Problem::Timeout);
}

#[tokio::test]
async fn a_write_that_found_no_connection_did_not_happen() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = server.config();
    config.api_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let zoho = Zoho::new(&config, credentials()).unwrap();
    let result = note(&call(&zoho)).await;
    assert!(matches!(
        result,
        Err(ZohoError::Unavailable {
            problem: Problem::Connect
        })
    ));
    assert_eq!(zoho.status().state, State::Down);
}

#[tokio::test]
async fn a_body_too_large_is_left_unread_and_not_asked_for_again() {
    for script in [(|| Say::Flood) as fn() -> Say, || {
        Say::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n{".into())
    }] {
        let server = Scripted::start(move |_, _| script()).await;
        let result = contact(&call(&server.zoho())).await;
        assert_eq!(problem(result), Problem::TooLarge);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_slow_body_ends_in_time() {
    let server =
        Scripted::start(|_, _| Say::Stall("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")).await;
    let (zoho, began) = (server.zoho(), Instant::now());
    let crm = zoho.view(&Scope::Org, began + Duration::from_millis(300));
    let result = contact(&crm).await;
    assert!(matches!(result, Err(ZohoError::DeadlineExceeded)));
    let result = contact(&call(&hurried(&server, 100))).await;
    assert_eq!(problem(result), Problem::Timeout);
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_body_that_drips_ends_at_the_timeout_of_the_request_not_of_a_read() {
    let server = Scripted::start(|_, _| Say::Drip(Duration::from_millis(40))).await;
    let (zoho, began) = (hurried(&server, 200), Instant::now());
    let crm = zoho.view(&Scope::Org, began + Duration::from_millis(700));
    let result = contact(&crm).await;
    assert!(result.is_err(), "{result:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    let result = note(&call(&zoho)).await;
    assert_eq!(problem(result), Problem::Timeout);
}

#[tokio::test]
async fn many_failures_at_once_are_not_all_tried_again() {
    let server = Scripted::start(|_, n| match n % 9 {
        // An answer now and then keeps the breaker closed.
        0 => say(200, ONE),
        _ => say(503, r#"{"code":"SERVICE_UNAVAILABLE","status":"error"}"#),
    })
    .await;
    let zoho = server.zoho();
    join_all((0..200).map(|_| async { contact(&call(&zoho)).await.map(drop) })).await;
    let asked = server.asked().len();
    // A tenth of the calls, a purse of ten, and two for each second that it took.
    assert!((200..=300).contains(&asked), "{asked}");
}

#[tokio::test]
async fn nothing_found_is_empty_and_a_missing_record_is_missing() {
    let server = Scripted::start(|_, _| say(204, "")).await;
    let zoho = server.zoho();
    let by = Search::Word("nobody".into());
    let found = call(&zoho).search_contacts(&by, TEN).await.unwrap();
    assert!(found.rows.is_empty() && !found.more);
    assert!(matches!(
        contact(&call(&zoho)).await,
        Err(ZohoError::NotFound)
    ));
    let filter = DealFilter::default();
    let total = call(&zoho).deal_total(&filter).await.unwrap();
    assert_eq!((total.amount, total.deals), (0.0, 0));
    let server = Scripted::start(|_, _| say(400, r#"{"code":"INVALID_DATA","details":{"resource_path_index":2},"message":"the id given seems to be invalid","status":"error"}"#)).await;
    let result = contact(&call(&server.zoho())).await;
    assert!(matches!(result, Err(ZohoError::NotFound)));
}

#[tokio::test]
async fn too_many_at_once_is_tried_again_and_spent_credits_are_not() {
    let server = Scripted::start(|_, n| match n {
        0 => say(429, BUSY),
        _ => say(200, ONE),
    })
    .await;
    assert!(contact(&call(&server.zoho())).await.is_ok());
    let server = Scripted::start(|_, _| say(429, SPENT)).await;
    let result = contact(&call(&server.zoho())).await;
    assert!(matches!(result, Err(ZohoError::CreditsSpent { .. })));
    assert_eq!(server.asked().len(), 1);
    let later = "HTTP/1.1 429 X\r\nretry-after: 77\r\ncontent-length: 0\r\n\r\n";
    let server = Scripted::start(move |_, _| Say::Bytes(later.into())).await;
    match contact(&call(&server.zoho())).await {
        Err(ZohoError::Busy { retry_after, .. }) => assert_eq!(retry_after.as_secs(), 60),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn nothing_said_of_what_remains_means_more_where_it_was_said_before() {
    let said = format!(
        "HTTP/1.1 200 X\r\nx-api-credits-remaining: 6000\r\ncontent-length: {}\r\n\r\n{ONE}",
        ONE.len()
    );
    let server = Scripted::start(move |seen, n| match (seen.body.is_empty(), n) {
        (false, _) => say(201, NOTED),
        (true, 0) => Say::Bytes(said.clone()),
        (true, _) => say(200, ONE),
    })
    .await;
    let zoho = server.zoho();
    let remaining = || zoho.inner.allowance.remaining();
    contact(&call(&zoho)).await.unwrap();
    assert_eq!(remaining(), 6_000);
    note(&call(&zoho)).await.unwrap();
    assert_eq!(remaining(), 5_999, "in such answers it was never said");
    contact(&call(&zoho)).await.unwrap();
    assert_eq!(remaining(), 49_997);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Scripted::start(|_, _| say(200, ONE)).await;
    let location = other.url.clone();
    let server = Scripted::start(move |_, _| {
        Say::Bytes(format!(
            "HTTP/1.1 307 X\r\nlocation: {location}/crm/v8/Contacts/1\r\ncontent-length: 0\r\n\r\n"
        ))
    })
    .await;
    let result = contact(&call(&server.zoho())).await;
    assert_eq!(problem(result), Problem::Status(307));
    assert_eq!((server.asked().len(), other.asked().len()), (1, 0));
}

#[tokio::test]
async fn only_so_many_requests_are_in_flight_and_waiting_ends_at_the_deadline() {
    let server = Scripted::start(|_, _| Say::Late(Duration::from_millis(400), ONE.into())).await;
    let mut config = server.config();
    config.concurrency = std::num::NonZeroU32::new(2).unwrap();
    let zoho = Zoho::new(&config, credentials()).unwrap();
    zoho.sign_in().await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(200);
    let patient = [call(&zoho), call(&zoho)];
    let both = join_all(patient.iter().map(contact));
    let hasty = async {
        sleep(Duration::from_millis(50)).await;
        contact(&zoho.view(&Scope::Org, deadline)).await
    };
    let (both, hasty) = tokio::join!(both, hasty);
    assert!(both.iter().all(Result::is_ok));
    assert!(matches!(hasty, Err(ZohoError::Busy { .. })), "{hasty:?}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_dead_zoho_is_left_alone_and_comes_back() {
    let server = Scripted::start(|seen, n| match (n, seen.authorization.is_some()) {
        (_, false) => say(401, INVALID_TOKEN),
        _ => say(500, r#"{"code":"INTERNAL_ERROR"}"#),
    })
    .await;
    let zoho = server.zoho();
    for _ in 0..30 {
        assert!(note(&call(&zoho)).await.is_err());
    }
    assert_eq!(server.asked().len(), 10);
    assert_eq!(problem(note(&call(&zoho)).await), Problem::CircuitOpen);
    assert_eq!(zoho.status().state, State::Down);
    assert_eq!(zoho.probe(Duration::from_secs(60)).await.state, State::Ok);
    let _ = note(&call(&zoho)).await;
    assert_eq!(server.asked().len(), 12);
}

#[tokio::test]
async fn a_probe_costs_nothing_and_is_left_out_while_traffic_answers() {
    let server = Scripted::start(|_, _| say(401, INVALID_TOKEN)).await;
    let zoho = server.zoho();
    assert_eq!(zoho.probe(Duration::ZERO).await.state, State::Ok);
    assert_eq!(zoho.probe(Duration::from_secs(60)).await.state, State::Ok);
    let asked = server.asked();
    assert_eq!((server.mints(), asked.len()), (0, 1));
    assert_eq!(
        (asked[0].target.as_str(), &asked[0].authorization),
        ("/crm/v8/org", &None)
    );
}

#[tokio::test]
async fn owners_of_sums_get_their_names() {
    let server = Scripted::start(|seen, _| match seen.target.as_str() {
        "/crm/v8/coql" if seen.body.contains("group by Owner") => say(
            200,
            r#"{"data":[{"Owner":{"id":"1"},"total_amount":5,"total_deals":2},{"Owner":{"id":"2"},"total_amount":70.5,"total_deals":1},{"Owner":null,"SUM(Amount)":null,"COUNT(id)":3}],"info":{"count":3,"more_records":false}}"#,
        ),
        "/crm/v8/settings/fields?module=Deals" => say(200, r#"{"fields":[]}"#),
        _ => say(200, r#"{"users":[{"id":"1","full_name":"Bo"},{"id":"2","full_name":"Cy"}],"info":{"more_records":false}}"#),
    })
    .await;
    let (zoho, filter) = (
        server.zoho(),
        DealFilter {
            status: Some(DealStatus::Open),
            ..DealFilter::default()
        },
    );
    for _ in 0..2 {
        let totals = call(&zoho)
            .deal_totals(&filter, DealGroup::Owner)
            .await
            .unwrap();
        let names: Vec<_> = totals
            .iter()
            .map(|total| {
                (
                    total.group.as_ref().map_or("", |name| name.as_str()),
                    total.deals,
                )
            })
            .collect();
        assert_eq!(names, [("Cy", 1), ("Bo", 2), ("", 3)]);
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!(
        asked[1].body,
        r#"{"select_query":"select Owner, SUM(Amount) as total_amount, COUNT(id) as total_deals from Deals where Stage not in ('Closed Won', 'Closed Lost', 'Closed-Lost to Competition') group by Owner order by total_amount desc limit 0, 200"}"#
    );
}

#[tokio::test]
async fn days_are_the_organisations_own() {
    let server = Scripted::start(|seen, _| match seen.target.as_str() {
        "/crm/v8/org" => say(200, r#"{"org":[{"id":"1","iso_code":"INR","currency":"Indian Rupee - INR","time_zone":"Asia/Kolkata"}]}"#),
        _ => say(200, r#"{"data":[{"COUNT(id)":4}],"info":{"count":1,"more_records":false}}"#),
    })
    .await;
    let (zoho, day) = (server.zoho(), jiff::civil::date(2026, 7, 1));
    let crm = call(&zoho);
    let created = crm.count_contacts_created(day, jiff::civil::date(2026, 8, 1));
    assert_eq!(created.await.unwrap(), 4);
    assert_eq!(crm.count_overdue_tasks(day).await.unwrap(), 4);
    assert_eq!(crm.credits(), 3);
    let bodies: Vec<_> = server.asked().into_iter().map(|seen| seen.body).collect();
    assert!(bodies[1].contains("where Created_Time between '2026-07-01T00:00:00+05:30' and '2026-07-31T23:59:59+05:30' limit"), "{}", bodies[1]);
    assert!(bodies[2].contains("where (Status != 'Completed' and Due_Date < '2026-07-01') limit"));
}

#[tokio::test]
async fn a_page_that_zoho_would_refuse_is_not_sent() {
    let server = Scripted::start(|_, _| say(200, ONE)).await;
    let (zoho, by) = (server.zoho(), Search::Word("ann".into()));
    for (number, size) in [(0, 10), (1, 0), (1, 201), (11, 200)] {
        let page = Page { number, size };
        let result = call(&zoho).search_contacts(&by, page).await;
        assert!(matches!(result, Err(ZohoError::Unasked { .. })), "{page:?}");
    }
    let page = Page { number: 1, size: 0 };
    let (crm, all) = (call(&zoho), DealFilter::default());
    let deals = crm.deals(&all, DealOrder::Amount, page);
    assert!(matches!(deals.await, Err(ZohoError::Unasked { .. })));
    assert_eq!((server.mints(), server.asked().len()), (0, 0));
}
