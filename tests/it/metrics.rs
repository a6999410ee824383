//! What an operator can see: the listener for operators, and the dashboard over it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    house::{DASHBOARD, House, REPORTING, SUPPORT, Setup, command},
    pair::mode,
    redis::Redis,
};

fn watched(setup: &mut Setup) {
    setup.set("server.ops_listen", "127.0.0.1:0");
}

/// Something of everything that is counted.
async fn a_busy_minute(house: &House) {
    let support = house.agent(SUPPORT);
    let found = support.search("Giulia").await.content();
    let id = found["items"][0]["id"].clone();
    support
        .call("create_note", json!({ "record_id": id, "content": "x" }))
        .await
        .content();
    support
        .call("get_contact_history", json!({ "contact_id": "1" }))
        .await
        .failure();
    support
        .call("get_revenue_report", json!({}))
        .await
        .failure();
    support.call("no{such}\"tool", json!({})).await;
    for _ in 0..3 {
        let dashboard = house.agent(DASHBOARD);
        dashboard.call("get_dashboard_metrics", json!({})).await;
    }
    house
        .stranger(Some("zmcp_nonsense"))
        .call("x", json!({}))
        .await;
    support.post("{").await;
    house.agent(REPORTING).stream().await.initialize().await;
    house.signal("-HUP");
    house.event("config_reload").await;
}

/// A house that has a Redis and has seen something of everything.
async fn after_a_busy_minute() -> (Redis, House) {
    let redis = Redis::start();
    let house = House::with(|setup| {
        watched(setup);
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        setup.set(
            "limits.tools.get_dashboard_metrics",
            "{ requests = 2, per = \"1h\" }",
        );
    })
    .await;
    mode(&house, "shared").await;
    a_busy_minute(&house).await;
    (redis, house)
}

#[tokio::test]
async fn everything_that_happens_is_counted_with_help_and_type() {
    let (_redis, house) = after_a_busy_minute().await;
    let scrape = house.operator().get("/metrics").await;
    assert_eq!(scrape.status, 200);
    assert_eq!(scrape.header("content-type"), "text/plain; version=0.0.4");
    let text = scrape.text;
    for wanted in [
        r#"zoho_mcp_tool_calls_total{tool="search_contacts",outcome="success"} 1"#,
        r#"zoho_mcp_tool_errors_total{tool="get_contact_history",error="not_found"} 1"#,
        r#"zoho_mcp_denied_total{reason="not_in_role"} 1"#,
        r#"zoho_mcp_denied_total{reason="unknown_tool"} 1"#,
        r#"zoho_mcp_limited_total{dimension="client:tool",mode="enforce"} 1"#,
        r#"zoho_mcp_logins_total{outcome="failed",reason="malformed"} 1"#,
        r#"zoho_mcp_refusals_total{refusal="unauthenticated"} 1"#,
        r#"zoho_mcp_refusals_total{refusal="unreadable"} 1"#,
        r#"zoho_mcp_reloads_total{event="config_reload",outcome="applied"} 1"#,
        r#"zoho_mcp_zoho_requests_total{method="POST",outcome="ok"}"#,
        r#"zoho_mcp_tool_call_duration_seconds_bucket{tool="create_note",outcome="success",le="+Inf"} 1"#,
        r#"zoho_mcp_credits_total{client="customer-service-agent",tool="create_note"}"#,
        "zoho_mcp_zoho_tokens_minted_total 1",
        "zoho_mcp_calls_in_flight 0",
        "zoho_mcp_audit_writable 1",
        "zoho_mcp_zoho_up 1",
        r#"zoho_mcp_limiter_mode{mode="shared"} 1"#,
        r#"zoho_mcp_limit_decisions_total{by="shared",outcome="admitted"}"#,
        r#"zoho_mcp_limit_decisions_total{by="shared",outcome="refused"} 1"#,
        r#"zoho_mcp_redis_request_duration_seconds_count{outcome="ok"}"#,
        "zoho_mcp_limiter_replicas 1",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    assert!(!text.contains("such"), "a caller's text is no label");
    for name in names(&text) {
        for about in ["HELP", "TYPE"] {
            assert!(
                text.contains(&format!("# {about} {name} ")),
                "{about} of {name}"
            );
        }
    }
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_show_what_there_is() {
    let (_redis, house) = after_a_busy_minute().await;
    let there = names(&house.operator().get("/metrics").await.text);
    let dashboard: Value =
        serde_json::from_str(include_str!("../../deploy/grafana/zoho-mcp.json")).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let ours =
                words.filter(|word| word.starts_with("zoho_mcp_") || word.starts_with("process_"));
            shown.extend(ours.map(|word| word.trim_end_matches("_bucket").to_owned()));
        }
    }
    let alerts = include_str!("../../deploy/prometheus/alerts.yaml");
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("zoho_mcp_"));
    shown.extend(ours.map(|word| word.trim_end_matches("_bucket").to_owned()));
    let unknown: Vec<_> = shown.difference(&there).collect();
    assert!(unknown.is_empty(), "shown, but not there: {unknown:?}");
    let hidden: Vec<_> = there.difference(&shown).collect();
    assert!(hidden.is_empty(), "there, but not shown: {hidden:?}");
}

#[tokio::test]
async fn metrics_are_on_the_listener_for_operators_only() {
    let house = House::with(watched).await;
    assert_eq!(house.agent(SUPPORT).get("/metrics").await.status, 404);
    assert_eq!(
        house.operator().get("/health").await.json()["status"],
        "healthy"
    );
    let lured = house
        .operator()
        .with("host", "evil.example")
        .get("/metrics")
        .await;
    assert_eq!(lured.status, 403);
    assert_eq!(house.operator().post("{}").await.status, 404);
}

#[tokio::test]
async fn a_listener_without_a_credential_stays_on_this_machine() {
    let house = House::start().await;
    let config = house.file("zoho-mcp.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    for (more, code) in [("", 64), ("\nops_anywhere = true", 0)] {
        let more = format!("[server]\nops_listen = \"0.0.0.0:9090\"{more}");
        std::fs::write(&config, text.replace("[server]", &more)).unwrap();
        let checked = command(&["check", "--config", config.to_str().unwrap()]);
        assert_eq!(checked.status.code(), Some(code), "{more}");
        let said = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(said.contains("server.ops_listen"), code == 64, "{said}");
    }
}

/// The names of the metrics in a scrape; of histograms without their endings.
fn names(text: &str) -> BTreeSet<String> {
    let samples = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let names = samples.map(|line| line.split(['{', ' ']).next().unwrap());
    let whole = names.map(|name| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(name)
    });
    whole.map(str::to_owned).collect()
}
