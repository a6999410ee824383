//! What CloudWatch makes of the log: the queries give right answers on real lines, and everything
//! that is named anywhere exists.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    house::{DASHBOARD, House, REPORTING, SUPPORT},
    insights::{Query, Row},
};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cloudwatch")
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// Two calls that succeed, one that fails, three kinds of refusal, and a clean end.
async fn a_day() -> Vec<Value> {
    let mut house = House::with(|setup| {
        setup.set(
            "limits.tools.get_dashboard_metrics",
            "{ requests = 1, per = \"1h\" }",
        );
    })
    .await;
    let support = house.agent(SUPPORT);
    let found = support.search("Giulia").await.content();
    let note = json!({ "record_id": found["items"][0]["id"], "content": "x" });
    support.call("create_note", note).await.content();
    support
        .call("get_contact_history", json!({ "contact_id": "1" }))
        .await
        .failure();
    support
        .call("get_revenue_report", json!({}))
        .await
        .failure();
    let dashboard = house.agent(DASHBOARD);
    dashboard
        .call("get_dashboard_metrics", json!({}))
        .await
        .content();
    for _ in 0..2 {
        assert_eq!(
            dashboard
                .call("get_dashboard_metrics", json!({}))
                .await
                .status,
            429
        );
        house.stranger(None).call("x", json!({})).await;
    }
    house
        .agent(REPORTING)
        .call("get_deal_summary", json!({}))
        .await
        .content();
    house.signal("-TERM");
    house.ended().await;
    house.event("log_close").await;
    house.audit()
}

fn number(row: &Row, name: &str) -> f64 {
    row.get(name)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{name} in {row:?}"))
}

fn named(text: &str, name: &str, lines: &[Value]) -> Vec<Row> {
    let query = text.replace("00000000-0000-0000-0000-000000000000", name);
    Query::parse(&query).run(lines)
}

#[tokio::test]
async fn the_queries_about_calls_are_right() {
    let lines = a_day().await;
    let run = |name: &str| Query::parse(&text(name)).run(&lines);
    let today: Vec<_> = run("client-today.query")
        .iter()
        .map(|row| row["what"].clone())
        .collect();
    let events = [
        "tool_call_success",
        "tool_call_success",
        "tool_call_error",
        "tool_access_denied",
    ];
    assert_eq!(today, events);
    let slowest = run("slowest-tools.query");
    assert_eq!(slowest.len(), 5);
    assert!(slowest.is_sorted_by(|a, b| number(a, "p95Ms") >= number(b, "p95Ms")));
    assert!(
        slowest
            .iter()
            .all(|row| number(row, "maxMs") >= number(row, "meanMs"))
    );
    let failures = run("failures.query");
    assert_eq!(
        (failures.len(), &failures[0]["error"]),
        (1, &json!("not_found"))
    );
    let by_error = run("failures-by-error.query");
    assert_eq!(number(&by_error[0], "failures"), 1.0);
    let note = lines
        .iter()
        .find(|line| line["toolName"] == "create_note")
        .unwrap();
    let id = note["executionId"].as_str().unwrap();
    let call = named(&text("execution.query"), id, &lines);
    let events: Vec<_> = call.iter().map(|row| row["event"].clone()).collect();
    assert_eq!(events, ["tool_call_start", "tool_call_success"]);
    assert!(number(&call[1], "zohoRequests") >= 1.0);
    assert_eq!(call[1]["outcome"], "created");
    assert!(call[1]["recordId"].is_string());
    let whole = |n: usize| call[n]["@message"].as_str().unwrap();
    assert!(whole(0).contains("\"args\":{") && whole(1).contains("\"zoho\":[{"));
}

