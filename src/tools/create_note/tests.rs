use super::*;
use crate::tools::{
    input,
    record::tests::{assert_fits, id, text},
};
use proptest::prelude::*;
use serde_json::json;

fn draft(arguments: serde_json::Value) -> Result<Draft, ToolError> {
    Draft::new(&input::read::<Input>(
        arguments.as_object().cloned().unwrap(),
    )?)
}

fn note(title: Option<&str>, content: &str, created: &str) -> Note {
    Note {
        id: id(5),
        title: title.and_then(text),
        content: text(content),
        owner: None,
        created_time: Some(created.to_owned()),
        modified_time: None,
    }
}

#[test]
fn markup_and_mentions_reach_zoho_as_text() {
    let draft = draft(json!({
        "record_id": "1",
        "title": "<b>Hi</b>",
        "content": "<img src=x> CRM[user#1#Ann]crm\nnext",
    }))
    .unwrap();
    assert_eq!(draft.note.title.as_deref(), Some("&lt;b&gt;Hi&lt;/b&gt;"));
    assert_eq!(
        draft.note.content,
        "&lt;img src=x&gt; CRM [user#1#Ann]crm\nnext"
    );
    assert!(draft.neutralised);
    assert_eq!(draft.module, NoteParent::Contacts);
}

#[test]
fn plain_text_is_written_as_it_came() {
    let draft =
        draft(json!({"record_id": "1", "content": "R&D called. Élan [a] 5 % 日本"})).unwrap();
    assert_eq!(draft.note.content, "R&D called. Élan [a] 5 % 日本");
    assert!(!draft.neutralised);
}

#[test]
fn a_note_that_zoho_would_refuse_is_refused_here() {
    let refused = |arguments| draft(arguments).err().unwrap().to_string();
    assert!(refused(json!({"record_id": "1", "content": ""})).contains("1 to 32000"));
    assert!(
        refused(json!({"record_id": "1", "content": "x".repeat(32_001)})).contains("`content`")
    );
    assert!(refused(json!({"record_id": "1", "content": "<".repeat(32_000)})).contains("markup"));
    assert!(
        refused(json!({"record_id": "1", "content": "x", "title": "<".repeat(40)}))
            .contains("`title`")
    );
    assert!(refused(json!({"record_id": "../1", "content": "x"})).contains("`record_id`"));
    assert!(
        refused(json!({"record_id": "1", "content": "x", "module": "Users"})).contains("Contacts")
    );
}

#[test]
fn a_note_written_before_is_found_again() {
    let draft = draft(json!({"record_id": "1", "title": "T", "content": "a <b>\n c"})).unwrap();
    let since: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let now = "2026-01-01T13:00:01+01:00";
    assert!(draft.is_this(&note(Some("T"), "a <b> c", now), since));
    assert!(draft.is_this(&note(Some("T"), "a &lt;b&gt;\n c", now), since));
    assert!(!draft.is_this(&note(Some("U"), "a <b> c", now), since));
    assert!(!draft.is_this(&note(Some("T"), "a <b> d", now), since));
    assert!(!draft.is_this(&note(Some("T"), "a <b> c", "2026-01-01T11:00:00Z"), since));
    assert!(
        !draft.is_this(&note(Some("T"), "a <b> c", "soon"), since),
        "of no time"
    );
}

#[test]
fn other_arguments_have_another_digest() {
    let digest = |arguments| draft(arguments).unwrap().arguments;
    let one = digest(json!({"record_id": "1", "content": "x"}));
    assert_eq!(
        one,
        digest(
            json!({"content": "x", "module": "Contacts", "record_id": "1", "idempotency_key": "k"})
        )
    );
    assert_ne!(one, digest(json!({"record_id": "2", "content": "x"})));
    assert_ne!(
        one,
        digest(json!({"record_id": "1", "content": "x", "module": "Deals"}))
    );
    assert_ne!(
        one,
        digest(json!({"record_id": "1", "content": "x", "title": "x"}))
    );
}

#[test]
fn an_answer_fits_its_schema() {
    let draft = draft(json!({"record_id": "1", "content": "<"})).unwrap();
    let receipt = Receipt::new(id(9), None, Outcome::Created);
    let output = draft.output(receipt, Timestamp::UNIX_EPOCH);
    assert_fits("create_note", &output);
    assert!(tell(&output, false).starts_with("Note 9 created on Contacts 1."));
    let replayed = Output {
        outcome: Outcome::Replayed,
        ..output
    };
    assert!(tell(&replayed, false).contains("Nothing was written now"));
}

proptest! {
    #[test]
    fn nothing_that_zoho_renders_is_left(given in "([<>\\[\\]&a]|crm|CRM|\\PC){0,40}") {
        let neutral = neutral(&given);
        prop_assert!(!neutral.contains(['<', '>']));
        prop_assert!(!neutral.to_ascii_lowercase().contains("crm["));
    }
}
