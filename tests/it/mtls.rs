//! Clients that prove themselves by certificate, and all those that must not.

use rcgen::DnType;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    agent::Agent,
    house::{REPORTING, SUPPORT, Setup, command, eventually},
    pki::{Ca, Identity, TlsHouse, behind_balancer, by_uri},
    wire::listing,
};

const URI: &str = "spiffe://example.com/support";
const OTHER: &str = "spiffe://example.com/reporting";

fn named(setup: &mut Setup) {
    setup.set("clients.customer-service-agent.certificate", URI);
    setup.set("clients.reporting-agent.certificate", OTHER);
}

/// A house that asks for certificates of `clients`, and knows what was taken back.
async fn house(clients: &Ca, how: &str, crl: Option<&str>) -> TlsHouse {
    TlsHouse::with(|setup| {
        TlsHouse::ask(setup, how, clients);
        named(setup);
        if let Some(crl) = crl {
            setup.file("clients.crl", crl);
            setup.set("server.tls.client_crl", "clients.crl");
        }
    })
    .await
}

#[tokio::test]
async fn a_certificate_alone_names_its_client() {
    let clients = Ca::root("clients");
    let tls = house(&clients, "required", None).await;
    let identity = clients.client(URI);
    let agent = tls.agent(Some(&identity));
    assert!(agent.tools().await.contains(&"create_note".to_owned()));
    let told = tls.house.event("auth_success").await;
    assert_eq!(
        (&told["clientId"], &told["authMethod"]),
        (&json!(SUPPORT), &json!("mtls"))
    );
    assert_eq!(told["keyId"].as_str().unwrap().len(), 16);
    let other = tls.agent(Some(&clients.client(OTHER)));
    assert!(!other.tools().await.contains(&"create_note".to_owned()));
}

#[tokio::test]
async fn a_health_check_shows_a_certificate_where_one_is_required() {
    let clients = Ca::root("clients");
    let tls = house(&clients, "required", None).await;
    let pem = tls.house.file("probe.pem");
    std::fs::write(&pem, clients.client(URI).bundle()).unwrap();
    let pem = pem.to_str().unwrap();
    let probe = ["healthcheck", "--url", &tls.house.url];
    assert!(!command(&probe).status.success());
    let probed = command(&[&probe[..], &["--cert", pem, "--key", pem]].concat());
    assert!(probed.status.success(), "{probed:?}");
}

