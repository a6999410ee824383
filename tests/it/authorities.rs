//! Files of CAs and revocation lists that are not what they should be, and what CAs vouch for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, KeyUsagePurpose};
use rustls_pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use serde_json::Value;

use crate::{
    house::eventually,
    pki::{Ca, Identity, TlsHouse},
};

const URI: &str = "spiffe://example.com/support";

/// A house that asks for certificates, by files of these contents.
async fn house(authorities: &str, lists: Option<&str>) -> TlsHouse {
    TlsHouse::with(|setup| {
        setup.file("clients.pem", authorities);
        setup.set("server.tls.client_ca", "clients.pem");
        setup.set("server.tls.client_auth", "required");
        setup.set("clients.customer-service-agent.certificate", URI);
        if let Some(lists) = lists {
            setup.file("clients.crl", lists);
            setup.set("server.tls.client_crl", "clients.crl");
        }
    })
    .await
}

/// Whether somebody with the certificate gets in.
async fn lets_in(tls: &TlsHouse, identity: &Identity) -> bool {
    tls.status(Some(identity)).await == Some(200)
}

/// What `zoho-mcp check` says of the files as they are.
fn checked(tls: &TlsHouse) -> (Option<i32>, String) {
    let ended = tls.house.command(&["check"]);
    let text = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// The same list with another signature.
fn forged(list: &str) -> String {
    let list = CertificateRevocationListDer::from_pem_slice(list.as_bytes()).unwrap();
    let mut der = list.to_vec();
    let last = der.len() - 5;
    der[last] ^= 1;
    format!(
        "-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n",
        STANDARD.encode(der)
    )
}

#[tokio::test]
async fn a_list_that_is_not_of_the_ca_cuts_nobody_off() {
    let (clients, strangers) = (Ca::root("clients"), Ca::root("strangers"));
    let (good, revoked) = (clients.client(URI), clients.client(URI));
    let list = clients.crl(&[revoked.serial()], 2090);
    let tls = house(&clients.pem(), Some(&list)).await;
    let impostor = Ca::root("clients").crl(&[], 2090);
    let bad = [
        (forged(&list), "is not signed by that CA"),
        (impostor, "is not signed by that CA"),
        (strangers.crl(&[], 2090), "no list in"),
    ];
    for (n, (list, problem)) in bad.into_iter().enumerate() {
        tls.house.replace("clients.crl", &list);
        let refused = |event: &Value| event["reason"] == "refused_last_good_keeps_serving";
        let told = || tls.house.audit().into_iter().filter(&refused).count();
        eventually(problem, || (told() > n).then_some(())).await;
        let logged = || tls.house.operational_log().contains(problem).then_some(());
        eventually(problem, logged).await;
        assert!(lets_in(&tls, &good).await, "{problem}");
        assert!(!lets_in(&tls, &revoked).await, "{problem}");
        let (code, said) = checked(&tls);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(problem), "{said}");
        // Between two bad ones a good one, so that each is told.
        tls.house
            .replace("clients.crl", &clients.crl(&[revoked.serial()], 2090));
        let applied = |event: &Value| event["reason"] == "applied";
        let count = || tls.house.audit().into_iter().filter(&applied).count();
        eventually("the good list", || (count() > n).then_some(())).await;
    }
}

#[tokio::test]
async fn a_list_of_an_unknown_ca_beside_a_known_one_is_worth_a_word() {
    let (clients, strangers) = (Ca::root("clients"), Ca::root("strangers"));
    let lists = clients.crl(&[], 2090) + &strangers.crl(&[], 2090);
    let tls = house(&clients.pem(), Some(&lists)).await;
    assert!(lets_in(&tls, &clients.client(URI)).await);
    let (code, said) = checked(&tls);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("cannot be checked"), "{said}");
}

#[tokio::test]
async fn what_is_no_ca_certificate_is_not_trusted_as_one() {
    let clients = Ca::root("clients");
    let good = clients.client(URI);
    let tls = house(&clients.pem(), None).await;
    let leaf = good.chain.clone();
    let signless = Ca::root_with(|ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]);
    for file in [&leaf, &signless.pem(), &(clients.pem() + &leaf)] {
        tls.house.replace("clients.pem", file);
        let (code, said) = checked(&tls);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("is not a CA certificate"), "{said}");
        assert!(said.contains("CA:TRUE"), "{said}");
    }
    let refused = |event: &Value| event["reason"] == "refused_last_good_keeps_serving";
    tls.house.recorded("the refusal", refused).await;
    assert!(lets_in(&tls, &good).await, "the last good one serves");
}

#[tokio::test]
async fn no_ca_stands_below_one_that_lets_none() {
    let (open, narrow) = (
        Ca::root("open"),
        Ca::root_with(|ca| ca.is_ca = rcgen::IsCa::Ca(BasicConstraints::Constrained(0))),
    );
    let tls = house(&(open.pem() + &narrow.pem()), None).await;
    assert!(lets_in(&tls, &narrow.client(URI)).await);
    let between = narrow.below("between", BasicConstraints::Constrained(0));
    assert!(!lets_in(&tls, &between.client(URI)).await);
    let told = tls.house.event("auth_failed").await;
    assert_eq!(told["reason"], "untrusted_chain");
    let deep = open.below("one", BasicConstraints::Unconstrained);
    let deep = deep.below("two", BasicConstraints::Constrained(0));
    assert!(
        lets_in(&tls, &deep.client(URI)).await,
        "another CA lets them"
    );
}

#[tokio::test]
async fn a_server_certificate_that_clients_will_not_like_is_worth_a_word() {
    let clients = Ca::root("clients");
    let tls = house(&clients.pem(), None).await;
    let (one, other) = (Ca::root("one"), Ca::root("other"));
    let between = one.below("between", BasicConstraints::Constrained(0));
    let server = between.server();
    tls.house.replace("server.pem", &server.bundle());
    let (code, said) = checked(&tls);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("warning  server.tls.cert"), "{said}");
    let astray = server.chain.replace(&between.pem(), &other.pem());
    tls.house.replace("server.pem", &(astray + &server.key));
    let (code, said) = checked(&tls);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("did not sign"), "{said}");
    tls.house.replace("server.pem", &one.client(URI).bundle());
    let (_, said) = checked(&tls);
    assert!(said.contains("not for servers"), "{said}");
}