#[tokio::test]
async fn a_line_of_another_log_in_the_same_group_counts_for_nothing() {
    let lines = a_day().await;
    let others = lines.iter().cloned().map(|mut line| {
        line.as_object_mut().unwrap().remove("hash");
        line
    });
    let merged: Vec<_> = others.chain(lines.iter().cloned()).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".query") {
            let query = Query::parse(&text(&name));
            assert_eq!(query.run(&merged), query.run(&lines), "{name}");
        }
    }
    let template = text("observability.yaml");
    for pattern in template.split("FilterPattern: ").skip(1) {
        let pattern = pattern.lines().next().unwrap();
        assert!(pattern.contains("{ ($.hash = *) && ("), "{pattern}");
    }
    for query in template.split("SOURCE '${LogGroupName}' | ").skip(1) {
        assert!(query.starts_with("filter ispresent(hash) and "), "{query}");
    }
}

#[test]
fn a_call_that_nobody_waited_for_is_a_slow_one_as_well() {
    let ended = |event: &str, ms: u64| json!({ "event": event, "toolName": "t", "durationMs": ms, "hash": "h" });
    let lines = [
        ended("tool_call_success", 5),
        ended("tool_call_cancelled", 9000),
    ];
    let rows = Query::parse(&text("slowest-tools.query")).run(&lines);
    assert_eq!(number(&rows[0], "maxMs"), 9000.0);
}

#[tokio::test]
async fn the_queries_about_refusals_credits_and_the_log_are_right() {
    let lines = a_day().await;
    let run = |name: &str| Query::parse(&text(name)).run(&lines);
    let refusals = run("refusals.query");
    assert_eq!(refusals.len(), 3);
    let limited = refusals
        .iter()
        .find(|row| row["event"] == "rate_limit_exceeded")
        .unwrap();
    assert_eq!(number(limited, "refusals"), 2.0);
    assert!(number(limited, "longestWait") > 3000.0);
    let credits: f64 = run("credits.query")
        .iter()
        .map(|row| number(row, "spent"))
        .sum();
    let spent: f64 = lines
        .iter()
        .filter_map(|line| line["credits"].as_f64())
        .sum();
    assert!(credits > 3.0 && credits == spent, "{credits} {spent}");
    let callers = run("unusual-callers.query");
    let [caller] = &callers[..] else {
        panic!("one address: {callers:?}");
    };
    let counts = ["failed", "succeeded", "clients"].map(|name| number(caller, name));
    let logged_in = lines.iter().filter(|line| line["event"] == "auth_success");
    let logged_in = logged_in.count() as f64;
    assert_eq!(counts, [2.0, logged_in, logged_in]);
    assert_eq!(caller["client"], REPORTING);
    let trust: Vec<_> = run("log-trust.query")
        .iter()
        .map(|row| row["event"].clone())
        .collect();
    assert_eq!(trust.len(), 4);
    assert!(trust.contains(&json!("log_open")) && trust.contains(&json!("log_close")));
}

#[tokio::test]
async fn every_field_that_is_named_anywhere_exists() {
    let lines = a_day().await;
    let mut there: BTreeSet<String> = BTreeSet::new();
    for line in &lines {
        there.extend(line.as_object().unwrap().keys().cloned());
    }
    let documented = include_str!("../../docs/audit.md");
    let silent: Vec<_> = there
        .iter()
        .filter(|name| !documented.contains(&format!("`{name}`")))
        .collect();
    assert!(
        silent.is_empty(),
        "docs/audit.md does not say what {silent:?} are"
    );
    // Of a run after another, of a signed one, and of what is told once a minute.
    let rare = [
        "previousBoot",
        "previousSeq",
        "previousEnd",
        "previousUnended",
        "signer",
        "repeated",
    ];
    there.extend(rare.map(str::to_owned));
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".query") {
            let fields = Query::parse(&text(&name)).fields();
            let unknown: Vec<_> = fields.difference(&there).collect();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
    }
    let template = text("observability.yaml");
    for part in template.split("$.").skip(1) {
        let field = part.split(|c: char| !c.is_alphanumeric()).next().unwrap();
        assert!(there.contains(field), "observability.yaml: {field}");
    }
    let events = include_str!("../../docs/audit.md");
    for part in template.split("$.event = \"").skip(1) {
        let event = part.split('"').next().unwrap();
        assert!(
            events.contains(&format!("`{event}`")),
            "observability.yaml: {event}"
        );
    }
}

