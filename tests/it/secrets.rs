//! Secrets in AWS: rotation, outages, what is wrong with a document.

use serde_json::{Value, json};

use crate::{
    house::{House, REPORTING, SUPPORT, eventually, key_document},
    moto::{Moto, Stub},
    traffic::Traffic,
};

const REFUSED: &str = "refused_last_good_keeps_serving";

impl House {
    /// Waits until the keys were reloaded with that outcome for the `nth` time.
    async fn keys_were(&self, outcome: &str, nth: usize) {
        self.recorded(&format!("{outcome} {nth}"), |_| self.times(outcome) >= nth)
            .await;
        assert_eq!(self.times(outcome), nth, "one event for each change");
    }

    fn times(&self, outcome: &str) -> usize {
        let events = self.events("keys_reload");
        events
            .iter()
            .filter(|event| event["reason"] == outcome)
            .count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_and_an_outage_of_secrets_manager_lose_no_call() {
    let mut moto = Moto::start().await;
    let old = moto.new_key("keys", SUPPORT);
    let house = House::with(|setup| {
        moto.serves(setup);
        setup.set("auth.api_keys.source", "aws:keys");
        setup.set("auth.api_keys.refresh", "1s");
    })
    .await;
    let before = house.stranger(Some(&old));
    let calls = Traffic::of(&before);
    let made = moto.keys("keys", &["rotate", "--client", SUPPORT]);
    let new = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    house.keys_were("applied", 1).await;
    let more_calls = Traffic::of(&house.stranger(Some(&new)));
    more_calls.goes_on().await;
    moto.signal("-STOP");
    house.keys_were(REFUSED, 1).await;
    assert!(
        house
            .operational_log()
            .contains("cannot read the secret aws:keys: no answer in time")
    );
    more_calls.goes_on().await;
    moto.signal("-CONT");
    house.keys_were("recovered", 1).await;
    let document = moto.current("keys").await;
    moto.kill();
    house.keys_were(REFUSED, 2).await;
    more_calls.goes_on().await;
    moto.restart().await;
    moto.ask(
        "CreateSecret",
        json!({ "Name": "keys", "SecretString": document }),
    )
    .await;
    house.keys_were("applied", 2).await;
    calls.ends_well().await;
    let ended = moto.keys("keys", &["retire", "--force", "--key", &old[10..20]]);
    assert!(ended.status.success());
    house.keys_were("applied", 3).await;
    assert_eq!(
        before.status().await,
        401,
        "also on a connection that stayed open"
    );
    more_calls.ends_well().await;
}

/// A house whose keys are in AWS, looked at every second.
async fn keys_in(stub: &Stub) -> House {
    House::with(|setup| {
        stub.serves(setup);
        setup.set("auth.api_keys.source", "aws:keys");
        setup.set("auth.api_keys.refresh", "1s");
    })
    .await
}

#[tokio::test]
async fn keys_of_the_version_before_work_for_the_overlap_and_pending_ones_never() {
    let moto = Moto::start().await;
    let (old, leaked) = (
        moto.new_key("keys", SUPPORT),
        moto.new_key("keys", REPORTING),
    );
    let pending = moto.new_key("pending", SUPPORT);
    let house = House::with(|setup| {
        moto.serves(setup);
        setup.set("auth.api_keys.source", "aws:keys");
        setup.set("auth.api_keys.refresh", "1s");
        setup.set("auth.api_keys.previous_overlap", "10s");
    })
    .await;
    let [by_old, by_leaked, by_pending] =
        [&old, &leaked, &pending].map(|key| house.stranger(Some(key)));
    moto.put("keys", &moto.current("pending").await, "AWSPENDING")
        .await;
    let mut next: Value = serde_json::from_str(&moto.current("keys").await).unwrap();
    next["keys"][1]["status"] = json!("revoked");
    next["keys"].as_array_mut().unwrap().remove(0);
    moto.put("keys", &next.to_string(), "AWSCURRENT").await;
    house.keys_were("applied", 1).await;
    assert_eq!(by_old.status().await, 200, "only the version before has it");
    assert_eq!(by_leaked.status().await, 401, "a revocation does not wait");
    assert_eq!(by_pending.status().await, 401);
    let end = async {
        while by_old.status().await == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    let deadline = std::time::Duration::from_secs(30);
    tokio::time::timeout(deadline, end)
        .await
        .expect("the overlap ends");
    let failed = house.recorded("the end of the overlap", |line| {
        line["event"] == "auth_failed" && line["reason"] == "expired"
    });
    assert_eq!(failed.await["keyId"], old[10..20]);
}

#[tokio::test]
async fn what_served_stands_in_for_a_version_before_that_cannot_be_read() {
    let stub = Stub::start().await;
    let (old, document) = key_document(SUPPORT);
    let (new, next) = key_document(SUPPORT);
    stub.hold("keys", &document);
    stub.fail_previous(400, "DecryptionFailure");
    let house = keys_in(&stub).await;
    stub.hold("keys", &next);
    house.keys_were("applied", 1).await;
    let asked = stub.asked().len();
    eventually("more looks", || {
        (stub.asked().len() > asked + 4).then_some(())
    })
    .await;
    for key in [&old, &new] {
        assert_eq!(house.stranger(Some(key)).status().await, 200);
    }
    assert_eq!(house.events("keys_reload").len(), 1);
}

#[tokio::test]
async fn new_keys_do_not_wait_for_the_version_before() {
    let stub = Stub::start().await;
    let (old, document) = key_document(SUPPORT);
    let (new, next) = key_document(SUPPORT);
    stub.hold("keys", &document);
    let house = keys_in(&stub).await;
    stub.hang_previous();
    stub.hold("keys", &next);
    eventually("the question for the version before", || {
        (stub.hanging() > 0).then_some(())
    })
    .await;
    for key in [&new, &old] {
        assert_eq!(house.stranger(Some(key)).status().await, 200);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_the_secret_the_old_keys_serve_and_one_event_says_so() {
    let stub = Stub::start().await;
    let (key, document) = key_document(SUPPORT);
    stub.hold("keys", &document);
    let house = keys_in(&stub).await;
    let agent = house.stranger(Some(&key));
    let says = async |text: &str| {
        eventually(text, || {
            house.operational_log().contains(text).then_some(())
        })
        .await;
        assert_eq!(agent.status().await, 200, "{text}");
    };
    for (text, said) in [
        (
            "{\"version\":1,",
            "aws:keys: the key document is not as expected",
        ),
        ("", "the secret in aws:keys is empty"),
        (
            "{\"version\":1,\"keys\":[]}",
            "the key document holds no key",
        ),
        ("{\"version\":2,\"keys\":[]}", "version is not 1"),
        (&"x".repeat(70_000), "aws:keys is larger than 64 KiB"),
        (&"x".repeat(2 << 20), "larger than that of any secret"),
    ] {
        stub.hold("keys", text);
        says(said).await;
    }
    for (status, code, said) in [
        (
            400,
            "AccessDeniedException",
            "allow secretsmanager:GetSecretValue",
        ),
        (400, "ResourceNotFoundException", "no such secret"),
        (400, "DecryptionFailure", "kms:Decrypt allowed on it"),
        (400, "ThrottlingException", "too many requests"),
        (500, "InternalServiceError", "Secrets Manager fails"),
    ] {
        stub.fail("keys", status, code);
        says(said).await;
    }
    house.keys_were(REFUSED, 1).await;
    stub.hold("keys", &document);
    house.keys_were("applied", 1).await;
    assert_eq!(house.events("keys_reload").len(), 2);
    let stages = stub.asked();
    assert!(
        stages
            .iter()
            .all(|stage| ["AWSCURRENT", "AWSPREVIOUS"].contains(&&**stage))
    );
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_file_the_old_keys_serve_until_it_is_mended() {
    let house = House::start().await;
    let file = house.file("keys.json");
    let good = std::fs::read(&file).unwrap();
    let agent = house.agent(SUPPORT);
    for (bytes, said) in [
        (&b"{\"version\":1,"[..], "not as expected at line 1"),
        (b"", "keys.json is empty"),
        (b"{\"version\":1,\"keys\":[]}", "holds no key"),
        (b"[]", "not as expected at line 1, column 2"),
        (
            &vec![b' '; (1 << 20) + 1],
            "keys.json is larger than 1024 KiB",
        ),
    ] {
        std::fs::write(&file, bytes).unwrap();
        house.signal("-HUP");
        eventually(said, || {
            house.operational_log().contains(said).then_some(())
        })
        .await;
        assert_eq!(agent.status().await, 200, "{said}");
    }
    std::fs::remove_file(&file).unwrap();
    house.signal("-HUP");
    let said = "cannot read the secret in file";
    eventually(said, || {
        house.operational_log().contains(said).then_some(())
    })
    .await;
    house.keys_were(REFUSED, 1).await;
    std::fs::write(&file, good).unwrap();
    house.keys_were("recovered", 1).await;
    assert_eq!(
        (agent.status().await, house.events("keys_reload").len()),
        (200, 2)
    );
}

#[tokio::test]
async fn a_signal_reads_the_keys_at_once() {
    let stub = Stub::start().await;
    let (first, document) = key_document(SUPPORT);
    stub.hold("keys", &document);
    let house = House::with(|setup| {
        stub.serves(setup);
        setup.set("auth.api_keys.source", "aws:keys");
        setup.set("auth.api_keys.refresh", "1h");
    })
    .await;
    assert_eq!(house.stranger(Some(&first)).status().await, 200);
    stub.hold("keys", &document.replace("\"active\"", "\"revoked\""));
    house.signal("-HUP");
    house.keys_were("applied", 1).await;
    assert_eq!(house.stranger(Some(&first)).status().await, 401);
}

#[tokio::test]
async fn zoho_and_the_audit_log_take_their_secrets_from_fields_of_one_secret() {
    let stub = Stub::start().await;
    let house = House::with(|setup| {
        stub.serves(setup);
        let stub = stub.clone();
        setup.credentials(move |zoho| {
            let secret = json!({ "zoho": zoho, "pseudonyms": "canary-".repeat(5) });
            stub.hold("app", &secret.to_string());
        });
        setup.set("zoho.credentials", "aws:app#zoho");
        setup.set("audit.pseudonym_key", "aws:app#pseudonyms");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let found = agent.search("Giulia").await;
    assert!(found.content().is_object());
    let everything = house.audit_text().concat() + &house.operational_log();
    assert!(!everything.contains("canary-"));
}
