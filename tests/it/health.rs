//! What load balancers and orchestrators are told.

use std::collections::BTreeSet;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    house::{House, REPORTING, SUPPORT, command, eventually},
    issuer::{Issuer, Key},
    pki::{Ca, TlsHouse},
    wire::Wire,
};

fn keys(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn tokens_that_the_api_does_not_take_are_told_with_what_to_check() {
    let house = House::start().await;
    let body = json!({ "code": "INVALID_TOKEN", "details": {}, "message": "", "status": "error" });
    let fault = json!({ "fault": "status", "path": "/crm", "status": 401, "body": body });
    house.zoho.fault(fault).await;
    let agent = house.agent(SUPPORT);
    let search = json!({ "name": "Giulia" });
    agent.call("search_contacts", search).await.failure();
    let told = house.stranger(None).get("/health").await.json();
    let zoho = &told["checks"]["zoho_api"];
    assert_eq!(
        (&told["status"], &zoho["status"]),
        (&json!("degraded"), &json!("token_refused"))
    );
    assert!(
        zoho["detail"]
            .as_str()
            .unwrap()
            .contains("zoho.data_center"),
        "{zoho}"
    );
}

#[tokio::test]
async fn a_probe_is_told_how_the_daemon_is_and_costs_zoho_nothing() {
    let house = House::start().await;
    let prober = house.stranger(None);
    let answer = prober.get("/health").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "application/json")
    );
    let report = answer.json();
    assert_eq!(
        keys(&report),
        BTreeSet::from(["checks", "status", "uptime"])
    );
    assert_eq!(
        keys(&report["checks"]),
        BTreeSet::from(["redis", "zoho_api"])
    );
    assert_eq!(report["status"], "healthy");
    assert_eq!(report["checks"]["zoho_api"]["status"], "ok");
    assert!(report["checks"]["zoho_api"]["latencyMs"].is_u64());
    assert!(report["uptime"].as_f64().unwrap() >= 0.0);
    // The daemon's own first look at Zoho may still be on its way.
    while house.zoho.journal().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let before = house.zoho.journal().await.len();
    for path in ["/health", "/livez", "/readyz"].iter().cycle().take(60) {
        assert_eq!(prober.get(path).await.status, 200, "{path}");
    }
    let after = house.zoho.journal().await.len();
    assert!(after - before <= 1, "{before} and {after} requests");
    house.agent(REPORTING).tools().await;
    house.event("auth_success").await;
    assert_eq!(house.audit().len(), 2, "probes are no events");
}

#[tokio::test]
async fn without_zoho_an_instance_is_degraded_and_stays_in_service() {
    let mut house = House::start().await;
    house.stop_sandbox();
    let agent = house.agent(REPORTING);
    let failed = agent.call("get_deal_summary", json!({})).await;
    assert!(!failed.failure().is_empty());
    let prober = house.stranger(None);
    let answer = prober.get("/health").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["status"]),
        (200, &"degraded".into())
    );
    assert_eq!(answer.json()["checks"]["zoho_api"]["status"], "down");
    assert_eq!(prober.get("/readyz").await.status, 200);
    let checked = command(&["healthcheck", "--url", &house.url]);
    assert!(checked.status.success(), "degraded can still work");
}

#[tokio::test]
async fn probes_come_by_address_and_agents_do_not() {
    let house = House::start().await;
    for path in ["/health", "/livez", "/readyz"] {
        for host in ["10.1.2.3:3000", "[fd00::7]:3000", "localhost"] {
            assert_eq!(
                asked(house.wire().await, path, host).await,
                200,
                "{path} {host}"
            );
        }
        assert_eq!(
            asked(house.wire().await, path, "rebound.example").await,
            403,
            "{path}"
        );
    }
    for path in ["/mcp", "/sse"] {
        assert_eq!(
            asked(house.wire().await, path, "10.1.2.3:3000").await,
            403,
            "{path}"
        );
    }
}

