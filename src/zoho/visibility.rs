//! What is asked of Zoho for a caller who may not see everything, and what becomes of its answers.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Crm, Page, RecordId, Scope, UserProblem, Zoho, ZohoError,
    deals::{DealFilter, DealGroup, DealOrder},
    notes::NoteParent,
    scripted::{INVALID_TOKEN, NOTED, Scripted, Seen, contact, note, say, say_token},
    search::Search,
};

/// Ann (8) has Bo (9) below her; Cy (10) stands beside.
const USERS: &str = r#"{"users":[
    {"id":"8","full_name":"Ann","email":"ann@example.com","status":"active","Reporting_To":null},
    {"id":"9","full_name":"Bo","email":"bo@example.com","status":"active","Reporting_To":{"id":"8","name":"Ann"}},
    {"id":"10","full_name":"Cy","email":"cy@example.com","status":"active","Reporting_To":null}],
    "info":{"more_records":false}}"#;
const BO: &str = r#"{"users":[{"id":"9","email":"Bo@example.com","status":"active"}]}"#;
const TEN: Page = Page {
    number: 1,
    size: 10,
};

fn as_user(zoho: &Zoho, scope: Scope) -> Crm {
    zoho.view(&scope, Instant::now() + Duration::from_secs(10))
}

fn owned_by(zoho: &Zoho, name: &str) -> Crm {
    as_user(zoho, Scope::Owner(name.into()))
}

fn id() -> RecordId {
    "5725767000000411001".parse().unwrap()
}

