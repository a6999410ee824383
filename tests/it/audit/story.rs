//! A story, and how the log tells it.

use serde_json::{Value, json};

use super::{assert_every_start_has_its_end, verify};
use crate::house::{House, REPORTING, SUPPORT, eventually};

async fn some_contact(house: &House) -> String {
    house.zoho.ids("Contacts", "id is not null").await.remove(0)
}

#[tokio::test]
async fn a_small_story_is_told_in_order_with_its_fields() {
    let house = House::start().await;
    let id = some_contact(&house).await;
    let agent = house.agent(SUPPORT);
    let found = json!({ "name": "Popper", "limit": 5 });
    agent.call("search_contacts", found).await.content();
    let note = json!({ "record_id": id, "content": "Grüße", "title": "Hi", "more": 1 });
    agent.call("create_note", note.clone()).await.failure();
    let note = json!({ "record_id": id, "content": "Grüße", "title": "Hi" });
    agent.call("create_note", note).await.content();
    agent.call("get_deal_summary", json!({})).await.failure();
    house.stranger(None).list().await;
    house.event("auth_failed").await;
    let log = house.audit().split_off(1);
    let told: Vec<&str> = log
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "auth_success",
            "tool_call_start",
            "tool_call_success",
            "tool_call_start",
            "tool_call_error",
            "tool_call_start",
            "tool_call_success",
            "tool_access_denied",
            "auth_failed",
        ]
    );
    for line in &log[..8] {
        for (field, value) in [
            ("clientId", SUPPORT),
            ("role", "customer-service"),
            ("authMethod", "api_key"),
            ("ip", "127.0.0.1"),
            ("path", "/mcp"),
            ("keyId", &house.keys[SUPPORT][10..20]),
        ] {
            assert_eq!(line[field], value, "{field} in {line}");
        }
        assert!(
            line["transport"].is_string() && line["requestId"].is_string(),
            "{line}"
        );
        line["timestamp"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap();
    }
    assert_calls(&log, &id);
    assert_eq!(log[7]["reason"], "not_in_role");
    assert_eq!(
        (&log[8]["level"], &log[8]["clientId"]),
        (&json!("warn"), &Value::Null)
    );
    verify(&house.audit_text());
    assert_every_start_has_its_end(&log);
}

fn assert_calls(log: &[Value], id: &str) {
    let args = &log[1]["args"];
    assert!(
        args["name"].as_str().unwrap().starts_with("hmac:"),
        "{args}"
    );
    assert_eq!(args["limit"], 5);
    assert_eq!(log[1]["executionId"], log[2]["executionId"]);
    assert_eq!(
        (&log[2]["recordsReturned"], &log[2]["toolName"]),
        (&json!(1), &json!("search_contacts"))
    );
    assert!(log[2]["credits"].as_u64().unwrap() >= 1 && log[2]["durationMs"].is_u64());
    let misfit = json!({ "record_id": { "chars": 19 }, "title": { "chars": 2 },
        "content": { "chars": 5 }, "unknownArgs": 1 });
    assert_eq!(
        (&log[3]["args"], &log[4]["error"]),
        (&misfit, &json!("invalid_arguments"))
    );
    let fits = json!({ "record_id": id, "title": { "chars": 2 }, "content": { "chars": 5 } });
    assert_eq!((&log[5]["args"], &log[6]["level"]), (&fits, &json!("info")));
}

#[tokio::test]
async fn zoho_hears_of_a_write_after_its_start_is_in_the_log() {
    let house = House::start().await;
    let id = some_contact(&house).await;
    let slow = json!({ "fault": "latency", "path": "/crm/v8/Notes", "delay": "700ms" });
    house.zoho.fault(slow).await;
    let agent = house.agent(SUPPORT);
    let note = json!({ "record_id": id, "content": "x" });
    let call = tokio::spawn(async move { agent.call("create_note", note).await.content() });
    let start = house.event("tool_call_start").await;
    call.await.unwrap();
    let asked = house.zoho.asked().await;
    let sent = asked
        .iter()
        .find(|entry| entry["path"] == "/crm/v8/Notes")
        .unwrap();
    let time = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(
        time(&start["timestamp"]) <= time(&sent["time"]),
        "{start} {sent}"
    );
    let end = house.event("tool_call_success").await;
    assert!(end["durationMs"].as_u64().unwrap() >= 700, "{end}");
}

