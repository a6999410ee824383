//! Why a call was refused, and the line of the configuration that decided.

use serde_json::{Value, json};

use crate::{
    agent::Answer,
    house::{House, REPORTING, SUPPORT},
    log::{audit, lines, said, stop, to_file},
    redis::Redis,
};

async fn search(house: &House) -> Answer {
    house.agent(SUPPORT).search("Popper").await
}

/// Asks until it is refused.
async fn refused(house: &House) -> String {
    for _ in 0..60 {
        let answer = search(house).await;
        if answer.status == 429 {
            return answer.header("x-request-id").to_owned();
        }
    }
    panic!("nothing was refused");
}

fn explained(house: &House, request: &str) -> String {
    let config = house.file("zoho-mcp.toml");
    let config = config.to_str().unwrap();
    said(&audit(
        &["explain", "--request", request, "--config", config],
        house,
    ))
}

#[tokio::test]
async fn spent_credits_are_explained_by_the_purse_that_refused() {
    for (settings, purse, parts) in [
        (
            &[("zoho.daily_credits", "20")][..],
            "client",
            ["the default is client_share = 0.5", "the client's share"],
        ),
        (
            &[("zoho.daily_credits", "20"), ("zoho.client_share", "1")],
            "reserve",
            ["the default is write_reserve = 0.1", "kept for tools"],
        ),
        (&[], "zoho", ["Zoho itself", "X-API-CREDITS-REMAINING"]),
    ] {
        let mut house = House::with(|setup| {
            to_file(setup);
            for (key, value) in settings {
                setup.set(key, value);
            }
        })
        .await;
        if purse == "zoho" {
            search(&house).await.content();
            house.zoho.set(json!({ "daily_credits": 1 })).await;
        }
        let request = refused(&house).await;
        stop(&mut house).await;
        let told = explained(&house, &request);
        for part in parts {
            assert!(told.contains(part), "{purse} {part}: {told}");
        }
        let lines = lines(&house);
        let mut about = lines.iter().filter(|line| line["requestId"] == *request);
        let reasons = about.clone().filter(|line| line["reason"] == purse).count();
        assert_eq!(reasons, 2, "the failure and the refusal say it: {purse}");
        let execution = about.find_map(|line| line["executionId"].as_str());
        let story = said(&audit(
            &["story", "--execution", execution.unwrap()],
            &house,
        ));
        assert!(story.contains("told     to come back after"), "{story}");
        assert!(!story.contains("was over a limit"), "told twice: {story}");
    }
}

#[tokio::test]
async fn a_share_without_redis_is_explained_by_redis_and_not_by_the_limit() {
    let mut redis = Redis::start();
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("redis.url", &redis.url());
        setup.set("redis.expected_replicas", "2");
        setup.set("limits.client", "{ requests = 4, per = \"1h\" }");
    })
    .await;
    redis.kill();
    let request = refused(&house).await;
    stop(&mut house).await;
    let told = explained(&house, &request);
    for part in [
        "Redis could not be asked, and this instance's share of the limit client, 4 per 1h",
        "on_store_error",
        "add expected_replicas under [redis]",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let story = said(&audit(&["story", "--client", SUPPORT], &house));
    let because = "because  Redis could not be asked, and this instance's share";
    assert!(story.contains(because), "{story}");
}

/// The last call that failed: its line, and what is told of it.
fn failed(house: &House) -> (Value, String) {
    let lines = lines(house);
    let mut failed = lines
        .into_iter()
        .filter(|line| line["event"] == "tool_call_error");
    let last = failed.next_back().unwrap();
    let (execution, request) = (&last["executionId"], &last["requestId"]);
    let story = audit(
        &["story", "--execution", execution.as_str().unwrap()],
        house,
    );
    let told = said(&story) + &explained(house, request.as_str().unwrap());
    (last, told)
}

#[tokio::test]
async fn a_zoho_that_was_not_asked_is_not_said_to_be_silent() {
    for (path, reason, parts) in [
        (
            "/oauth",
            "no_access_token",
            ["its API was not asked", "accounts server, not its API"],
        ),
        (
            "/crm",
            "breaker_open",
            [
                "was not asked, since it had not answered",
                "the daemon did not ask",
            ],
        ),
    ] {
        let mut house = House::with(to_file).await;
        search(&house).await.content();
        let fault = json!({ "fault": "status", "status": 503, "path": path, "times": 999 });
        house.zoho.fault(fault).await;
        if reason == "no_access_token" {
            let revoked = json!({ "fault": "revoke_tokens", "path": "/crm", "times": 1 });
            house.zoho.fault(revoked).await;
        }
        for _ in 0..8 {
            search(&house).await.failure();
        }
        stop(&mut house).await;
        let (line, told) = failed(&house);
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["error"], "zoho_unavailable", "{line}");
        for part in parts {
            assert!(told.contains(part), "{reason} {part}: {told}");
        }
        assert!(!told.contains("Zoho did not answer"), "{told}");
    }
}

#[tokio::test]
async fn a_write_that_a_role_lacks_in_two_ways_is_explained_by_both_lines() {
    let mut house = House::with(to_file).await;
    let note = json!({ "record_id": "1", "content": "x" });
    let denied = house.agent(REPORTING).call("create_note", note).await;
    let request = denied.header("x-request-id").to_owned();
    stop(&mut house).await;
    let told = explained(&house, &request);
    assert!(told.contains("and set allow_write = true there"), "{told}");
    let config = std::fs::read_to_string(house.file("zoho-mcp.toml")).unwrap();
    for key in ["tools", "allow_write"] {
        let lines: Vec<_> = told
            .lines()
            .filter(|line| line.starts_with("line "))
            .collect();
        assert!(
            lines.iter().any(|line| line.contains(key)),
            "{key}: {told}\n{config}"
        );
    }
}

#[tokio::test]
async fn a_setting_of_the_environment_is_not_looked_for_in_the_file() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set("limits.client", "{ requests = 2, per = \"1h\" }");
    })
    .await;
    let request = refused(&house).await;
    stop(&mut house).await;
    let log = house.file("audit.jsonl");
    let told = house.command(&[
        "audit",
        "explain",
        "--request",
        &request,
        log.to_str().unwrap(),
    ]);
    let told = said(&told);
    assert!(
        told.contains("line     set by ZOHO_MCP__LIMITS__CLIENT in this"),
        "{told}"
    );
    assert!(!told.contains("zoho-mcp.toml"), "{told}");
}
