//! How much a caller may call, and what it hears when that is used up.

use std::time::Duration;

use serde_json::json;

use crate::{
    agent::{Agent, Answer},
    house::{DASHBOARD, House, REPORTING, SUPPORT, Setup, eventually},
};

async fn house_with(key: &str, quota: &str) -> House {
    House::with(|setup: &mut Setup| {
        setup.set(key, quota);
    })
    .await
}

async fn search(agent: &Agent) -> Answer {
    agent.search("Popper").await
}

/// The items of a `RateLimit` or `RateLimit-Policy` header: RFC 9651 strings with two integers.
fn items(answer: &Answer, header: &str, first: &str, second: &str) -> Vec<(String, u64, u64)> {
    let item = |text: &str| {
        let (name, parameters) = text.strip_prefix('"')?.split_once("\";")?;
        let (one, two) = parameters.split_once(';')?;
        let one = one.strip_prefix(first)?.strip_prefix('=')?.parse().ok()?;
        let two = two.strip_prefix(second)?.strip_prefix('=')?.parse().ok()?;
        let plain = name
            .bytes()
            .all(|b| (b' '..=b'~').contains(&b) && !b"\"\\".contains(&b));
        plain.then(|| (name.to_owned(), one, two))
    };
    let text = answer.header(header);
    let items: Option<Vec<_>> = text.split(", ").map(item).collect();
    items.unwrap_or_else(|| panic!("{header}: {text:?}"))
}

fn standing(answer: &Answer, name: &str) -> (u64, u64) {
    let all = items(answer, "ratelimit", "r", "t");
    let own = all.iter().find(|(item, ..)| item == name);
    let (_, remaining, reset) = own.unwrap_or_else(|| panic!("{name} in {all:?}"));
    (*remaining, *reset)
}

#[tokio::test]
async fn a_refusal_is_a_429_with_everything_an_agent_needs_to_wait() {
    let house = house_with("limits.client", "{ requests = 3, per = \"1m\" }").await;
    let agent = house.agent(SUPPORT);
    for left in [2, 1, 0] {
        let answer = search(&agent).await;
        assert_eq!(answer.status, 200);
        let (remaining, reset) = standing(&answer, "client");
        assert!(
            remaining == left && (1..=60).contains(&reset),
            "{remaining} {reset}"
        );
        let policies = items(&answer, "ratelimit-policy", "q", "w");
        assert!(policies.contains(&("client".into(), 3, 60)), "{policies:?}");
        assert!(
            policies.contains(&("global".into(), 100_000, 60)),
            "{policies:?}"
        );
    }
    let call = r#"{"jsonrpc":"2.0","id":"seven","method":"tools/call","params":{"name":"search_contacts","arguments":{"name":"x"}}}"#;
    let refused = agent.post(call).await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let message = format!("Rate limit exceeded (client, 3 per 1m). Retry after {wait} seconds.");
    let data = json!({ "retryAfterSeconds": wait, "violatedPolicies": ["client"] });
    assert_eq!(
        refused.json(),
        json!({ "jsonrpc": "2.0", "id": "seven",
            "error": { "code": 429, "message": message, "data": data } })
    );
    assert_eq!(refused.header("content-type"), "application/json");
    let (remaining, reset) = standing(&refused, "client");
    assert!(remaining == 0 && reset <= wait, "{reset} {wait}");
    assert!(!items(&refused, "ratelimit-policy", "q", "w").is_empty());
    let told = house.event("rate_limit_exceeded").await;
    assert_eq!(
        (
            &told["policy"],
            &told["retryAfterSeconds"],
            &told["clientId"],
            &told["toolName"]
        ),
        (
            &json!("client, 3 per 1m"),
            &json!(wait),
            &json!(SUPPORT),
            &json!("search_contacts")
        )
    );
}

#[tokio::test]
async fn retry_after_is_true() {
    let house = house_with("limits.client", "{ requests = 2, per = \"3s\" }").await;
    let agent = house.agent(SUPPORT);
    for _ in 0..2 {
        search(&agent).await.content();
    }
    let refused = search(&agent).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(search(&agent).await.status, 429, "too early");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    // This is the wait that an agent was told to make.
    tokio::time::sleep(Duration::from_secs(wait)).await;
    search(&agent).await.content();
}

