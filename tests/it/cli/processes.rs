//! Commands that stay: how they begin and how they end.

use super::{run, run_with};
use crate::house::{House, SUPPORT};

#[tokio::test]
async fn demo_and_serve_end_with_0_on_sigint_and_sigterm() {
    for (mut house, signal) in [
        (House::demo().await, "-INT"),
        (House::start().await, "-INT"),
        (House::start().await, "-TERM"),
    ] {
        house.agent(SUPPORT).tools().await;
        house.signal(signal);
        let status = house.ended().await;
        assert_eq!(status.code(), Some(0), "{}", house.operational_log());
        assert_eq!(house.event("drain_end").await["reason"], "clean");
    }
}

#[tokio::test]
async fn a_port_in_use_is_said_with_what_to_do() {
    let house = House::start().await;
    let config = house.file("zoho-mcp.toml");
    let address = house.url.strip_prefix("http://").unwrap();
    let serve = ["serve", "--config", config.to_str().unwrap()];
    for ended in [
        run_with(&serve, &[("ZOHO_MCP__SERVER__LISTEN", address)]),
        run(&["demo", "--listen", address]),
    ] {
        assert_eq!((ended.code, &*ended.out), (1, ""), "{}", ended.err);
        let told = format!("could not listen on {address}; choose another address or port");
        assert!(ended.err.contains(&told), "{}", ended.err);
    }
    let sandbox = run(&["sandbox", "--listen", address]);
    assert_eq!((sandbox.code, &*sandbox.out), (1, ""));
    assert!(sandbox.err.contains(address), "{}", sandbox.err);
}

#[tokio::test]
async fn a_start_that_fails_ends_its_audit_log() {
    let house = House::start().await;
    let config = house.file("zoho-mcp.toml");
    let nowhere = ["--ready-file", "/nonexistent/x"];
    let serve = ["serve", "--config", config.to_str().unwrap()];
    let port = [("ZOHO_MCP__SERVER__LISTEN", "127.0.0.1:0")];
    for ended in [
        run_with(&[&serve[..], &nowhere].concat(), &port),
        run(&[&["demo", "--listen", "127.0.0.1:0"][..], &nowhere].concat()),
    ] {
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert!(ended.err.contains("/nonexistent/x"), "{}", ended.err);
        let last = ended.out.lines().last().unwrap_or_default();
        assert!(last.contains("\"event\":\"log_close\""), "{}", ended.out);
    }
}

#[tokio::test]
async fn the_ready_files_have_what_a_script_needs_and_nobody_else_can_read_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::start().await;
    let demo = House::demo().await;
    for (house, file) in [(&house, "sandbox.json"), (&demo, "demo.json")] {
        let path = house.file(file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
        let ready: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let zoho = &ready["zoho"];
        for field in ["accounts", "api", "client_id", "client_secret"] {
            assert!(zoho[field].is_string(), "{file} {field}");
        }
        for user in ["admin", "manager", "rep-1"] {
            assert!(zoho["refresh_tokens"][user].is_string(), "{file} {user}");
        }
        assert_eq!(ready["sandbox"], zoho["api"], "{file}");
    }
    let ready = std::fs::read(demo.file("demo.json")).unwrap();
    let ready: serde_json::Value = serde_json::from_slice(&ready).unwrap();
    assert_eq!(ready["clients"].as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn a_health_check_follows_the_daemon() {
    let mut house = House::start().await;
    let url = house.url.clone();
    assert_eq!(run(&["healthcheck", "--url", &url]).code, 0);
    assert_eq!(
        run(&["healthcheck", "--url", &format!("{url}/health")]).code,
        0
    );
    assert_eq!(
        run(&["healthcheck", "--url", &format!("{url}/nowhere")]).code,
        1
    );
    // Zoho gone degrades the daemon, and it stays in service.
    house.stop_sandbox();
    house.agent(SUPPORT).search("x").await.failure();
    assert_eq!(run(&["healthcheck", "--url", &url]).code, 0);
    house.signal("-TERM");
    house.ended().await;
    assert_eq!(run(&["healthcheck", "--url", &url]).code, 1);
}