/// Rows of these owners and sums, whatever was asked: a Zoho that does not filter at all.
fn rows(owners: &[&str]) -> String {
    let rows: Vec<String> = owners
        .iter()
        .enumerate()
        .map(|(at, owner)| {
            let id = at + 1;
            format!(r#"{{"id":"{id}","Owner":{{"id":"{owner}"}},"total":1,"total_deals":1}}"#)
        })
        .collect();
    format!(
        r#"{{"data":[{}],"info":{{"more_records":false}}}}"#,
        rows.join(",")
    )
}

/// A Zoho with those users, whose other answers are all the same.
async fn zoho_saying(answer: String) -> Scripted {
    Scripted::start(move |seen, _| match seen.target.contains("/users?") {
        true => say(200, USERS),
        false => say(200, &answer),
    })
    .await
}

fn questions(server: &Scripted) -> Vec<Seen> {
    let asked = server.asked().into_iter();
    let is_of_org = |target: &str| {
        ["/users?", "/org", "/settings/"]
            .iter()
            .any(|of| target.contains(of))
    };
    asked.filter(|seen| !is_of_org(&seen.target)).collect()
}

#[tokio::test]
async fn every_query_names_the_owners() {
    let server = zoho_saying(rows(&["8"])).await;
    let crm = owned_by(&server.zoho(), "ann@example.com");
    let day = jiff::civil::date(2026, 3, 1);
    let all = DealFilter::default();
    crm.deals(&all, DealOrder::Amount, TEN).await.unwrap();
    crm.deal_total(&all).await.unwrap();
    crm.deal_totals(&all, DealGroup::Stage).await.unwrap();
    crm.count_overdue_tasks(day).await.unwrap();
    crm.count_contacts_created(day, day.tomorrow().unwrap())
        .await
        .unwrap();
    let asked = questions(&server);
    assert_eq!(asked.len(), 5);
    for query in asked {
        assert!(query.body.contains("Owner in ('8', '9')"), "{}", query.body);
        assert!(!query.body.contains("'10'"));
    }
    let bo = owned_by(&server.zoho(), "9");
    bo.deal_total(&all).await.unwrap();
    let last = questions(&server).pop().unwrap();
    assert!(last.body.contains("where Owner = '9' "), "{}", last.body);
}

#[tokio::test]
async fn rows_of_others_are_dropped_even_if_zoho_sends_them() {
    let server = zoho_saying(rows(&["10", "9", "10", "8"])).await;
    let crm = owned_by(&server.zoho(), "8");
    let ids = |rows: Vec<RecordId>| rows.iter().map(|id| id.to_string()).collect::<Vec<_>>();
    let all = DealFilter::default();
    let deals = crm.deals(&all, DealOrder::Amount, TEN).await.unwrap();
    let found = deals.rows.into_iter().map(|deal| deal.id);
    assert_eq!(ids(found.collect()), ["2", "4"]);
    for by in [
        Search::Word("acme".into()),
        Search::Email("a@example.com".into()),
        Search::Phone("5550100".into()),
        Search::Name("Ann".into()),
    ] {
        let contacts = crm.search_contacts(&by, TEN).await.unwrap();
        let found = contacts.rows.into_iter().map(|contact| contact.id);
        assert_eq!(ids(found.collect()), ["2", "4"], "{by:?}");
    }
    let last = questions(&server).pop().unwrap();
    assert!(
        last.target.contains("Owner%3Ain%3A8%2C9"),
        "{}",
        last.target
    );
}

#[tokio::test]
async fn a_record_of_somebody_else_does_not_exist_and_nothing_is_written_to_it() {
    for answer in [rows(&["10"]), r#"{"data":[{"id":"1"}]}"#.to_owned()] {
        let server = zoho_saying(answer).await;
        let crm = owned_by(&server.zoho(), "9");
        let (of, id) = (NoteParent::Contacts, id());
        let results = [
            contact(&crm).await.map(drop),
            crm.deal(&id).await.map(drop),
            crm.notes_of(of, &id, TEN).await.map(drop),
            crm.tasks_of_contact(&id, TEN).await.map(drop),
            crm.calls_of_contact(&id, TEN).await.map(drop),
            crm.events_of_contact(&id, TEN).await.map(drop),
            crm.deals_of_contact(&id, TEN).await.map(drop),
            crm.emails_of_contact(&id, None).await.map(drop),
            note(&crm).await.map(drop),
        ];
        for result in results {
            assert!(matches!(result, Err(ZohoError::NotFound)), "{result:?}");
        }
        for asked in questions(&server) {
            let path = asked.target.split('?').next().unwrap();
            assert!(path.ends_with("/5725767000000411001"), "{path}");
            assert_eq!(asked.body, "");
        }
    }
}

#[tokio::test]
async fn a_parent_is_looked_at_once_and_its_children_have_owners_of_their_own() {
    let server = Scripted::start(|seen, _| {
        let target = &seen.target;
        match target.split('?').next().unwrap().rsplit('/').next() {
            Some("users") => say(200, USERS),
            Some("Emails") => say(
                200,
                r#"{"Emails":[{"message_id":"a","owner":{"id":"9"}},{"message_id":"b","owner":{"id":"10"}},{"message_id":"c"}]}"#,
            ),
            Some("Notes") if !seen.body.is_empty() => say(201, NOTED),
            Some("5725767000000411001") => say(200, &rows(&["9"])),
            _ => say(200, &rows(&["10", "9"])),
        }
    })
    .await;
    let crm = owned_by(&server.zoho(), "bo@example.com");
    let id = id();
    contact(&crm).await.unwrap();
    let emails = crm.emails_of_contact(&id, None).await.unwrap().rows;
    assert_eq!(emails.len(), 1);
    assert_eq!(crm.tasks_of_contact(&id, TEN).await.unwrap().rows.len(), 1);
    // A note is seen with the record that it stands on, whoever wrote it.
    let notes = crm.notes_of(NoteParent::Contacts, &id, TEN).await.unwrap();
    assert_eq!(notes.rows.len(), 2);
    note(&crm).await.unwrap();
    assert_eq!(questions(&server).len(), 5);
}

#[tokio::test]
async fn pages_are_full_of_what_is_seen_and_do_not_tell_what_is_not() {
    // Every other one of 500 contacts is Bo's.
    let server = Scripted::start(|seen, _| {
        if seen.target.contains("/users?") {
            return say(200, USERS);
        }
        let page = seen.target.split("&page=").nth(1).unwrap();
        let page: usize = page.split('&').next().unwrap().parse().unwrap();
        assert!(seen.target.ends_with("&per_page=200"), "{}", seen.target);
        let range = (page - 1) * 200..(page * 200).min(500);
        let owner = |n| if n % 2 == 0 { 9 } else { 10 };
        let rows: Vec<String> = range
            .map(|n| format!(r#"{{"id":"{}","Owner":{{"id":"{}"}}}}"#, n + 1, owner(n)))
            .collect();
        let (rows, more) = (rows.join(","), page < 3);
        say(
            200,
            &format!(r#"{{"data":[{rows}],"info":{{"more_records":{more}}}}}"#),
        )
    })
    .await;
    let zoho = server.zoho();
    let crm = owned_by(&zoho, "9");
    let by = Search::Word("acme".into());
    let mut found = 0;
    for number in 1..=4 {
        let page = Page { number, size: 80 };
        let listed = crm.search_contacts(&by, page).await.unwrap();
        assert_eq!(listed.rows.len(), if number < 4 { 80 } else { 10 });
        assert_eq!(listed.more, number < 4);
        found += listed.rows.len();
    }
    assert_eq!(found, 250);
    let nobody = owned_by(&zoho, "8");
    let listed = nobody.search_contacts(&by, TEN).await.unwrap();
    assert_eq!(listed.rows.len(), 10, "Ann sees what is Bo's");
    let cy = owned_by(&zoho, "nobody@example.com");
    let result = cy.search_contacts(&by, TEN).await.map(drop);
    assert!(matches!(result, Err(ZohoError::User(UserProblem::Unknown))));
}

#[tokio::test]
async fn a_crowd_that_hides_what_is_seen_is_said_to_be_one() {
    let server = Scripted::start(|seen, _| match seen.target.contains("/users?") {
        true => say(200, USERS),
        false => say(
            200,
            r#"{"data":[{"id":"1","Owner":{"id":"10"}}],"info":{"more_records":true}}"#,
        ),
    })
    .await;
    let crm = owned_by(&server.zoho(), "9");
    let by = Search::Word("acme".into());
    let result = crm.search_contacts(&by, TEN).await.map(drop);
    assert!(matches!(result, Err(ZohoError::TooManyMatches)));
    assert_eq!(questions(&server).len(), 10);
}

/// A Zoho where Bo's refresh token is `1000.bo`, and the daemon's own another.
async fn zoho_with_bo(credential: &str) -> (Scripted, Zoho) {
    let server = Scripted::with_minted(
        |seen, _| match seen.authorization.as_deref() {
            Some("Zoho-oauthtoken bo") if seen.target.contains("CurrentUser") => say(200, BO),
            Some("Zoho-oauthtoken bo") => say(200, &rows(&["10"])),
            _ => say(403, r#"{"code":"NO_PERMISSION","status":"error"}"#),
        },
        |seen, _| match seen.body.contains("refresh_token=1000.bo&") {
            true => say_token("bo", 3600),
            false if seen.body.contains("1000.revoked") => say(200, r#"{"error":"invalid_code"}"#),
            false => say_token("own", 3600),
        },
    )
    .await;
    let zoho = server.zoho();
    zoho.replace_people(credential.as_bytes()).unwrap();
    (server, zoho)
}

#[tokio::test]
async fn a_person_asks_with_their_own_token_which_is_proven_once() {
    let document =
        r#"{"https://id.example bo": {"refresh_token":"1000.bo","user":"bo@example.com"}}"#;
    let (server, zoho) = zoho_with_bo(document).await;
    let bo = || as_user(&zoho, Scope::User("https://id.example bo".into()));
    for _ in 0..3 {
        assert!(contact(&bo()).await.is_ok(), "Zoho decides what Bo sees");
    }
    // The same document again leaves Bo signed in.
    assert_eq!(zoho.replace_people(document.as_bytes()), Ok(1));
    assert!(contact(&bo()).await.is_ok());
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|seen| seen.authorization.as_deref() == Some("Zoho-oauthtoken bo"))
    );
    let proofs = asked
        .iter()
        .filter(|seen| seen.target.contains("CurrentUser"));
    assert_eq!((proofs.count(), asked.len(), server.mints()), (1, 5, 1));
    zoho.replace_people(b"{}").unwrap();
    let gone = contact(&bo()).await.map(drop);
    assert!(matches!(
        gone,
        Err(ZohoError::User(UserProblem::NoCredentials))
    ));
}

#[tokio::test]
async fn a_credential_of_somebody_else_or_a_revoked_one_is_not_used() {
    let document = r#"{
        "i ann": {"refresh_token":"1000.bo","user":"ann@example.com"},
        "i cy": {"refresh_token":"1000.revoked","user":"cy@example.com"}}"#;
    let (server, zoho) = zoho_with_bo(document).await;
    for (name, problem) in [
        ("i ann", UserProblem::NotTheirs),
        ("i cy", UserProblem::CredentialsRefused),
        ("i bo", UserProblem::NoCredentials),
    ] {
        for _ in 0..2 {
            let crm = as_user(&zoho, Scope::User(name.into()));
            match contact(&crm).await {
                Err(ZohoError::User(found)) => assert_eq!(found, problem),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
    assert_eq!(server.asked().len(), 1, "Ann's was looked at once");
    assert_eq!(zoho.status().state, super::State::Ok, "it is their matter");
}

#[tokio::test]
async fn what_zoho_forbids_a_person_does_not_exist_for_them() {
    for body in [
        r#"{"code":"NO_PERMISSION","details":{},"message":"permission denied","status":"error"}"#,
        r#"{"data":[{"code":"NO_PERMISSION","details":{},"message":"permission denied","status":"error"}]}"#,
        r#"{"code":"INVALID_DATA","details":{"resource_path_index":1},"message":"the id given seems to be invalid","status":"error"}"#,
    ] {
        let server = Scripted::start(move |seen, _| match seen.target.contains("CurrentUser") {
            true => say(200, BO),
            false => say(
                if body.starts_with(r#"{"code":"NO_P"#) {
                    403
                } else {
                    400
                },
                body,
            ),
        })
        .await;
        let zoho = server.zoho();
        let document = br#"{"b": {"refresh_token":"1000.bo","user":"9"}}"#;
        zoho.replace_people(document).unwrap();
        let crm = as_user(&zoho, Scope::User("b".into()));
        assert!(matches!(contact(&crm).await, Err(ZohoError::NotFound)));
        assert!(matches!(note(&crm).await, Err(ZohoError::NotFound)));
        let daemon = as_user(&zoho, Scope::Org);
        assert!(matches!(contact(&daemon).await, Err(ZohoError::NotFound)));
        let tasks = crm.tasks_of_contact(&id(), TEN).await;
        assert!(matches!(tasks, Err(ZohoError::NotFound)));
    }
}

#[tokio::test]
async fn a_duplicate_of_somebody_elses_record_is_told_without_it() {
    let duplicate = r#"{"data":[{"code":"DUPLICATE_DATA","details":{"api_name":"Note_Title","json_path":"$.data[0].Note_Title","duplicate_record":{"Owner":{"name":"Cy","id":"10","zuid":"7"},"module":{"api_name":"Contacts","id":"3"},"id":"424242"}},"message":"duplicate data","status":"error"}]}"#;
    for status in [200, 207, 400] {
        let server = Scripted::start(move |_, _| say(status, duplicate)).await;
        let error = note(&as_user(&server.zoho(), Scope::Org))
            .await
            .unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(matches!(error, ZohoError::Input { .. }), "{shown}");
        for secret in ["Cy", "10", "424242", "zuid"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_persons_token_that_is_taken_back_is_renewed_once() {
    let server = Scripted::start(|seen, _| match seen.authorization.as_deref() {
        Some("Zoho-oauthtoken t1") if !seen.target.contains("CurrentUser") => {
            say(401, INVALID_TOKEN)
        }
        _ if seen.target.contains("CurrentUser") => say(200, BO),
        _ => say(200, &rows(&["9"])),
    })
    .await;
    let zoho = server.zoho();
    let document = br#"{"b": {"refresh_token":"1000.bo","user":"9"}}"#;
    zoho.replace_people(document).unwrap();
    let crm = as_user(&zoho, Scope::User("b".into()));
    assert!(contact(&crm).await.is_ok());
    assert_eq!(server.mints(), 2);
}

#[tokio::test]
async fn a_document_that_cannot_be_used_is_refused_without_a_word_of_it() {
    let (_server, zoho) = zoho_with_bo("{}").await;
    for document in [
        "",
        "[]",
        r#"{"a":"1000.secret"}"#,
        r#"{"a":{"refresh_token":"1000.secret"}}"#,
        r#"{"a":{"refresh_token":"1000.secret","user":"b","usr":"c"}}"#,
    ] {
        let refused = zoho.replace_people(document.as_bytes()).unwrap_err();
        assert!(!refused.to_string().contains("1000."), "{refused}");
    }
}
