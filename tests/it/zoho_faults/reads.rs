//! Reads: tried again within bounds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{SECRET, contact, failure, hasty_house};
use crate::house::{House, SUPPORT, eventually};

const SEARCH: &str = "/crm/v8/Contacts/search";

async fn search(house: &House) -> crate::agent::Answer {
    house.agent(SUPPORT).search("Popper").await
}

#[tokio::test]
async fn what_passes_is_tried_again_and_the_agent_hears_nothing_of_it() {
    let house = hasty_house().await;
    contact(&house).await;
    for (fault, tries) in [
        (json!({ "fault": "status", "status": 500 }), 2),
        (json!({ "fault": "status", "status": 503, "times": 2 }), 3),
        (json!({ "fault": "status", "status": 429 }), 2),
        (json!({ "fault": "reset_before" }), 2),
        (json!({ "fault": "reset_after_commit" }), 2),
        (json!({ "fault": "truncate" }), 2),
        (json!({ "fault": "html", "status": 502 }), 2),
        (json!({ "fault": "latency", "delay": "2s" }), 2),
    ] {
        let mut fault = fault;
        fault["path"] = json!(SEARCH);
        fault["times"] = fault.get("times").cloned().unwrap_or(json!(1));
        house.zoho.fault(fault.clone()).await;
        let before = house.zoho.seen("GET", SEARCH).await;
        assert_eq!(search(&house).await.content()["count"], 1, "{fault}");
        assert_eq!(
            house.zoho.seen("GET", SEARCH).await - before,
            tries,
            "{fault}"
        );
        house.zoho.mend().await;
    }
    assert!(house.events("tool_call_error").is_empty());
}

/// A fault, the word for it in the log, and a part of what the agent is told.
fn lasting_faults() -> Vec<(Value, &'static str, &'static str)> {
    let down = |fault: Value| (fault, "zoho_unavailable", "Try again in 30 seconds");
    let says = |status: u16, code: &str| {
        let body = json!({ "code": code, "message": SECRET, "status": "error", "details": {} });
        json!({ "fault": "status", "status": status, "body": body })
    };
    let legacy = |status: u16, code: Value| {
        let body = json!({ "code": code, "message": SECRET, "status": "error", "details": [] });
        json!({ "fault": "status", "status": status, "body": body })
    };
    let busy = says(429, "TOO_MANY_REQUESTS");
    let forbidden = says(403, "NO_PERMISSION");
    let refused = says(400, "INVALID_DATA");
    vec![
        down(json!({ "fault": "status", "status": 500, "body": SECRET })),
        down(json!({ "fault": "status", "status": 503, "body": SECRET })),
        down(json!({ "fault": "html", "body": SECRET })),
        down(json!({ "fault": "truncate" })),
        down(json!({ "fault": "reset_before" })),
        down(json!({ "fault": "latency", "delay": "9s" })),
        down(json!({ "fault": "drip", "delay": "2s" })),
        down(legacy(200, json!("INTERNAL_ERROR"))),
        down(legacy(500, json!(500))),
        down(json!({ "fault": "html", "body": SECRET.repeat(600_000) })),
        (
            legacy(429, json!(429)),
            "zoho_busy",
            "Zoho CRM is busy. Try again in",
        ),
        (busy, "zoho_busy", "Zoho CRM is busy. Try again in"),
        (forbidden, "zoho_forbidden", "ask an operator"),
        (
            refused,
            "zoho_refused_input",
            "the same arguments will fail again",
        ),
    ]
}

#[tokio::test]
async fn what_stays_is_told_in_words_that_help_and_without_zohos_own() {
    let house = hasty_house().await;
    contact(&house).await;
    for (n, (fault, error, told)) in lasting_faults().into_iter().enumerate() {
        let before = house.zoho.seen("GET", SEARCH).await;
        let mut fault = fault;
        fault["path"] = json!(SEARCH);
        house.zoho.fault(fault.clone()).await;
        let answer = search(&house).await;
        let name = fault["fault"].clone();
        let told_well = answer.failure().contains(told);
        assert!(told_well, "{name} {}: {}", fault["status"], answer.text);
        let tries = house.zoho.seen("GET", SEARCH).await - before;
        assert!((1..=3).contains(&tries), "{name}: {tries} tries");
        let line = nth_failure(&house, n).await;
        assert_eq!(line["error"], error, "{line}");
        assert!(line["credits"].as_u64().unwrap() >= tries as u64, "{line}");
        let everything = answer.text + &house.audit_text().concat() + &house.operational_log();
        assert!(!everything.contains(SECRET), "{name}");
        house.zoho.mend().await;
        search(&house).await.content();
    }
}