#[tokio::test]
async fn a_client_may_have_to_show_a_certificate_and_a_key() {
    let clients = Ca::root("clients");
    let tls = TlsHouse::with(|setup| {
        TlsHouse::ask(setup, "optional", &clients);
        named(setup);
        setup.set(
            "clients.customer-service-agent.credentials",
            "[\"mtls\", \"api_key\"]",
        );
    })
    .await;
    let identity = clients.client(URI);
    let ask = async |identity, key: Option<&str>| {
        let agent = tls.agent(identity);
        let agent = key
            .iter()
            .fold(agent, |agent, key| agent.with("x-api-key", key));
        let answer = agent.list().await;
        (answer.status.as_u16(), answer.text)
    };
    let key = tls.house.keys[SUPPORT].as_str();
    let required = |what| (401, format!(r#"{{"error":"{what} required"}}"#));
    assert_eq!(ask(None, Some(key)).await, required("Client certificate"));
    assert_eq!(ask(Some(&identity), None).await, required("API key"));
    assert_eq!(ask(Some(&identity), Some(key)).await.0, 200);
    let told = tls.house.event("auth_success").await;
    assert_eq!(told["authMethod"], "mtls+api_key");
    let (fingerprint, key_id) = told["keyId"].as_str().unwrap().split_once('+').unwrap();
    assert_eq!((fingerprint.len(), key_id), (16, &key[10..20]));
    // The log tells `keys` that this key is in use, whatever it was shown beside.
    let log = tls.house.file("copy.jsonl");
    std::fs::write(&log, tls.house.audit_text().join("\n")).unwrap();
    let (log, store) = (log.to_str().unwrap(), tls.house.file("keys.json"));
    let retire = ["keys", "retire", "--key", key_id, "--usage", log, "--store"];
    let refused = command(&[&retire[..], &[store.to_str().unwrap()]].concat());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("was used at"), "{said}");
}

#[tokio::test]
async fn a_certificate_and_a_key_may_not_disagree() {
    let clients = Ca::root("clients");
    let tls = house(&clients, "optional", None).await;
    let with_key = |identity, client| {
        let agent = tls.agent(identity);
        agent.with("x-api-key", &tls.house.keys[client])
    };
    let identity = clients.client(URI);
    let status = async |identity, client| {
        let agent = with_key(identity, client);
        agent.status().await
    };
    assert_eq!(status(None, SUPPORT).await, 200);
    assert_eq!(status(Some(&identity), SUPPORT).await, 200);
    assert_eq!(status(Some(&identity), REPORTING).await, 401);
    assert_eq!(tls.status(None).await, Some(401));
}

#[tokio::test]
async fn nobody_is_cleared_by_an_expired_list() {
    let clients = Ca::root("clients");
    let tls = house(&clients, "required", Some(&clients.crl(&[], 2021))).await;
    assert_eq!(tls.status(Some(&clients.client(URI))).await, None);
    assert_eq!(
        tls.house.event("auth_failed").await["reason"],
        "crl_expired"
    );
    eventually("a word about the list", || {
        let log = tls.house.operational_log();
        log.contains("its certificates are refused").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_newest_list_counts_wherever_it_stands_in_the_file() {
    let clients = Ca::root("clients");
    let (good, revoked) = (clients.client(URI), clients.client(URI));
    // Out of date, then one that takes nothing back, then the newest.
    let lists = [
        clients.crl(&[], 2021),
        clients.crl(&[], 2090),
        clients.crl(&[revoked.serial()], 2090),
    ];
    let reversed: Vec<String> = lists.iter().rev().cloned().collect();
    for file in [lists.concat(), reversed.concat()] {
        let tls = house(&clients, "required", Some(&file)).await;
        assert_eq!(tls.status(Some(&good)).await, Some(200));
        assert_eq!(tls.status(Some(&revoked)).await, None);
        assert!(!tls.house.operational_log().contains("client_crl"));
    }
}

const REQUEST: &str = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ";

/// Asks on a connection that is there; the status, or none when the connection is gone.
async fn ask(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
) -> Option<u16> {
    let body = listing(1);
    let request = format!("{REQUEST}{}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    let mut rest = vec![0; 64 << 10];
    let _ = stream.read(&mut rest).await;
    std::str::from_utf8(&head[9..]).unwrap().parse().ok()
}

#[tokio::test]
async fn revocation_reaches_new_resumed_and_open_connections() {
    let clients = Ca::root("clients");
    let tls = house(&clients, "required", Some(&clients.crl(&[], 2090))).await;
    let identity = clients.client(URI);
    let client = tls.client(Some(&identity));
    let mut first = tls.connect(&client).await;
    assert_eq!(ask(&mut first).await, Some(200));
    let mut stream = tls.agent(Some(&identity)).stream().await;
    let mut open = tls.connect(&client).await;
    assert_eq!(ask(&mut open).await, Some(200));
    assert_eq!(
        open.get_ref().1.handshake_kind(),
        Some(rustls::HandshakeKind::Resumed)
    );
    let mut idle = tls.connect(&client).await;
    assert_eq!(ask(&mut idle).await, Some(200));
    tls.house
        .replace("clients.crl", &clients.crl(&[identity.serial()], 2090));
    assert_eq!(stream.next().await, None);
    // Without a word from either side.
    let mut nothing = Vec::new();
    let _ = tokio::time::timeout(
        std::time::Duration::from_secs(15),
        idle.read_to_end(&mut nothing),
    )
    .await
    .expect("an open connection ends by itself");
    // Its cut may still be on its way; a request is refused at once.
    assert!(matches!(ask(&mut open).await, None | Some(401)));
    // With the session of before, and without.
    let agent = tls.agent(Some(&identity));
    assert_eq!(agent.try_status().await, None);
    let mut resumed = tls.connect(&client).await;
    assert_eq!(ask(&mut resumed).await, None);
    let told = |name: &'static str| {
        move |line: &Value| line["event"] == name && line["reason"] == "certificate_revoked"
    };
    let cut = |line: &Value| told("auth_failed")(line) && line["clientId"] == SUPPORT;
    let cut = tls.house.recorded("the cut", cut).await;
    assert_eq!(cut["keyId"].as_str().unwrap().len(), 16);
    // The stream ended for that, and not because its connection did.
    let ended = told("session_close");
    tls.house.recorded("the end of the stream", ended).await;
    assert_eq!(tls.status(Some(&clients.client(URI))).await, Some(200));
}

#[tokio::test]
async fn another_ca_cuts_off_those_of_the_first() {
    let (clients, others) = (Ca::root("clients"), Ca::root("others"));
    let tls = house(&clients, "required", None).await;
    let mut open = tls.connect(&tls.client(Some(&clients.client(URI)))).await;
    assert_eq!(ask(&mut open).await, Some(200));
    tls.house.replace("clients.pem", &others.pem());
    tls.house
        .recorded("the new CA", |event| event["policy"] == "server.tls")
        .await;
    eventually("the cut", || {
        let told = tls.house.events("auth_failed");
        told.iter()
            .any(|event| event["reason"] == "unknown_issuer")
            .then_some(())
    })
    .await;
    assert_eq!(ask(&mut open).await, None);
    assert_eq!(tls.status(Some(&others.client(URI))).await, Some(200));
}

#[tokio::test]
async fn a_common_name_counts_only_where_it_is_asked_for() {
    let clients = Ca::root("clients");
    let tls = TlsHouse::with(|setup| {
        TlsHouse::ask(setup, "required", &clients);
        setup.set("auth.mtls.identity", "cn");
        setup.set(
            "clients.reporting-agent.certificate",
            "reporter.example.com",
        );
    })
    .await;
    let by_name = |uris: Vec<rcgen::SanType>| {
        clients.leaf(|leaf| {
            leaf.subject_alt_names = uris;
            leaf.distinguished_name
                .push(DnType::CommonName, "reporter.example.com");
        })
    };
    assert_eq!(tls.status(Some(&by_name(vec![]))).await, Some(200));
    assert_eq!(tls.house.event("auth_success").await["clientId"], REPORTING);
    assert_eq!(
        tls.status(Some(&by_name(vec![by_uri(OTHER)]))).await,
        Some(401)
    );
}

#[tokio::test]
async fn what_a_stranger_says_a_load_balancer_said_has_no_effect() {
    let clients = Ca::root("clients");
    let tls = house(&clients, "optional", None).await;
    let stranger = tls
        .agent(None)
        .with("x-forwarded-for", "203.0.113.9")
        .with("x-amzn-mtls-clientcert", &clients.client(URI).header())
        .with("x-amzn-mtls-clientcert-leaf", &clients.client(URI).header());
    assert_eq!(stranger.status().await, 401);
    let told = tls.house.event("auth_failed").await;
    assert_eq!(
        (&told["reason"], &told["ip"]),
        (&json!("no_credential"), &json!("127.0.0.1"))
    );
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_certificates_that_are_good() {
    let clients = Ca::root("clients");
    let revoked = clients.client(URI);
    let house = crate::house::House::with(|setup| {
        named(setup);
        behind_balancer(setup, &clients.pem());
        setup.file("clients.crl", &clients.crl(&[revoked.serial()], 2090));
        setup.set("server.tls.client_crl", "clients.crl");
        setup.set("limits.failed_logins", "{ requests = 1000, per = \"1m\" }");
    })
    .await;
    let with = |header: &str| house.showing(header);
    let identity = clients.client(URI);
    let good = identity.header();
    assert_eq!(with(&good).status().await, 200);
    let told = house.event("auth_success").await;
    assert_eq!(
        (&told["clientId"], &told["ip"]),
        (&json!(SUPPORT), &json!("203.0.113.9"))
    );
    // The load balancer does not write this header, so whoever sent it did.
    let leaf = |agent: Agent| agent.with("x-amzn-mtls-clientcert-leaf", &good);
    let bad = [
        ("no_credential", leaf(house.stranger(None))),
        ("certificate_revoked", leaf(with(&revoked.header()))),
        ("unknown_issuer", with(&Identity::self_signed(URI).header())),
        ("malformed_certificate", with("garbage")),
    ];
    for (n, (reason, agent)) in bad.into_iter().enumerate() {
        let answer = agent.list().await;
        assert_eq!(answer.status, 401);
        let told = eventually(reason, || house.events("auth_failed").get(n).cloned()).await;
        assert_eq!(told["reason"], reason);
        let is_certificate = matches!(reason, "certificate_revoked" | "unknown_issuer");
        assert_eq!(told.get("keyId").is_some(), is_certificate, "{told}");
        let text = r#"{"error":"Invalid client certificate"}"#;
        assert_eq!(
            answer.text == text,
            reason != "no_credential",
            "{}",
            answer.text
        );
    }
    let key = house.agent(SUPPORT).list().await;
    assert_eq!(key.status, 200);
    // What is taken back later is refused as soon as the file has been read.
    house.replace(
        "clients.crl",
        &clients.crl(&[revoked.serial(), identity.serial()], 2090),
    );
    let reloaded = |event: &Value| event["policy"] == "server.tls";
    house.recorded("the new list", reloaded).await;
    assert_eq!(with(&good).status().await, 401);
}

#[tokio::test]
async fn a_flood_of_bad_certificates_does_not_flood_the_log() {
    let clients = Ca::root("clients");
    let tls = TlsHouse::with(|setup| {
        TlsHouse::ask(setup, "required", &clients);
        named(setup);
        setup.set("limits.failed_logins", "{ requests = 5, per = \"10m\" }");
        setup.set("server.ops_listen", "127.0.0.1:0");
    })
    .await;
    let stranger = Identity::self_signed(URI);
    for _ in 0..20 {
        assert_eq!(tls.status(Some(&stranger)).await, None);
    }
    let told = tls.house.event("rate_limit_exceeded").await;
    assert_eq!(told["policy"], "failed_logins");
    assert_eq!(tls.status(Some(&clients.client(URI))).await, Some(200));
    assert_eq!(tls.house.events("auth_failed").len(), 5);
    assert_eq!(tls.house.events("rate_limit_exceeded").len(), 1);
    let counted = "zoho_mcp_limited_total{dimension=\"failed_logins\",mode=\"enforce\"} 15\n";
    tls.house.measured(counted).await;
}
