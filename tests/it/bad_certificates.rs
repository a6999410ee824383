//! The corpus of bad certificates, `tests/corpus/bad_certificates.json`: what is wrong with each, and
//! the reason that the log has, or those that it may have.
//!
//! The files below `certificates` were made once, with keys that open nothing else, and are good
//! until 2090 but for what is said of each. All but those of strangers come from `ca.pem`, and
//! `ca.crl` holds the lists of every CA on the way. `good.pem` is what each of them nearly is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    house::{REPORTING, SUPPORT, eventually},
    pki::{Identity, TlsHouse},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/certificates");

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap()
}

fn corpus() -> Vec<BTreeMap<String, String>> {
    serde_json::from_str(include_str!("../corpus/bad_certificates.json")).unwrap()
}

/// A house that would let `good.pem` in.
async fn house() -> TlsHouse {
    TlsHouse::with(|setup| {
        setup.file("clients.pem", &file("ca.pem"));
        setup.file("clients.crl", &file("ca.crl"));
        setup.set("server.tls.client_ca", "clients.pem");
        setup.set("server.tls.client_crl", "clients.crl");
        setup.set("server.tls.client_auth", "required");
        let names = [(SUPPORT, "support"), (REPORTING, "reporting")];
        for (client, name) in names {
            let uri = format!("spiffe://example.com/{name}");
            setup.set(&format!("clients.{client}.certificate"), &uri);
        }
    })
    .await
}

/// Tries to come in, and returns what the log says of that.
async fn refused(tls: &TlsHouse, identity: Option<&Identity>, what: &str) -> Value {
    let before = tls.house.events("auth_failed").len();
    let answer = tls.status(identity).await;
    assert!(matches!(answer, None | Some(401)), "{what}: {answer:?}");
    eventually(what, || {
        tls.house.events("auth_failed").get(before).cloned()
    })
    .await
}

#[tokio::test]
async fn every_bad_certificate_is_refused_and_told_once() {
    let tls = house().await;
    let good = Identity::of_bundle(&file("good.pem"));
    assert_eq!(tls.status(Some(&good)).await, Some(200));
    let told = refused(&tls, None, "no certificate").await;
    assert_eq!(told["reason"], "no_certificate");
    assert_eq!(told.get("keyId"), None);
    let corpus = corpus();
    assert!(corpus.len() > 20);
    for case in &corpus {
        let identity = Identity::of_bundle(&file(&case["file"]));
        let told = refused(&tls, Some(&identity), &case["why"]).await;
        let reason = told["reason"].as_str().unwrap();
        let mut reasons = case["reason"].split('|');
        assert!(reasons.any(|one| one == reason), "{case:?}: {told}");
        assert_eq!(told["keyId"], identity.fingerprint(), "{case:?}");
    }
    assert_eq!(tls.house.events("auth_failed").len(), corpus.len() + 1);
    assert!(!tls.house.operational_log().contains("panicked"));
    assert_eq!(tls.status(Some(&good)).await, Some(200));
}