/// The end of the call that was the `n`th to fail.
async fn nth_failure(house: &House, n: usize) -> Value {
    eventually("the call's last line", || {
        house.events("tool_call_error").get(n).cloned()
    })
    .await
}

#[tokio::test]
async fn spent_credits_are_told_apart_from_a_moment_of_too_much() {
    let house = hasty_house().await;
    contact(&house).await;
    let body = json!({ "code": "TOO_MANY_REQUESTS", "status": "error", "details": {},
        "message": "You have exceeded the credit limit for the day" });
    let fault = json!({ "fault": "status", "status": 429, "path": SEARCH, "body": body });
    house.zoho.fault(fault).await;
    let before = house.zoho.seen("GET", SEARCH).await;
    let told = search(&house).await.text;
    assert!(told.contains("credits of 24 hours are spent"), "{told}");
    assert!(told.contains("minutes have passed"), "{told}");
    failure(&house, "zoho_credits_spent").await;
    assert_eq!(
        house.zoho.seen("GET", SEARCH).await - before,
        1,
        "tried again in vain"
    );
}

#[tokio::test]
async fn a_call_ends_within_its_deadline_however_slow_zoho_is() {
    let house = House::with(|setup| {
        setup.set("zoho.request_timeout", "10s");
        setup.set("mcp.tool_timeout", "1s");
    })
    .await;
    contact(&house).await;
    let slow = json!({ "fault": "latency", "path": SEARCH, "delay": "20s" });
    house.zoho.fault(slow).await;
    let began = Instant::now();
    let told = search(&house).await.failure();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert!(told.contains("Ask for less"), "{told}");
    failure(&house, "deadline_exceeded").await;
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_and_the_call_succeeds() {
    let house = hasty_house().await;
    contact(&house).await;
    let minted = house.zoho.seen("POST", "/oauth/v2/token").await;
    let before = house.zoho.seen("GET", SEARCH).await;
    house
        .zoho
        .fault(json!({ "fault": "revoke_tokens", "path": SEARCH }))
        .await;
    assert_eq!(search(&house).await.content()["count"], 1);
    assert_eq!(house.zoho.seen("POST", "/oauth/v2/token").await - minted, 1);
    assert_eq!(house.zoho.seen("GET", SEARCH).await - before, 2);
}

#[tokio::test]
async fn a_moment_without_tokens_is_waited_out() {
    let house = hasty_house().await;
    contact(&house).await;
    for trouble in [
        json!({ "fault": "status", "status": 503 }),
        json!({ "fault": "reset_before" }),
        json!({ "fault": "truncate" }),
    ] {
        let minted = house.zoho.seen("POST", "/oauth/v2/token").await;
        let mut trouble = trouble;
        trouble["path"] = json!("/oauth/v2/token");
        // Looks at the server are no attempts.
        trouble["method"] = json!("POST");
        trouble["times"] = json!(2);
        let revoked = json!({ "fault": "revoke_tokens", "path": SEARCH });
        house.zoho.fault(revoked).await;
        house.zoho.fault(trouble.clone()).await;
        assert_eq!(search(&house).await.content()["count"], 1, "{trouble}");
        let asked = house.zoho.seen("POST", "/oauth/v2/token").await - minted;
        assert_eq!(asked, 3, "{trouble}");
    }
}

#[tokio::test]
async fn a_request_that_zoho_refuses_twice_with_a_good_token_fails_alone_and_mints_nothing() {
    let house = hasty_house().await;
    contact(&house).await;
    let minted = house.zoho.seen("POST", "/oauth/v2/token").await;
    let before = house.zoho.seen("GET", SEARCH).await;
    let refused = json!({ "fault": "status", "status": 401, "path": SEARCH });
    house.zoho.fault(refused).await;
    let told = search(&house).await.failure();
    assert!(told.contains("operator"), "{told}");
    assert_eq!(house.zoho.seen("GET", SEARCH).await - before, 2);
    assert_eq!(house.zoho.seen("POST", "/oauth/v2/token").await, minted);
}

#[tokio::test]
async fn what_a_newer_zoho_adds_to_an_answer_is_passed_over() {
    let house = hasty_house().await;
    let id = contact(&house).await;
    let body = json!({
        "data": [{ "id": id, "Full_Name": "Popper", "Email": null, "$news": {}, "Owner": null }],
        "info": { "count": 1, "more_records": false, "page": 1, "per_page": 10, "news": [1] },
        "news": true,
    });
    let newer = json!({ "fault": "status", "status": 200, "path": SEARCH, "body": body });
    house.zoho.fault(newer).await;
    assert_eq!(search(&house).await.content()["items"][0]["id"], id);
}

#[tokio::test]
async fn many_calls_with_a_revoked_token_renew_it_together() {
    let house = hasty_house().await;
    contact(&house).await;
    let minted = house.zoho.seen("POST", "/oauth/v2/token").await;
    house
        .zoho
        .fault(json!({ "fault": "revoke_tokens", "path": SEARCH }))
        .await;
    let calls = (0..12).map(|_| {
        let agent = house.agent(SUPPORT);
        tokio::spawn(async move {
            let arguments = json!({ "name": "Popper" });
            agent.call("search_contacts", arguments).await.content()["count"].clone()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 1);
    }
    assert_eq!(house.zoho.seen("POST", "/oauth/v2/token").await - minted, 1);
}

#[tokio::test]
async fn refused_credentials_are_for_an_operator() {
    let house = hasty_house().await;
    let body = json!({ "error": "invalid_code", "detail": SECRET });
    let refused = json!({ "fault": "status", "status": 400, "path": "/oauth", "body": body });
    house.zoho.fault(refused).await;
    let answer = search(&house).await;
    assert!(answer.failure().contains("An operator"), "{}", answer.text);
    failure(&house, "zoho_credentials").await;
    let health = house.agent(SUPPORT).get("/health").await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["status"], "degraded");
    let everything = answer.text + &house.audit_text().concat() + &house.operational_log();
    assert!(!everything.contains(SECRET));
}

#[tokio::test]
async fn a_part_that_fails_leaves_the_rest_of_an_answer() {
    let house = hasty_house().await;
    let id = contact(&house).await;
    let path = format!("/crm/v8/Contacts/{id}/Notes");
    house
        .zoho
        .fault(json!({ "fault": "status", "status": 400, "path": path,
        "body": { "code": "INVALID_DATA", "message": "x", "status": "error", "details": {} } }))
        .await;
    let arguments = json!({ "contact_id": id, "types": ["notes", "tasks"] });
    let answer = house
        .agent(SUPPORT)
        .call("get_contact_history", arguments)
        .await;
    let sources = answer.content()["sources"].clone();
    assert_eq!(
        (&sources[0]["status"], &sources[1]["status"]),
        (&json!("failed"), &json!("ok"))
    );
    assert!(
        answer
            .text
            .contains("The notes could not be read this time.")
    );
}

#[tokio::test]
async fn zoho_gone_is_told_at_once_and_zoho_back_is_used_again() {
    let house = hasty_house().await;
    contact(&house).await;
    house.pause_sandbox();
    // Nobody answers: in the end the daemon stops asking and says so without waiting.
    let mut quick = false;
    for _ in 0..12 {
        let began = Instant::now();
        let told = search(&house).await.failure();
        assert!(told.contains("does not answer"), "{told}");
        // Whoever asks Zoho waits longer than that.
        quick |= began.elapsed() < Duration::from_millis(400);
    }
    assert!(quick, "the circuit never opened");
    let health = house.agent(SUPPORT).get("/health").await;
    assert_eq!(
        (health.status.as_u16(), &health.json()["status"]),
        (200, &json!("degraded"))
    );
    house.resume_sandbox();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = search(&house).await;
        if answer.result()["isError"] != true {
            break;
        }
        assert!(Instant::now() < deadline, "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("the way back", || {
        let log = house.operational_log();
        log.contains("zoho answers again").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_zoho_that_is_not_there_at_all_is_no_reason_to_crash() {
    let mut house = hasty_house().await;
    house.stop_sandbox();
    let told = search(&house).await.failure();
    assert!(told.contains("Try again in 30 seconds"), "{told}");
    failure(&house, "zoho_unavailable").await;
    assert_eq!(house.agent(SUPPORT).tools().await.len(), 3);
}