async fn asked(mut wire: Wire, path: &str, host: &str) -> u16 {
    wire.send(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    ))
    .await;
    let answer = wire.rest().await;
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_healthcheck_says_whether_the_daemon_works() {
    let mut house = House::start().await;
    let url = format!("{}/health", house.url);
    for url in [&url, &house.url] {
        let checked = command(&["healthcheck", "--url", url]);
        assert!(
            checked.status.success(),
            "{}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
    let elsewhere = command(&["healthcheck", "--url", &format!("{}/nowhere", house.url)]);
    assert_eq!(elsewhere.status.code(), Some(1));
    house.signal("-TERM");
    assert!(house.ended().await.success());
    let nobody = command(&["healthcheck", "--url", &url]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no answer from"));
    let wrong = command(&["healthcheck", "--url", "not a URL"]);
    assert_eq!(wrong.status.code(), Some(64));
}

#[tokio::test]
async fn without_a_usable_key_an_instance_is_not_ready() {
    let house = House::start().await;
    let store = house.file("keys.json");
    for key in house.keys.values() {
        let retired = command(&[
            "keys",
            "retire",
            "--force",
            "--key",
            &key[10..20],
            "--store",
            store.to_str().unwrap(),
        ]);
        assert!(retired.status.success());
    }
    house.signal("-HUP");
    house.event("keys_reload").await;
    let prober = house.stranger(None);
    for path in ["/health", "/readyz"] {
        assert_eq!(prober.get(path).await.status, 503, "{path}");
    }
    assert_eq!(prober.get("/health").await.json()["status"], "unhealthy");
    assert_eq!(prober.get("/livez").await.status, 200);
    let checked = command(&["healthcheck", "--url", &house.url]);
    assert_eq!(checked.status.code(), Some(1));
}

#[tokio::test]
async fn an_instance_that_nobody_can_come_in_to_is_not_ready() {
    let clients = Ca::root("clients");
    let tls = TlsHouse::with(|setup| {
        TlsHouse::ask(setup, "off", &clients);
        setup.set("auth.api_keys.enabled", "false");
        setup.set(
            "clients.reporting-agent.certificate",
            "spiffe://example.com/a",
        );
    })
    .await;
    assert_eq!(tls.agent(None).get("/readyz").await.status, 503);
    let checked = tls.house.command(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("nobody can come in"), "{said}");
}

/// A CA's own certificate for the daemon, with few days left.
fn nearly_over(servers: &Ca, days: i64) -> String {
    let day = jiff::Zoned::now().date() + jiff::Span::new().days(days);
    let until = rcgen::date_time_ymd(day.year().into(), day.month() as u8, day.day() as u8);
    servers.leaf(|leaf| leaf.not_after = until).bundle()
}

#[tokio::test]
async fn a_certificate_that_soon_runs_out_is_told_before_clients_notice() {
    let tls = TlsHouse::with(|setup| {
        // Probes in the clear, for whom the certificate is of no matter.
        setup.set("server.ops_listen", "127.0.0.1:0");
    })
    .await;
    let prober = tls.house.operator();
    let fine = prober.get("/health").await.json();
    assert_eq!(fine["status"], "healthy");
    assert_eq!(fine["checks"]["tls"], json!({ "status": "ok" }));
    tls.house
        .replace("server.pem", &nearly_over(&tls.servers, 3));
    tls.house.event("config_reload").await;
    let soon = prober.get("/health").await;
    assert_eq!(
        (soon.status.as_u16(), &soon.json()["status"]),
        (200, &"degraded".into())
    );
    let check = &soon.json()["checks"]["tls"];
    assert_eq!(check["status"], "expires_soon");
    let words = check["detail"].as_str().unwrap();
    assert!(
        words.starts_with("the server's certificate is valid only until"),
        "{words}"
    );
    assert_eq!(prober.get("/readyz").await.status, 200);
    let told = || {
        let log = tls.house.operational_log();
        log.lines()
            .filter(|line| line.contains("valid only until"))
            .count()
    };
    eventually("the line of it", || (told() > 0).then_some(())).await;
    tls.house.signal("-HUP");
    eventually("another reload", || {
        (tls.house.events("config_reload").len() >= 3).then_some(())
    })
    .await;
    assert_eq!(told(), 1, "one line for each change");
    tls.house
        .replace("server.pem", &tls.servers.server().bundle());
    eventually("a word that all is well", || {
        let log = tls.house.operational_log();
        log.contains("nothing runs out soon any more").then_some(())
    })
    .await;
    assert_eq!(prober.get("/health").await.json()["status"], "healthy");
}

#[tokio::test]
async fn a_renewal_that_is_refused_degrades_an_instance_until_it_is_mended() {
    let tls = TlsHouse::with(|setup| {
        setup.set("server.ops_listen", "127.0.0.1:0");
    })
    .await;
    let prober = tls.house.operator();
    let good = std::fs::read_to_string(tls.house.file("server.pem")).unwrap();
    tls.house.replace("server.pem", "no certificate\n");
    let refused = "refused_last_good_keeps_serving";
    tls.house
        .recorded(refused, |line| line["reason"] == refused)
        .await;
    let report = prober.get("/health").await.json();
    assert_eq!(report["status"], "degraded");
    let check = &report["checks"]["tls"];
    assert_eq!(check["status"], "refused");
    assert!(!check.to_string().contains("server.pem"), "{check}");
    tls.house.replace("server.pem", &good);
    tls.house
        .recorded("the end of it", |line| {
            line["reason"] == "recovered" || line["reason"] == "applied"
        })
        .await;
    assert_eq!(prober.get("/health").await.json()["status"], "healthy");
}

#[tokio::test]
async fn a_revocation_list_that_has_run_out_degrades_an_instance_and_check_says_it_too() {
    let clients = Ca::root("clients");
    let tls = TlsHouse::with(|setup| {
        setup.set("server.ops_listen", "127.0.0.1:0");
        TlsHouse::ask(setup, "optional", &clients);
        setup.file("clients.crl", &clients.crl(&[], 2021));
        setup.set("server.tls.client_crl", "clients.crl");
    })
    .await;
    let report = tls.house.operator().get("/health").await.json();
    assert_eq!(report["status"], "degraded");
    assert_eq!(report["checks"]["tls"]["status"], "expired");
    let words = report["checks"]["tls"]["detail"].as_str().unwrap();
    assert!(
        words.starts_with("a revocation list was valid until 2021-12-31"),
        "{words}"
    );
    let checked = tls.house.command(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    assert!(
        said.contains("clients.crl was valid until 2021-12-31"),
        "{said}"
    );
}

/// Waits until `/health` says so of what is looked for, or says nothing of it.
async fn told(house: &House, check: &str, status: Option<&str>) -> Value {
    let prober = house.stranger(None);
    let wanted = json!(status);
    for _ in 0..400 {
        let report = prober.get("/health").await.json();
        if report["checks"][check]["status"] == wanted {
            return report;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{check} is not {status:?}");
}

#[tokio::test]
async fn keys_that_cannot_be_read_again_make_an_instance_degraded() {
    let house = House::start().await;
    let good = std::fs::read_to_string(house.file("keys.json")).unwrap();
    house.replace("keys.json", "nonsense");
    let report = told(&house, "api_keys", Some("stale")).await;
    assert_eq!(report["status"], "degraded");
    let detail = report["checks"]["api_keys"]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("they could not be read for "),
        "{detail}"
    );
    let served = house.agent(REPORTING).list().await;
    assert_eq!(served.status, 200);
    house.replace("keys.json", &good);
    assert_eq!(told(&house, "api_keys", None).await["status"], "healthy");
}

#[tokio::test]
async fn an_issuer_whose_keys_cannot_be_fetched_again_makes_an_instance_degraded() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config("client = \"reporting-agent\""));
    })
    .await;
    eventually("the first keys", || (issuer.fetches() > 0).then_some(())).await;
    issuer.down(true);
    // Keys are fetched every ten minutes; this brings it forward.
    for _ in 0..3 {
        let before = issuer.fetches();
        house.signal("-HUP");
        eventually("a look", || (issuer.fetches() > before).then_some(())).await;
    }
    let report = told(&house, "issuer_keys", Some("stale")).await;
    assert_eq!(report["status"], "degraded");
    assert!(!report.to_string().contains(&issuer.url), "nobody is named");
    issuer.down(false);
    house.signal("-HUP");
    assert_eq!(told(&house, "issuer_keys", None).await["status"], "healthy");
}
