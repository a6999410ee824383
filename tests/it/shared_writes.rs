//! Every tool that writes does so once for a key: on two instances, whatever happens on the way.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    agent::Answer,
    house::{House, SUPPORT, Setup, eventually},
    pair::pair,
    redis::Redis,
    tools::everything_allowed,
};

/// A write: its tool, the module and method by which it reaches Zoho, its arguments.
type Write = (&'static str, &'static str, &'static str, Value);

/// What Zoho may do to a write, and whether the write has happened then.
const FAULTS: [(&str, bool); 6] = [
    (r#"{ "fault": "reset_before" }"#, false),
    (r#"{ "fault": "reset_after_commit" }"#, true),
    (r#"{ "fault": "latency", "delay": "3s" }"#, true),
    (r#"{ "fault": "late_commit", "delay": "1s" }"#, true),
    (r#"{ "fault": "status", "status": 500 }"#, false),
    (r#"{ "fault": "status", "status": 429 }"#, false),
];

/// The `n`th write of each tool, no two of which are about one record.
async fn writes(house: &House, n: usize) -> Vec<Write> {
    let ids = async |module: &str, condition: &str| house.zoho.ids(module, condition).await;
    let contact = ids("Contacts", "id is not null").await.remove(n);
    let task = ids("Tasks", "Status = 'Not Started'").await.remove(n);
    let deal = ids("Deals", "Stage = 'Needs Analysis'").await.remove(n);
    let text = format!("number {n}");
    let mut writes = vec![
        (
            "create_note",
            "Notes",
            "POST",
            json!({ "record_id": contact, "content": text }),
        ),
        (
            "create_task",
            "Tasks",
            "POST",
            json!({ "record_id": contact, "subject": text,
            "description": "two\nlines", "due_date": "2031-01-01" }),
        ),
        (
            "log_call",
            "Calls",
            "POST",
            json!({ "record_id": deal, "module": "Deals",
            "subject": text, "direction": "Inbound", "start_time": "2026-01-05T10:00:00+01:00",
            "duration_minutes": 7, "description": "<b>bold</b> & more" }),
        ),
        (
            "create_lead",
            "Leads",
            "POST",
            json!({ "last_name": "O'Neil", "company": text }),
        ),
        ("complete_task", "Tasks", "PUT", json!({ "task_id": task })),
        (
            "update_deal_stage",
            "Deals",
            "PUT",
            json!({ "deal_id": deal, "stage": "Closed Won",
            "expected_stage": "Needs Analysis" }),
        ),
        (
            "update_contact",
            "Contacts",
            "PUT",
            json!({ "contact_id": contact, "title": text }),
        ),
    ];
    for (_, _, _, arguments) in &mut writes {
        arguments["idempotency_key"] = json!(format!("key-{n}"));
    }
    writes
}

async fn call(house: &House, write: &Write) -> Answer {
    house.agent(SUPPORT).call(write.0, write.3.clone()).await
}

/// Tries until it is told anything but to come back.
async fn done(house: &House, write: &Write) -> Value {
    for _ in 0..600 {
        let result = call(house, write).await.result();
        if result["isError"] != true {
            return result["structuredContent"].clone();
        }
        let told = result["content"][0]["text"].as_str().unwrap().to_owned();
        let later = told.contains("still running") || told.contains("not known yet");
        assert!(later, "{}: {told}", write.0);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {} to be done", write.0);
}

async fn fault(house: &House, write: &Write, mut fault: Value) {
    fault["path"] = json!(format!("/crm/v8/{}", write.1));
    fault["method"] = json!(write.2);
    fault["times"] = json!(1);
    house.zoho.fault(fault).await;
}

fn hasty(setup: &mut Setup) {
    everything_allowed(setup);
    // An attempt that was lost is in doubt for twice as long.
    setup.set("zoho.request_timeout", "600ms");
}

#[tokio::test]
async fn each_tool_writes_once_whatever_zoho_does() {
    let redis = Redis::start();
    let [one, two] = pair(&redis, hasty).await;
    for (n, (kind, happened)) in FAULTS.into_iter().enumerate() {
        let writes = writes(&one, n).await;
        for write in &writes {
            fault(&one, write, serde_json::from_str(kind).unwrap()).await;
            call(&one, write).await.failure();
            // So many failures in a row would make the daemon ask no more.
            let arguments = json!({ "name": "Popper" });
            let agent = one.agent(SUPPORT);
            agent.call("search_contacts", arguments).await.content();
        }
        let settled = writes
            .iter()
            .map(|write| settle(&one, &two, write, (kind, happened)));
        join_all(settled).await;
        for (_, module, ..) in &writes {
            let each = writes.iter().filter(|write| write.1 == *module).count();
            let written = one.zoho.written(module).await;
            assert_eq!(written, each * (n + 1), "{module} after {kind}");
        }
    }
}

/// Repeats a write that failed on the one, until it is done, and then some.
async fn settle(one: &House, two: &House, write: &Write, (kind, happened): (&str, bool)) {
    let tool = write.0;
    let made = done(two, write).await;
    let fresh = ["created", "updated"].contains(&made["outcome"].as_str().unwrap());
    assert_eq!(fresh, !happened, "{tool} after {kind}: {made}");
    let again = done(one, write).await;
    assert_eq!(again["outcome"], "replayed", "{tool} after {kind}");
    let mut different = write.clone();
    let (name, value) = other(tool);
    different.3[name] = value;
    let told = call(two, &different).await.failure();
    assert!(
        told.contains("already used with other arguments"),
        "{tool}: {told}"
    );
}

/// An argument that another call with the same key has.
fn other(tool: &str) -> (&'static str, Value) {
    match tool {
        "create_note" => ("content", json!("other")),
        "create_task" | "log_call" => ("subject", json!("other")),
        "create_lead" => ("company", json!("other")),
        "complete_task" => ("task_id", json!("1")),
        "update_deal_stage" => ("stage", json!("Closed Lost")),
        _ => ("title", json!("other")),
    }
}

#[tokio::test]
async fn what_an_instance_wrote_before_it_was_killed_is_found_by_another() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, |setup| {
        everything_allowed(setup);
        setup.set("mcp.tool_timeout", "2s");
        setup.set("zoho.request_timeout", "2s");
    })
    .await;
    let writes = writes(&one, 0).await;
    // So that nothing but the writes themselves is left to ask for.
    other
        .agent(SUPPORT)
        .call("get_deal_summary", json!({}))
        .await;
    let before = total(&one).await;
    for write in &writes {
        fault(&one, write, json!({ "fault": "latency", "delay": "30s" })).await;
    }
    let calls = writes.iter().map(|write| {
        let (agent, write) = (one.agent(SUPPORT), write.clone());
        let call = json!({ "name": write.0, "arguments": write.3 });
        tokio::spawn(async move { agent.try_ask("tools/call", call).await.is_some() })
    });
    let calls: Vec<_> = calls.collect();
    for _ in 0..400 {
        if total(&one).await - before == writes.len() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    one.crash();
    join_all(calls).await;
    let done = join_all(writes.iter().map(|write| done(&other, write))).await;
    for (write, made) in writes.iter().zip(done) {
        assert_eq!(made["outcome"], "found", "{}", write.0);
    }
    assert_eq!(total(&other).await - before, writes.len());
}

/// All records written so far.
async fn total(house: &House) -> usize {
    let journal = house.zoho.journal().await;
    let committed = journal
        .iter()
        .filter_map(|entry| entry["committed"].as_array());
    committed.map(Vec::len).sum()
}

#[tokio::test]
async fn the_log_has_a_write_before_zoho_hears_of_it() {
    let redis = Redis::start();
    let [one, _other] = pair(&redis, hasty).await;
    for write in writes(&one, 0).await {
        fault(
            &one,
            &write,
            json!({ "fault": "latency", "delay": "400ms" }),
        )
        .await;
        let (agent, sent) = (one.agent(SUPPORT), write.clone());
        let call = tokio::spawn(async move { agent.call(sent.0, sent.3).await.content() });
        let started =
            |line: &Value| line["event"] == "tool_call_start" && line["toolName"] == write.0;
        let start = one.recorded("the start", started).await;
        assert_eq!(start["level"], "info");
        call.await.unwrap();
        let ended = |line: &Value| {
            line["event"] == "tool_call_success" && line["executionId"] == start["executionId"]
        };
        let end = eventually("the end", || one.audit().into_iter().find(|it| ended(it))).await;
        assert!(
            end["recordId"].is_string() && end["outcome"].is_string(),
            "{end}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_hangs_up_and_asks_elsewhere_writes_once_though_zoho_is_late() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        everything_allowed(setup);
        setup.set("zoho.request_timeout", "3s");
    })
    .await;
    let one = &houses[0];
    // On the other instance, and on the same.
    for (n, again) in [&houses[1], one].into_iter().enumerate() {
        let writes = writes(one, n).await;
        let (before, cancelled) = (total(one).await, one.events("tool_call_cancelled").len());
        for write in &writes {
            let kind = json!({ "fault": "late_commit", "delay": "2500ms" });
            fault(one, write, kind).await;
        }
        let calls = writes.iter().map(|write| {
            let (agent, write) = (one.agent(SUPPORT), write.clone());
            tokio::spawn(async move { agent.call(write.0, write.3).await })
        });
        let calls: Vec<_> = calls.collect();
        while late(one).await < writes.len() * (n + 1) {
            tokio::task::yield_now().await;
        }
        calls.iter().for_each(|call| call.abort());
        let all = cancelled + writes.len();
        let ended = || one.events("tool_call_cancelled").len() == all;
        eventually("the ends", || ended().then_some(())).await;
        let done = join_all(writes.iter().map(|write| done(again, write))).await;
        for (write, made) in writes.iter().zip(done) {
            assert_eq!(made["outcome"], "found", "{}", write.0);
        }
        assert_eq!(total(one).await - before, writes.len());
    }
}

/// How many writes have come that take effect late.
async fn late(house: &House) -> usize {
    let journal = house.zoho.journal().await;
    let late = journal
        .iter()
        .filter(|entry| entry["fault"] == "late_commit");
    late.count()
}

#[tokio::test]
async fn a_write_costs_what_its_description_says() {
    let redis = Redis::start();
    let [house, _other] = pair(&redis, everything_allowed).await;
    let listed = house.agent(SUPPORT).list().await.result();
    let spent = async |write: &Write| {
        let before = house.zoho.asked().await.len();
        call(&house, write).await.content();
        let asked = house.zoho.asked().await.split_off(before);
        // What belongs to the organisation is asked once an hour.
        let own = |entry: &&Value| !entry["path"].as_str().unwrap().ends_with("/org");
        asked.iter().filter(own).count()
    };
    for mut write in writes(&house, 0).await {
        // A Redis that began empty may have known the key, and of no field it is known yet that it is kept.
        let (most, least, said) = match write.0 {
            "create_note" => (3, 1, 4),
            "create_lead" => (3, 1, 3),
            "create_task" | "log_call" => (4, 1, 4),
            _ => continue,
        };
        assert_eq!(spent(&write).await, most, "{} with a key", write.0);
        assert_eq!(spent(&write).await, 0, "{} again", write.0);
        write.3.as_object_mut().unwrap().remove("idempotency_key");
        assert_eq!(spent(&write).await, least, "{} without a key", write.0);
        let tools = listed["tools"].as_array().unwrap();
        let tool = tools.iter().find(|tool| tool["name"] == write.0).unwrap();
        let told = tool["description"].as_str().unwrap();
        let costs = format!("Costs {least} to {said} API credits, rarely more.");
        assert!(told.ends_with(&costs), "{told}");
    }
}

#[tokio::test]
async fn what_died_with_redis_is_looked_for() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, everything_allowed).await;
    let writes = writes(&one, 0).await;
    join_all(writes.iter().map(|write| done(&one, write))).await;
    let before = total(&one).await;
    one.crash();
    let _: String = redis.ask(&["FLUSHALL"]);
    let again = join_all(writes.iter().map(|write| done(&other, write))).await;
    for (write, made) in writes.iter().zip(again) {
        let is_new = ["created", "updated"].contains(&made["outcome"].as_str().unwrap());
        assert!(!is_new, "{}: {made}", write.0);
    }
    assert_eq!(total(&other).await, before);
}

#[tokio::test]
async fn a_lost_write_is_found_though_zohos_clock_is_hours_ahead() {
    let redis = Redis::start();
    let [one, other] = pair(&redis, hasty).await;
    // Before the attempt, and after it.
    for (n, moved) in [(0, "before"), (1, "after")] {
        if moved == "before" {
            one.zoho.later("2h").await;
        }
        let writes = writes(&one, n).await;
        for write in &writes {
            fault(&one, write, json!({ "fault": "reset_after_commit" })).await;
            call(&one, write).await.failure();
            let arguments = json!({ "name": "Popper" });
            let agent = one.agent(SUPPORT);
            agent.call("search_contacts", arguments).await.content();
        }
        let before = total(&one).await;
        if moved == "after" {
            one.zoho.later("2h").await;
        }
        let found = join_all(writes.iter().map(|write| done(&other, write))).await;
        for (write, made) in writes.iter().zip(found) {
            assert_eq!(made["outcome"], "found", "{} moved {moved}", write.0);
        }
        assert_eq!(total(&one).await, before, "moved {moved}");
    }
}