#[tokio::test]
async fn a_client_has_its_own_limit_and_another_client_is_not_concerned() {
    let house = house_with(
        "clients.reporting-agent.limits",
        "{ requests = 2, per = \"1m\" }",
    )
    .await;
    let statuses = async |client: &str| {
        let agent = house.agent(client);
        let mut admitted = 0;
        for _ in 0..6 {
            admitted += usize::from(agent.status().await == 200);
        }
        admitted
    };
    assert_eq!(statuses(REPORTING).await, 2);
    assert_eq!(statuses(SUPPORT).await, 6);
    assert_eq!(statuses(DASHBOARD).await, 6);
}

#[tokio::test]
async fn an_expensive_tool_has_its_own_limit_beside_the_clients() {
    let house = house_with(
        "limits.tools.get_revenue_report",
        "{ requests = 2, per = \"1m\" }",
    )
    .await;
    let agent = house.agent(REPORTING);
    let report = async || agent.call("get_revenue_report", json!({})).await;
    for _ in 0..2 {
        report().await.content();
    }
    let before = standing(&search(&agent).await, "client").0;
    for _ in 0..3 {
        let refused = report().await;
        assert_eq!(refused.status, 429);
        let violated = &refused.json()["error"]["data"]["violatedPolicies"];
        assert_eq!(violated, &json!(["client:tool"]));
        assert!(
            refused.text.contains("(client:tool, 2 per 1m)"),
            "{}",
            refused.text
        );
    }
    let after = standing(&search(&agent).await, "client").0;
    assert_eq!(
        before - after,
        1,
        "a refused call burnt something of the client's"
    );
}

#[tokio::test]
async fn a_flood_from_one_client_takes_nothing_from_the_global_limit() {
    let house = House::with(|setup| {
        setup.set("limits.global", "{ requests = 12, per = \"1m\" }");
        setup.set("limits.client", "{ requests = 4, per = \"1m\" }");
    })
    .await;
    let flood = house.agent(SUPPORT);
    let mut admitted = 0;
    for _ in 0..30 {
        admitted += usize::from(flood.status().await == 200);
    }
    assert_eq!(admitted, 4);
    for client in [REPORTING, DASHBOARD] {
        for _ in 0..4 {
            assert_eq!(house.agent(client).status().await, 200);
        }
    }
    let refused = house.agent(DASHBOARD).list().await;
    let violated = &refused.json()["error"]["data"]["violatedPolicies"];
    assert_eq!(violated, &json!(["global", "client"]));
}

#[tokio::test]
async fn a_refusal_can_be_a_result_that_the_model_reads() {
    let house = House::with(|setup| {
        setup.set("limits.client", "{ requests = 1, per = \"1m\" }");
        setup.set("limits.answer", "tool_error");
    })
    .await;
    let agent = house.agent(SUPPORT);
    search(&agent).await.content();
    let refused = search(&agent).await;
    assert_eq!(refused.status, 200);
    let told = refused.failure();
    assert!(
        told.starts_with("Rate limit exceeded (client, 1 per 1m). Retry after "),
        "{told}"
    );
    assert_eq!(standing(&refused, "client").0, 0);
    // What is no call of a tool has no result for a model.
    assert_eq!(agent.status().await, 429);
    assert_eq!(house.events("tool_call_start").len(), 1);
}

