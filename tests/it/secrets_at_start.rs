//! A start while the secrets in AWS cannot be had, and a check of them.

use serde_json::json;

use crate::{
    agent::Agent,
    house::{House, SUPPORT, eventually, key_document},
    moto::{Early, Stub, command_in, environment},
};

#[tokio::test]
async fn a_start_waits_for_keys_in_aws_alive_but_not_ready() {
    let stub = Stub::start().await;
    let early = Early::start(
        "source = \"aws:keys\"\nrefresh = \"1s\"",
        &stub.environment(),
    );
    let anybody = Agent::new(&early.url, None);
    let said = "not ready: waiting for secrets";
    eventually(said, || early.log().contains(said).then_some(())).await;
    eventually("the first answer", || {
        let address = early.url.strip_prefix("http://").unwrap();
        std::net::TcpStream::connect(address).ok()
    })
    .await;
    assert_eq!(anybody.get("/livez").await.status, 200);
    assert_eq!(anybody.get("/readyz").await.status, 503);
    let health = anybody.get("/health").await;
    assert_eq!(
        (health.status.as_u16(), &health.json()["status"]),
        (503, &json!("unhealthy"))
    );
    let call = anybody.list().await;
    assert_eq!(
        (call.status.as_u16(), call.header("retry-after")),
        (503, "1")
    );
    assert!(!early.is_ready());
    let (key, document) = key_document(SUPPORT);
    stub.hold("keys", &document);
    eventually("the daemon to be ready", || early.is_ready().then_some(())).await;
    assert_eq!(anybody.get("/readyz").await.status, 200);
    assert_eq!(Agent::new(&early.url, Some(&key)).status().await, 200);
}

#[tokio::test]
async fn a_start_that_waited_long_enough_ends_and_says_why() {
    let waits = "source = \"aws:prod/keys\"\nrefresh = \"1s\"\nstart_deadline = \"2s\"";
    let stub = Stub::start().await;
    stub.fail("prod/keys", 400, "AccessDeniedException");
    let (code, said) = Early::start(waits, &stub.environment()).ended().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no usable secrets within 2s"), "{said}");
    assert!(said.contains("aws:prod/keys: access denied; allow secretsmanager:GetSecretValue"));
    let unreachable = environment("http://127.0.0.1:9");
    let (code, said) = Early::start(waits, &unreachable).ended().await;
    assert!(
        code == Some(1) && said.contains("AWS_ENDPOINT_URL"),
        "{said}"
    );
    let mut nobody = stub.environment();
    nobody.retain(|name, _| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SECRET"));
    let (code, said) = Early::start(waits, &nobody).ended().await;
    assert!(
        code == Some(1) && said.contains("no AWS credentials were found"),
        "{said}"
    );
}

#[tokio::test]
async fn a_start_that_waiting_cannot_help_ends_at_once() {
    let stub = Stub::start().await;
    let mut nowhere = stub.environment();
    nowhere.remove("AWS_REGION");
    for (auth, says) in [
        ("source = \"file:missing.json\"", "missing.json"),
        (
            "source = \"env:MISSING_KEYS\"",
            "MISSING_KEYS for a secret is not set",
        ),
        (
            "source = \"aws:keys\"",
            "name the secret by its ARN, or set AWS_REGION",
        ),
        ("source = \"aws:keys with spaces\"", "auth.api_keys.source"),
    ] {
        let (code, said) = Early::start(auth, &nowhere).ended().await;
        assert!(code == Some(64) && said.contains(says), "{code:?} {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_asks_aws_only_when_it_may_go_online() {
    let stub = Stub::start().await;
    stub.fail("keys", 400, "DecryptionFailure");
    let house = House::start().await;
    let config = house.file("zoho-mcp.toml");
    let mut environment = stub.environment();
    let name = "ZOHO_MCP__AUTH__API_KEYS__SOURCE".to_owned();
    environment.insert(name, "aws:keys".to_owned());
    let offline = ["check", "--config", config.to_str().unwrap()];
    let skipped = command_in(&environment, &offline);
    assert!(skipped.status.success());
    assert!(String::from_utf8_lossy(&skipped.stdout).contains("skipped  secrets"));
    assert!(stub.asked().is_empty());
    let online = [&offline[..], &["--online"]].concat();
    let failed = command_in(&environment, &online);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(64));
    assert!(
        said.contains("auth.api_keys.source") && said.contains("kms:Decrypt"),
        "{said}"
    );
}