#[tokio::test]
async fn a_call_that_is_cut_off_or_takes_too_long_ends_with_a_line() {
    let house = House::with(|setup| {
        setup.set("mcp.tool_timeout", "2s");
    })
    .await;
    house.agent(SUPPORT).search("Popper").await.content();
    let slow = json!({ "fault": "latency", "path": "/crm/v8/Contacts", "delay": "5s" });
    house.zoho.fault(slow).await;
    let before = house.zoho.seen("GET", "/crm/v8/Contacts").await;
    let agent = house.agent(SUPPORT);
    let call = tokio::spawn(async move { agent.search("x").await });
    while house.zoho.seen("GET", "/crm/v8/Contacts").await == before {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    call.abort();
    house.event("tool_call_cancelled").await;
    let told = house.agent(SUPPORT).search("x").await.failure();
    assert!(
        told.contains("too long") || told.contains("Ask for less"),
        "{told}"
    );
    house.event("tool_call_error").await;
    assert_every_start_has_its_end(&house.audit());
}

#[tokio::test]
async fn the_same_value_has_the_same_pseudonym_after_a_restart_with_a_key() {
    let mut pseudonyms = Vec::new();
    for _ in 0..2 {
        let house = House::with(|setup| {
            setup.set("audit.pseudonym_key", "env:PSEUDONYMS");
            setup.variable("PSEUDONYMS", "0123456789abcdef0123456789abcdef");
        })
        .await;
        for name in ["Popper", " POPPER "] {
            let agent = house.agent(REPORTING);
            agent.search(name).await.content();
        }
        let starts = eventually("two starts", || {
            Some(house.events("tool_call_start")).filter(|starts| starts.len() == 2)
        });
        let starts = starts.await;
        pseudonyms.extend(starts.iter().map(|line| line["args"]["name"].to_string()));
    }
    pseudonyms.dedup();
    assert_eq!(pseudonyms.len(), 1, "{pseudonyms:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_make_one_chain() {
    let house = House::start().await;
    let calls = (0..40).map(|n| {
        let agent = house.agent(if n % 2 == 0 { SUPPORT } else { REPORTING });
        tokio::spawn(async move {
            let name = if n % 5 == 0 { "\0" } else { "Popper" };
            agent.search(name).await.result()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let ended = |line: &Value| line["durationMs"].is_u64();
    eventually("every end", || {
        (house.audit().iter().filter(|line| ended(line)).count() == 40).then_some(())
    })
    .await;
    assert!(verify(&house.audit_text()) >= 80);
    assert_every_start_has_its_end(&house.audit());
}

#[tokio::test]
async fn whatever_moment_the_daemon_is_killed_every_note_has_its_start_in_the_log() {
    for patience in [3, 17, 40] {
        let mut house = House::start().await;
        let ids = house.zoho.ids("Contacts", "id is not null").await;
        let writers: Vec<_> = ids
            .chunks(25)
            .take(8)
            .map(|ids| {
                let (agent, ids) = (house.agent(SUPPORT), ids.to_vec());
                tokio::spawn(async move {
                    for id in ids {
                        let note = json!({ "record_id": id, "content": "x" });
                        agent.call("create_note", note).await.content();
                    }
                })
            })
            .collect();
        while house.zoho.notes_written().await < patience {
            tokio::task::yield_now().await;
        }
        house.signal("-KILL");
        house.ended().await;
        for writer in writers {
            // It was cut off, or done before.
            let _ = writer.await;
        }
        let written = notes(&house).await;
        assert!(written.len() >= patience);
        eventually("a start for each note", || {
            let starts = house.events("tool_call_start");
            let began = |id: &String| starts.iter().any(|line| line["args"]["record_id"] == **id);
            written.iter().all(began).then_some(())
        })
        .await;
    }
}

/// The records that were written on.
async fn notes(house: &House) -> Vec<String> {
    let query = "select Parent_Id from Notes where (Note_Title is null and id is not null) \
                 order by Created_Time desc limit 0, 200";
    let rows = house.zoho.coql(query).await;
    let count = house.zoho.notes_written().await;
    let parent = |row: &Value| row["Parent_Id"]["id"].as_str().unwrap().to_owned();
    rows.iter().take(count).map(parent).collect()
}