#[test]
fn the_template_saves_the_queries_as_they_are() {
    let template = text("observability.yaml");
    let plain = template.replace("        ", "");
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".query") {
            assert!(plain.contains(text(&name).trim_end()), "{name}");
        }
    }
    for metric in template.split("\"${Namespace}\",").skip(1) {
        let name = metric.split('"').nth(1).unwrap();
        assert!(
            template.contains(&format!("MetricName: {name}\n")),
            "{name}"
        );
    }
}

#[test]
fn what_a_client_began_and_never_ended_is_told_as_well() {
    let line = |n: u8, event: &str| {
        json!({ "event": event, "clientId": SUPPORT, "requestId": n.to_string(), "toolName": "t",
            "timestamp": format!("2026-03-31T00:00:0{n}.000Z"), "hash": "h" })
    };
    let mut watched = line(5, "rate_limit_exceeded");
    watched["reason"] = json!("shadow");
    let lines = [
        line(1, "tool_call_start"),
        line(2, "tool_call_start"),
        line(3, "tool_call_start"),
        line(3, "tool_call_error"),
        line(1, "tool_call_success"),
        line(4, "rate_limit_exceeded"),
        watched,
        line(5, "tool_call_start"),
    ];
    let rows = Query::parse(&text("client-today.query")).run(&lines);
    let told: Vec<_> = rows.iter().map(|row| row["what"].as_str()).collect();
    let wanted = [
        "tool_call_success",
        "no end",
        "tool_call_error",
        "rate_limit_exceeded",
        "no end",
    ];
    assert_eq!(told, wanted.map(Some));
}

#[test]
fn failed_logins_that_share_a_line_are_all_added_up() {
    let failed =
        json!({ "event": "auth_failed", "reason": "no_credential", "ip": "::1", "hash": "h" });
    let mut many = failed.clone();
    many["repeated"] = json!(35);
    let good =
        json!({ "event": "auth_success", "ip": "::1", "role": "r", "clientId": "c", "hash": "h" });
    let rows = Query::parse(&text("unusual-callers.query")).run(&[failed, many, good]);
    let counts = ["failed", "succeeded"].map(|name| number(&rows[0], name));
    assert_eq!(counts, [36.0, 1.0]);
    let widgets = text("observability.yaml");
    let mut widgets = widgets.split("SOURCE '${LogGroupName}' | ").skip(1);
    let logins = widgets.find(|query| query.contains(" as logins"));
    assert!(logins.unwrap().contains("coalesce(repeated, 1) as times"));
}

#[test]
fn a_line_that_stands_for_many_failed_logins_counts_as_many() {
    let line =
        json!({ "event": "auth_failed", "reason": "no_credential", "repeated": 35, "hash": "h" });
    let rows = Query::parse(&text("refusals.query")).run(&[line]);
    assert_eq!(number(&rows[0], "oneLineFor"), 35.0);
    let template = text("observability.yaml");
    let metrics = template.split("MetricName: LoginsFailed\n").skip(1);
    let filters = metrics.filter(|it| it.trim_start().starts_with("MetricValue"));
    let values: Vec<_> = filters.map(|it| it.split('"').nth(1).unwrap()).collect();
    assert_eq!(values, ["1", "$.repeated"]);
    assert!(template.contains(r#"($.event = "auth_failed") && ($.repeated NOT EXISTS)"#));
}

#[test]
fn a_limit_that_only_watches_is_no_refusal() {
    let shadow = json!({ "event": "rate_limit_exceeded", "reason": "shadow", "policy": "client", "hash": "h" });
    let limited = json!({ "event": "rate_limit_exceeded", "policy": "client", "hash": "h" });
    let rows = Query::parse(&text("refusals.query")).run(&[shadow, limited]);
    assert_eq!(rows.len(), 1);
    let alarms = text("observability.yaml");
    assert!(alarms.contains(r#"($.reason NOT EXISTS) || ($.reason != "shadow")"#));
}

#[test]
fn the_log_driver_waits_instead_of_dropping_lines() {
    let driver: Value = serde_json::from_str(&text("log-configuration.json")).unwrap();
    assert_eq!(driver["options"]["mode"], "blocking");
}
