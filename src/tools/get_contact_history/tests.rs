use super::*;
use crate::tools::record::tests::{a_contact, assert_fits, id, text};
use crate::zoho::{error::Problem, notes::Note};
use serde_json::json;

fn note(number: u64, time: &str) -> Entry {
    Entry::from(Note {
        id: id(number),
        title: None,
        content: text("Spoke with her"),
        owner: None,
        created_time: Some(time.to_owned()),
        modified_time: None,
    })
}

fn read(arguments: serde_json::Value) -> Result<Input, ToolError> {
    input::read(arguments.as_object().cloned().unwrap())
}

fn failed() -> Result<Lane, ZohoError> {
    Err(ZohoError::Unavailable {
        problem: Problem::Timeout,
    })
}

fn positions(arguments: serde_json::Value) -> Vec<Kind> {
    let input = read(arguments).unwrap();
    let binding = Binding::new("get_contact_history", &input, 20);
    input
        .positions(&binding)
        .unwrap()
        .into_iter()
        .map(|position| position.kind)
        .collect()
}

#[test]
fn all_but_emails_are_read_unless_asked_for() {
    let all = positions(json!({"contact_id": "1"}));
    assert_eq!(
        all,
        [
            Kind::Notes,
            Kind::Deals,
            Kind::Tasks,
            Kind::Calls,
            Kind::Events
        ]
    );
    let some = positions(json!({"contact_id": "1", "types": ["emails", "notes"]}));
    assert_eq!(some, [Kind::Notes, Kind::Emails]);
    assert!(read(json!({"contact_id": "1", "types": ["secrets"]})).is_err());
    for types in [
        json!([]),
        json!(["notes", "notes"]),
        json!(vec!["notes"; 7]),
    ] {
        let input = read(json!({"contact_id": "1", "types": types})).unwrap();
        let binding = Binding::new("get_contact_history", &input, 20);
        let refusal = input.positions(&binding).unwrap_err().to_string();
        assert!(refusal.contains("`types`"), "{refusal}");
    }
}

#[test]
fn since_is_a_day_of_the_organisation_or_an_instant() {
    let since = |text: &str| {
        read(json!({"contact_id": "1", "since": text})).map(|input| input.since.unwrap())
    };
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let instant = |text| since(text).unwrap().instant(&zone).unwrap().to_string();
    assert_eq!(instant("2026-07-01"), "2026-06-30T22:00:00Z");
    assert_eq!(instant("2026-07-01T10:00:00+02:00"), "2026-07-01T08:00:00Z");
    for text in ["yesterday", "2026-02-30", "2026-07-01T10:00:00", ""] {
        assert!(
            since(text).unwrap_err().to_string().contains("`since`"),
            "{text}"
        );
    }
}

#[test]
fn a_failed_list_leaves_a_partial_answer() {
    let places = vec![Position::start(Kind::Notes), Position::start(Kind::Deals)];
    let notes = Listed {
        rows: vec![note(1, "2026-01-01T00:00:00Z")],
        more: false,
        index: None,
    };
    let notes = Lane::new(places[0].clone(), notes, PAGE, None);
    let lanes = lanes(places, vec![Ok(notes), failed()]).unwrap();
    let slice = Slice {
        size: 20,
        limited_to: None,
    };
    let binding = Binding::new("get_contact_history", &(), 20);
    let answer = answer(&a_contact(1), lanes, &binding, slice, Timestamp::UNIX_EPOCH);
    assert_fits("get_contact_history", &answer.output);
    assert_eq!(answer.output.sources[1].status, State::Failed);
    assert!(
        answer.text.starts_with("1 entry for contact Ada Byron (1)"),
        "{}",
        answer.text
    );
    assert!(
        answer.text.contains("The deals could not be read"),
        "{}",
        answer.text
    );
}

#[test]
fn a_list_that_goes_on_out_of_reach_is_named_although_others_go_on() {
    let lane = |kind, page, skip| {
        let position = Position {
            page,
            skip,
            ..Position::start(kind)
        };
        let listed = Listed {
            rows: vec![note(1, "2026-01-01T00:00:00Z")],
            more: true,
            index: None,
        };
        Lane::new(position, listed, PAGE, None)
    };
    let (binding, slice) = (
        Binding::new("get_contact_history", &(), 20),
        Slice {
            size: 20,
            limited_to: None,
        },
    );
    let lanes = vec![lane(Kind::Events, 10, 1), lane(Kind::Calls, 1, 0)];
    let answer = answer(&a_contact(1), lanes, &binding, slice, Timestamp::UNIX_EPOCH);
    assert!(answer.output.cursor.is_some() && answer.output.sources[0].more);
    let told = |kind| {
        answer
            .text
            .contains(&format!("no call shows the other {kind}"))
    };
    assert!(told("events") && !told("calls"), "{}", answer.text);
}

#[test]
fn when_every_list_fails_the_call_fails() {
    let places = vec![Position::start(Kind::Notes), Position::start(Kind::Deals)];
    let refusal = lanes(places, vec![failed(), failed()]).err().unwrap();
    assert_eq!(refusal.kind(), "zoho_unavailable");
}

#[test]
fn a_long_history_goes_on_where_it_stopped() {
    let rows = (1..=4)
        .map(|n| note(n, &format!("2026-01-0{n}T00:00:00Z")))
        .collect();
    let lane = Lane::new(
        Position::start(Kind::Notes),
        Listed {
            rows,
            more: false,
            index: None,
        },
        PAGE,
        None,
    );
    let binding = Binding::new("get_contact_history", &(), 3);
    let slice = Slice {
        size: 3,
        limited_to: Some(3),
    };
    let answer = answer(
        &a_contact(1),
        vec![lane],
        &binding,
        slice,
        Timestamp::UNIX_EPOCH,
    );
    assert_fits("get_contact_history", &answer.output);
    assert_eq!(answer.output.count, 3);
    let cursor: CursorText = serde_json::from_value(json!(answer.output.cursor.unwrap())).unwrap();
    let goes_on = merge::read(&binding.position(&cursor).unwrap()).unwrap();
    assert_eq!(
        goes_on,
        [Position {
            kind: Kind::Notes,
            page: 1,
            skip: 3,
            index: None,
        }]
    );
    assert!(answer.text.len() <= 1500);
}
