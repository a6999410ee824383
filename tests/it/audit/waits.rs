//! Who is told to come back, and who got what another call had asked for.

use serde_json::{Value, json};

use crate::{
    agent::Answer,
    house::{House, SUPPORT, eventually},
    log::{a_contact, audit, lines, said, stop, to_file},
};

const SEARCH: &str = "/crm/v8/Contacts/search";

/// The end of the last call that an agent was told to repeat later, its story, and why.
fn told(house: &House, event: &str) -> (Value, String) {
    let mut ends = lines(house)
        .into_iter()
        .filter(|line| line["event"] == event);
    let end = ends.next_back().unwrap();
    let execution = end["executionId"].as_str().unwrap();
    let [story, why] =
        ["story", "explain"].map(|what| said(&audit(&[what, "--execution", execution], house)));
    (end, story + &why)
}

fn assert_waits(answer: &Answer, (end, told): &(Value, String), error: &str, because: &str) {
    assert_eq!(end["error"], error, "{end}");
    let seconds = end["retryAfterSeconds"].as_u64().unwrap();
    assert!((1..=120).contains(&seconds), "{end}");
    let result = answer.result();
    assert_eq!(
        result["_meta"]["zoho-mcp/retryAfterSeconds"], seconds,
        "{result}"
    );
    assert!(result["structuredContent"].is_null(), "{result}");
    assert!(
        answer.failure().contains(&format!("{seconds} second")),
        "{result}"
    );
    let back = format!("told     to come back after {seconds} second");
    for part in [&*back, &format!("result   failed: {error}: "), because] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn a_zoho_that_is_asked_too_much_says_so_in_the_answer_the_log_and_the_story() {
    let mut house = House::with(to_file).await;
    a_contact(&house).await;
    let fault = json!({ "fault": "status", "status": 429, "path": "/crm", "times": 9 });
    house.zoho.fault(fault).await;
    let answer = house.agent(SUPPORT).search("Popper").await;
    stop(&mut house).await;
    let told = told(&house, "tool_call_error");
    assert_eq!(told.0["reason"], "throttled_by_zoho", "{}", told.0);
    let why = "Zoho itself said that it was asked too much at once: try again, let fewer";
    assert_waits(&answer, &told, "zoho_busy", why);
}

#[tokio::test]
async fn a_write_whose_key_is_in_use_is_told_when_to_come_back() {
    let mut house = House::with(to_file).await;
    let contact = a_contact(&house).await;
    let slow = json!({ "fault": "latency", "delay": "3s", "path": "/crm/v8/Notes", "times": 1 });
    house.zoho.fault(slow).await;
    let agent = house.agent(SUPPORT);
    let note = json!({ "record_id": contact, "content": "x", "idempotency_key": "one" });
    let first = tokio::spawn({
        let (agent, note) = (agent.clone(), note.clone());
        async move { agent.call("create_note", note).await }
    });
    let is_start =
        |line: &Value| line["event"] == "tool_call_start" && line["toolName"] == "create_note";
    eventually("the first has begun", || {
        lines(&house).into_iter().find(is_start)
    })
    .await;
    let second = agent.call("create_note", note).await;
    first.await.unwrap().content();
    stop(&mut house).await;
    let told = told(&house, "tool_call_error");
    assert_waits(
        &second,
        &told,
        "idempotency_key_in_use",
        "was still running",
    );
}

#[tokio::test]
async fn an_answer_that_was_shared_is_told_to_be() {
    let mut house = House::with(to_file).await;
    a_contact(&house).await;
    let slow = json!({ "fault": "latency", "delay": "2s", "path": SEARCH, "times": 1 });
    house.zoho.fault(slow).await;
    let before = house.zoho.seen("GET", SEARCH).await;
    let agent = house.agent(SUPPORT);
    let (one, other) = tokio::join!(agent.search("Popper"), agent.search("Popper"));
    assert_eq!(one.content(), other.content());
    assert_eq!(house.zoho.seen("GET", SEARCH).await - before, 1);
    stop(&mut house).await;
    let ends = lines(&house).into_iter();
    let ends = ends
        .filter(|line| line["event"] == "tool_call_success")
        .skip(1);
    let (shared, own): (Vec<_>, Vec<_>) = ends.partition(|line| line["shared"] == true);
    assert_eq!((shared.len(), own.len()), (1, 1), "{shared:?} {own:?}");
    for (end, part) in [
        (
            &shared[0],
            "zoho     was asked by another call at the same time",
        ),
        (&own[0], "zoho     GET "),
    ] {
        let execution = end["executionId"].as_str().unwrap();
        let story = said(&audit(&["story", "--execution", execution], &house));
        assert!(story.contains(part), "{part}: {story}");
    }
    assert_eq!(
        (&shared[0]["credits"], own[0]["credits"] != 0),
        (&json!(0), true)
    );
}
