//! A long stream is as trusted as what opened it: every change that would have kept its caller out
//! ends it, and no other does.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{DASHBOARD, House, REPORTING, SUPPORT},
    issuer::{Issuer, Key},
    pki::{Ca, Identity, behind_balancer},
};

const TWO: &str = "audience = [\"one\", \"two\"]";
const ISSUER: &str = r#"types = ["at+jwt", "JWT"]
max_lifetime = "3h"
algorithms = ["ES256", "EdDSA"]
required_scopes = ["crm:read"]
client = "customer-service-agent"
clients = { app = "customer-service-agent" }
"#;
const CREDENTIALS: &str =
    "[clients.customer-service-agent]\ncredentials = [\"api_key\", \"jwt\"]\n";

/// What is changed, into what, and the reason that a stream ends with.
type Change = (&'static str, &'static str, &'static str);

impl House {
    /// Makes a change, sees the streams of `agent` end by it, and takes it back.
    async fn ends(&self, agent: &Agent, (from, to, reason): Change) {
        let mut stream = agent.stream().await;
        let ended = self.events("session_close").len();
        self.reconfigure(from, to).await;
        assert_eq!(stream.next().await, None, "{to}");
        self.recorded(to, |_| self.events("session_close").len() > ended)
            .await;
        let closed = self.events("session_close");
        assert_eq!(closed.last().unwrap()["reason"], reason, "{to}");
        self.reconfigure(to, from).await;
    }
}

fn bearer(house: &House, token: &str) -> Agent {
    let value = format!("Bearer {token}");
    house.stranger(None).with("authorization", &value)
}

#[tokio::test]
async fn a_stream_ends_when_its_issuer_would_no_longer_be_believed_about_its_token() {
    let (own, other) = (
        Key::new("own", Algorithm::ES256),
        Key::new("other", Algorithm::EdDSA),
    );
    let issuer = Issuer::start(&[&own, &other]).await;
    let house = House::with(|setup| {
        let config = issuer.config(ISSUER);
        let audience = format!("audience = \"{}\"", crate::issuer::AUDIENCE);
        setup.config(&config.replace(&audience, TWO));
    })
    .await;
    let now = crate::issuer::now();
    let concerned = issuer.claims(json!({
        "aud": ["one", "x"], "client_id": "app", "scope": "crm:read", "exp": now + 7200,
    }));
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "own" });
    let concerned = own.sign_text(&header.to_string(), &concerned.to_string());
    let concerned = bearer(&house, &concerned);
    let spared = json!({ "aud": "two", "scp": ["crm:read", "crm:write"] });
    let spared = bearer(&house, &issuer.token(&other, spared));
    let mut goes_on = spared.stream().await;
    goes_on.initialize().await;
    for change in [
        (TWO, "audience = [\"two\"]", "token_audience"),
        ("[\"at+jwt\", \"JWT\"]", "[\"at+jwt\"]", "token_type"),
        (
            "max_lifetime = \"3h\"",
            "max_lifetime = \"1h\"",
            "token_lives_too_long",
        ),
        ("[\"ES256\", \"EdDSA\"]", "[\"EdDSA\"]", "token_algorithm"),
        (
            "required_scopes = [\"crm:read\"]",
            "required_scopes = [\"crm:read\", \"crm:write\"]",
            "token_scope_missing",
        ),
        (
            "app = \"customer-service-agent\"",
            "app = \"reporting-agent\"",
            "token_reassessed",
        ),
    ] {
        house.ends(&concerned, change).await;
    }
    assert!(goes_on.ask(9, "ping", json!({})).await["result"].is_object());
    // What concerns every token of the issuer ends that one as well.
    house
        .reconfigure("max_lifetime", "scopes = \"never\"\nmax_lifetime")
        .await;
    assert_eq!(goes_on.next().await, None);
}