#[tokio::test]
async fn a_ping_and_a_notification_are_never_refused() {
    let house = house_with("limits.client", "{ requests = 1, per = \"1m\" }").await;
    let agent = house.agent(SUPPORT);
    search(&agent).await.content();
    assert_eq!(search(&agent).await.status, 429);
    for _ in 0..3 {
        assert_eq!(agent.ask("ping", json!({})).await.result(), json!({}));
    }
    for method in ["notifications/initialized", "notifications/cancelled"] {
        let note = json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": 1 } });
        assert_eq!(agent.post(note.to_string()).await.status, 202, "{method}");
    }
    assert_eq!(house.events("rate_limit_exceeded").len(), 1, "nor told of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_more_than_the_limit_however_many_ask_at_once() {
    let house = house_with("limits.client", "{ requests = 37, per = \"10m\" }").await;
    let agent = house.agent(SUPPORT);
    let tasks = (0..50).map(|_| {
        let agent = agent.clone();
        tokio::spawn(async move {
            let mut admitted = 0;
            for _ in 0..3 {
                admitted += usize::from(agent.status().await == 200);
            }
            admitted
        })
    });
    let mut admitted = 0;
    for task in tasks.collect::<Vec<_>>() {
        admitted += task.await.unwrap();
    }
    assert_eq!(admitted, 37);
}

#[tokio::test]
async fn new_limits_hold_at_once_and_what_was_counted_stays_counted() {
    let house = House::with(|setup| {
        setup.unset("limits.client");
        setup.config("[limits]\nclient = { requests = 2, per = \"10m\" }\n");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let admitted = async || {
        let mut admitted = 0;
        while agent.status().await == 200 {
            admitted += 1;
        }
        admitted
    };
    assert_eq!(admitted().await, 2);
    house.reconfigure("requests = 2", "requests = 5").await;
    assert_eq!(admitted().await, 3);
    house.reconfigure("requests = 5", "requests = 1").await;
    assert_eq!(admitted().await, 0);
    house
        .reconfigure("requests = 1,", "requests = 6, per_second = 1,")
        .await;
    assert_eq!(admitted().await, 0, "a bad document changed something");
    let told = house.events("config_reload");
    assert_eq!(told[2]["reason"], "refused_last_good_keeps_serving");
}

#[tokio::test]
async fn a_client_has_so_many_calls_in_flight() {
    let house = house_with("limits.in_flight", "2").await;
    search(&house.agent(SUPPORT)).await.content();
    let slow = json!({ "fault": "latency", "path": "/crm/v8/Contacts", "delay": "1500ms" });
    house.zoho.fault(slow).await;
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let agent = house.agent(SUPPORT);
            tokio::spawn(async move { search(&agent).await })
        })
        .collect();
    let other = house.agent(REPORTING);
    let other = tokio::spawn(async move { search(&other).await.content() });
    let mut refused: Vec<Answer> = Vec::new();
    for call in calls {
        let answer = call.await.unwrap();
        refused.extend(Some(answer).filter(|answer| answer.status != 200));
    }
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].status, 429);
    assert_eq!(refused[0].header("retry-after"), "1");
    let told = &refused[0].json()["error"];
    assert_eq!(told["data"]["violatedPolicies"], json!(["in_flight"]));
    let told = told["message"].as_str().unwrap();
    assert!(
        told.contains("Wait for one to finish, then try again"),
        "{told}"
    );
    other.await.unwrap();
    house.zoho.mend().await;
    search(&house.agent(SUPPORT)).await.content();
    let line = house.event("rate_limit_exceeded").await;
    assert_eq!(
        (&line["policy"], &line["clientId"]),
        (&json!("in_flight, 2"), &json!(SUPPORT))
    );
}

#[tokio::test]
async fn a_busy_client_can_be_told_in_a_result_that_the_model_reads() {
    let house = House::with(|setup| {
        setup.set("limits.in_flight", "1");
        setup.set("limits.answer", "tool_error");
    })
    .await;
    let slow = json!({ "fault": "latency", "path": "/crm/v8/Contacts", "delay": "1500ms" });
    house.zoho.fault(slow).await;
    let agent = house.agent(SUPPORT);
    let both = tokio::join!(search(&agent), search(&agent));
    let results = [both.0.result(), both.1.result()];
    let refused = results.iter().filter(|result| result["isError"] == true);
    let told: Vec<&str> = refused
        .map(|result| result["content"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("Too many calls of this client"),
        "{told:?}"
    );
}

#[tokio::test]
async fn on_a_stream_a_refusal_comes_on_the_stream() {
    let house = house_with("limits.client", "{ requests = 2, per = \"1m\" }").await;
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    let arguments = json!({ "name": "Popper" });
    let found = stream.call(1, "search_contacts", arguments.clone()).await;
    assert_eq!(found["result"]["structuredContent"]["count"], 1, "{found}");
    let refused = stream.call(2, "search_contacts", arguments).await;
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    let refused = stream.ask(3, "tools/list", json!({})).await;
    assert_eq!(refused["error"]["code"], 429, "{refused}");
}

#[tokio::test]
async fn a_call_that_is_refused_has_one_line_whatever_else_only_watches() {
    let house = House::with(|setup| {
        setup.set("limits.global", "{ requests = 2, per = \"1h\" }");
        let watching = "{ requests = 1, per = \"1h\", mode = \"shadow\" }";
        setup.set("limits.client", watching);
    })
    .await;
    let agent = house.agent(SUPPORT);
    for status in [200, 200, 429] {
        assert_eq!(search(&agent).await.status, status);
    }
    let told = || Some(house.events("rate_limit_exceeded")).filter(|told| told.len() >= 2);
    let told = eventually("a line each of the second and the third call", told).await;
    let reasons: Vec<_> = told.iter().map(|line| line["reason"].as_str()).collect();
    assert_eq!(reasons, [Some("shadow"), None]);
}
