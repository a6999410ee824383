//! The issuer of tokens, whose key set is fetched.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{
    scene::{Needed, Scene, last_good},
    table::{Cell, Row},
};
use crate::{
    agent::Agent,
    house::{House, SUPPORT},
    issuer::{AUDIENCE, Issuer, Key},
    names::Names,
    passage::{Fault, Passage, page, said},
    pki::Ca,
};

pub(super) struct Trusted {
    passage: Passage,
    names: Arc<Names>,
    token: String,
}

pub(super) async fn scene() -> Scene<Trusted> {
    let (ca, names) = (Ca::root("chaos"), Arc::new(Names::new()));
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let port = issuer.url.rsplit(':').next().unwrap().parse().unwrap();
    let passage = Passage::to(port, &ca, &names, speech).await;
    let authorities = names.write("upstream.pem", &ca.pem());
    let one = House::with(|setup| {
        names.are_known_to(setup);
        setup.variable("SSL_CERT_FILE", &authorities);
        let (url, host) = (&issuer.url, passage.host());
        setup.config(&format!(
            "[[auth.jwt]]\nissuer = \"{url}\"\naudience = \"{AUDIENCE}\"\n\
             jwks = \"https://{host}/jwks\"\nclient = \"{SUPPORT}\"\n"
        ));
    })
    .await;
    let other = one.replica(|setup| names.are_known_to(setup)).await;
    Scene {
        houses: [one, other],
        needed: Trusted {
            passage,
            names,
            token: issuer.token(&key, json!({})),
        },
    }
}

fn speech(fault: Fault, _: &str) -> Option<String> {
    match fault {
        Fault::Page => Some(page()),
        Fault::Failing => Some(said("503 Service Unavailable", "", "{}")),
        Fault::Denied => Some(said("403 Forbidden", "", "{}")),
        Fault::Busy => Some(said("429 Too Many Requests", "Retry-After: 1\r\n", "{}")),
        _ => None,
    }
}

impl Needed for Trusted {
    const NAME: &'static str = "issuer's keys";
    /// No call with a key that is known waits for the issuer.
    const DEADLINE: Duration = Duration::from_secs(1);

    fn expected(row: &Row) -> Cell {
        row.issuer
    }

    fn can_suffer(&self, fault: Fault) -> bool {
        fault != Fault::NameGone || self.names.can_change()
    }

    /// Keys are fetched every ten minutes; this brings it forward.
    fn suffers(&mut self, fault: Fault, houses: &[House; 2]) {
        self.passage.suffers(fault);
        houses.iter().for_each(|house| house.signal("-HUP"));
    }

    fn recovers(&mut self, houses: &[House; 2]) {
        self.passage.recovers();
        houses.iter().for_each(|house| house.signal("-HUP"));
    }

    fn detail(&self, house: &House, _: &Value) -> String {
        last_good(house)
    }

    fn agent(&self, house: &House) -> Agent {
        let token = format!("Bearer {}", self.token);
        house.stranger(None).with("authorization", &token)
    }
}
