//! Secrets Manager, which holds the keys of callers.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    scene::{Needed, Scene, last_good},
    table::{Cell, Row},
};
use crate::{
    agent::Agent,
    house::{House, SUPPORT, key_document},
    moto::{Stub, environment},
    names::Names,
    passage::{Fault, Passage, page, said},
    pki::Ca,
};

pub(super) struct Kept {
    passage: Passage,
    names: Arc<Names>,
    key: String,
}

pub(super) async fn scene() -> Scene<Kept> {
    let (ca, names, stub) = (
        Ca::root("chaos"),
        Arc::new(Names::new()),
        Stub::start().await,
    );
    let (key, document) = key_document(SUPPORT);
    stub.hold("keys", &document);
    let passage = Passage::to(stub.port(), &ca, &names, speech).await;
    let authorities = names.write("upstream.pem", &ca.pem());
    let one = House::with(|setup| {
        names.are_known_to(setup);
        setup.variable("SSL_CERT_FILE", &authorities);
        setup.environment(environment(&format!("https://{}", passage.host())));
        setup.set("auth.api_keys.source", "aws:keys");
        setup.set("auth.api_keys.refresh", "1s");
    })
    .await;
    let other = one.replica(|setup| names.are_known_to(setup)).await;
    Scene {
        houses: [one, other],
        needed: Kept {
            passage,
            names,
            key,
        },
    }
}

fn speech(fault: Fault, _: &str) -> Option<String> {
    let error = |code: &str| {
        let error = format!("{{\"__type\":\"{code}\",\"message\":\"made up\"}}");
        said("400 Bad Request", "", &error)
    };
    match fault {
        Fault::Page => Some(page()),
        Fault::Failing => Some(said("500 Internal Server Error", "", "{}")),
        Fault::Denied => Some(error("AccessDeniedException")),
        Fault::Busy => Some(error("ThrottlingException")),
        _ => None,
    }
}

impl Needed for Kept {
    const NAME: &'static str = "Secrets Manager";
    /// No call waits for it.
    const DEADLINE: Duration = Duration::from_secs(1);

    fn expected(row: &Row) -> Cell {
        row.secrets
    }

    fn can_suffer(&self, fault: Fault) -> bool {
        fault != Fault::NameGone || self.names.can_change()
    }

    fn suffers(&mut self, fault: Fault, _: &[House; 2]) {
        self.passage.suffers(fault);
    }

    fn recovers(&mut self, _: &[House; 2]) {
        self.passage.recovers();
    }

    fn detail(&self, house: &House, _: &Value) -> String {
        last_good(house)
    }

    fn agent(&self, house: &House) -> Agent {
        house.stranger(Some(&self.key))
    }
}