#[tokio::test]
async fn a_stream_of_a_key_ends_when_the_key_would_not_open_another() {
    let key = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config("client = \"reporting-agent\""));
    })
    .await;
    let mut goes_on = house.agent(REPORTING).stream().await;
    goes_on.initialize().await;
    let support = house.agent(SUPPORT);
    for change in [
        (
            "[clients.customer-service-agent]\n",
            CREDENTIALS,
            "another_credential_needed",
        ),
        (
            "[clients.customer-service-agent]",
            "[clients.somebody-else]",
            "client_removed",
        ),
    ] {
        house.ends(&support, change).await;
    }
    // Another role is no other caller: it counts from the next call on.
    let mut stream = house.agent(DASHBOARD).stream().await;
    stream.initialize().await;
    house
        .reconfigure("role = \"dashboard\"", "role = \"reporting\"")
        .await;
    let listed = stream.ask(5, "tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert!(
        tools
            .iter()
            .any(|tool| tool["name"] == "get_revenue_report")
    );
    // The same key in the name of another client proves nobody on this stream.
    let keys = std::fs::read_to_string(house.file("keys.json")).unwrap();
    assert!(keys.contains(DASHBOARD));
    house.replace("keys.json", &keys.replace(DASHBOARD, REPORTING));
    house.signal("-HUP");
    assert_eq!(stream.next().await, None);
    let removed =
        |line: &Value| line["event"] == "session_close" && line["reason"] == "key_removed";
    house.recorded("the end of the key's stream", removed).await;
    assert!(goes_on.ask(9, "ping", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn a_stream_of_a_certificate_ends_when_it_names_another_or_its_ca_has_gone() {
    let (clients, others) = (Ca::root("clients"), Ca::root("others"));
    const NAMED: &str = "[clients.customer-service-agent]\ncertificate = \"spiffe://a/support\"\n";
    let house = House::with(|setup| {
        behind_balancer(setup, &(clients.pem() + &others.pem()));
        setup.set(
            "clients.reporting-agent.certificate",
            "spiffe://a/reporting",
        );
    })
    .await;
    house
        .reconfigure("[clients.customer-service-agent]\n", NAMED)
        .await;
    let of = |ca: &Ca, uri| house.showing(&ca.client(uri).header());
    let mut goes_on = of(&clients, "spiffe://a/reporting").stream().await;
    goes_on.initialize().await;
    let support = of(&others, "spiffe://a/support");
    let change = (
        NAMED,
        "[clients.customer-service-agent]\ncertificate = \"spiffe://a/else\"\n",
        "unknown_certificate_name",
    );
    house.ends(&support, change).await;
    let mut stream = support.stream().await;
    house.replace("clients.pem", &clients.pem());
    assert_eq!(stream.next().await, None);
    let gone =
        |line: &Value| line["event"] == "session_close" && line["reason"] == "unknown_issuer";
    house.recorded("the end by the CA", gone).await;
    assert!(goes_on.ask(9, "ping", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn a_stream_of_a_token_ends_when_the_certificate_that_it_is_bound_to_is_revoked() {
    let (clients, key) = (Ca::root("clients"), Key::new("own", Algorithm::ES256));
    let issuer = Issuer::start(&[&key]).await;
    let house = crate::house::House::with(|setup| {
        behind_balancer(setup, &clients.pem());
        setup.file("clients.crl", &clients.crl(&[], 2090));
        setup.set("server.tls.client_crl", "clients.crl");
        setup.config(&issuer.config("client = \"customer-service-agent\""));
    })
    .await;
    let (holder, other) = (
        clients.client("spiffe://example.com/nobody"),
        clients.client("spiffe://example.com/nobody-else"),
    );
    let bound = |identity: &Identity| {
        let token = issuer.token(
            &key,
            json!({ "cnf": { "x5t#S256": identity.thumbprint() } }),
        );
        house
            .showing(&identity.header())
            .with("authorization", &format!("Bearer {token}"))
    };
    // A certificate need name nobody for a token to be bound to it.
    let nameless = clients.leaf(|leaf| leaf.subject_alt_names = Vec::new());
    let answer = bound(&nameless).list().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let (agent, bystander) = (bound(&holder), bound(&other));
    let (mut stream, mut goes_on) = (agent.stream().await, bystander.stream().await);
    stream.initialize().await;
    house.replace("clients.crl", &clients.crl(&[holder.serial()], 2090));
    assert_eq!(stream.next().await, None);
    let closed = house.event("session_close").await;
    assert_eq!(closed["reason"], "certificate_revoked");
    assert_eq!(agent.status().await, 401);
    goes_on.initialize().await;
}
