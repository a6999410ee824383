//! `create_note`

use serde_json::{Value, json};

use super::open_house;
use crate::house::House;

#[tokio::test]
async fn a_note_goes_onto_each_kind_of_record_and_is_seen_in_the_history() {
    let (house, agent) = open_house().await;
    for module in ["Contacts", "Accounts", "Leads", "Deals"] {
        let id = first(&house, module).await;
        let note = json!({ "record_id": id, "module": module, "title": "Called",
            "content": format!("about {module}\nand more") });
        let made = agent.call("create_note", note).await.content();
        assert_eq!(
            (&made["outcome"], &made["module"], &made["recordId"]),
            (&json!("created"), &json!(module), &json!(id))
        );
        let id = made["noteId"].as_str().unwrap();
        let query = format!("select id, Parent_Id, Note_Content from Notes where id = {id}");
        let written = house.zoho.coql(&query).await.remove(0);
        assert_eq!(written["Parent_Id"]["id"], made["recordId"], "{module}");
    }
    let id = first(&house, "Contacts").await;
    let arguments = json!({ "contact_id": id, "types": ["notes"] });
    let history = agent.call("get_contact_history", arguments).await.content();
    assert_eq!(history["items"][0]["title"], "Called");
    assert_eq!(history["items"][0]["text"], "about Contacts\nand more");
    assert_eq!(house.zoho.notes_written().await, 4);
}

async fn first(house: &House, module: &str) -> String {
    house.zoho.ids(module, "id is not null").await.remove(0)
}

#[tokio::test]
async fn the_same_key_writes_once_and_belongs_to_its_arguments() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Contacts").await;
    let note =
        |content: &str| json!({ "record_id": id, "content": content, "idempotency_key": "k-1" });
    let made = agent.call("create_note", note("once")).await.content();
    let again = agent.call("create_note", note("once")).await.content();
    assert_eq!(
        (&made["outcome"], &again["outcome"]),
        (&json!("created"), &json!("replayed"))
    );
    assert_eq!(made["noteId"], again["noteId"]);
    house
        .recorded("the repeat", |line| line["outcome"] == "replayed")
        .await;
    let logged = house.events("tool_call_success");
    let effects = logged
        .iter()
        .map(|line| (&line["outcome"], &line["recordId"]));
    assert_eq!(
        effects.collect::<Vec<_>>(),
        [
            (&json!("created"), &made["noteId"]),
            (&json!("replayed"), &made["noteId"])
        ]
    );
    let told = agent.call("create_note", note("twice")).await.failure();
    assert!(told.contains("already used with other arguments"), "{told}");
    let mut titled = note("once");
    titled["title"] = json!("now with a title");
    agent.call("create_note", titled).await.failure();
    assert_eq!(house.zoho.notes_written().await, 1);
}

#[tokio::test]
async fn calls_with_the_same_key_at_the_same_time_write_once() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Contacts").await;
    let slow = json!({ "fault": "latency", "path": "/crm/v8/Notes", "delay": "300ms" });
    house.zoho.fault(slow).await;
    let note = json!({ "record_id": id, "content": "once", "idempotency_key": "together" });
    let calls = (0..10).map(|_| {
        let (agent, note) = (agent.clone(), note.clone());
        tokio::spawn(async move { agent.call("create_note", note).await.result() })
    });
    let mut written = 0;
    for call in calls.collect::<Vec<_>>() {
        let result = call.await.unwrap();
        if result["isError"] == true {
            let told = result["content"][0]["text"].as_str().unwrap();
            assert!(told.contains("still running"), "{told}");
        } else {
            written += 1;
        }
    }
    assert!(written >= 1);
    assert_eq!(house.zoho.notes_written().await, 1);
    let late = agent.call("create_note", note).await.content();
    assert_eq!(late["outcome"], "replayed");
}

#[tokio::test]
async fn notes_without_a_key_are_written_each_time() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Leads").await;
    let note = json!({ "record_id": id, "module": "Leads", "content": "again" });
    for _ in 0..2 {
        agent.call("create_note", note.clone()).await.content();
    }
    assert_eq!(house.zoho.notes_written().await, 2);
}

#[tokio::test]
async fn markup_mentions_and_hidden_characters_are_made_harmless() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Contacts").await;
    let content = "<script>x</script> crm[user#1#2]crm CRM[user#1]crm \u{202e}evil\u{200b}";
    let note = json!({ "record_id": id, "title": "<b>T</b>", "content": content });
    let made = agent.call("create_note", note).await.content();
    assert_eq!(made["neutralised"], true);
    let query = format!(
        "select Note_Title, Note_Content from Notes where id = {}",
        made["noteId"].as_str().unwrap()
    );
    let written = house.zoho.coql(&query).await.remove(0);
    let text = written.to_string();
    for harm in ["<", ">", "crm[", "CRM[", "\u{202e}", "\u{200b}"] {
        assert!(!text.contains(harm), "{harm:?} {text}");
    }
    // Persian words and families of emoji are spelled with characters that nobody sees.
    let plain = "5 o'clock, 100% \"sure\" \\ 🎉 欧阳 می\u{200c}خواهم 👨\u{200d}👩\u{200d}👧";
    let note = json!({ "record_id": id, "content": plain });
    let made = agent.call("create_note", note).await.content();
    assert_eq!(made["neutralised"], false);
    let query = format!(
        "select Note_Content from Notes where id = {}",
        made["noteId"].as_str().unwrap()
    );
    let written = house.zoho.coql(&query).await.remove(0);
    assert_eq!(written["Note_Content"], plain);
}

#[tokio::test]
async fn a_note_for_a_record_that_does_not_exist_is_not_written() {
    let (house, agent) = open_house().await;
    let contact = first(&house, "Contacts").await;
    for (module, id) in [("Contacts", "12345"), ("Deals", contact.as_str())] {
        let note = json!({ "record_id": id, "module": module, "content": "x",
            "idempotency_key": format!("lost-{module}") });
        let told = agent.call("create_note", note.clone()).await.failure();
        assert!(told.contains("Do not guess ids"), "{module}: {told}");
        // The key is free again: nothing was written under it.
        let told = agent.call("create_note", note).await.failure();
        assert!(told.contains("Do not guess ids"), "{module}: {told}");
    }
    assert_eq!(house.zoho.notes_written().await, 0);
}

#[tokio::test]
async fn the_longest_note_fits_and_a_longer_one_is_refused_before_zoho_hears_of_it() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Contacts").await;
    let note = |content: String| json!({ "record_id": id, "content": content });
    agent
        .call("create_note", note("é".repeat(32_000)))
        .await
        .content();
    for (content, told) in [
        ("é".repeat(32_001), "text of 1 to 32000 characters"),
        ("<".repeat(32_000), "with < and > escaped"),
        ("\u{200b}\u{202e}".to_owned(), "nothing visible"),
        (" \n\t ".to_owned(), "text of 1 to 32000 characters"),
        ("nul \0 byte".to_owned(), "without control characters"),
    ] {
        let failure = agent.call("create_note", note(content)).await.failure();
        assert!(failure.contains(told), "{failure}");
    }
    let titled: Value = json!({ "record_id": id, "title": "t".repeat(121), "content": "x" });
    let failure = agent.call("create_note", titled).await.failure();
    assert!(failure.contains("text of 1 to 120 characters"), "{failure}");
    assert_eq!(house.zoho.notes_written().await, 1);
}
