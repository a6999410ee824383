use super::*;
use crate::auth::{
    api_key::{KeyDocument, Status},
    jwt,
    proof::Proof,
};
use futures_util::FutureExt as _;
use http::HeaderValue;
use jsonwebtoken::{EncodingKey, Header, encode};
use secrecy::{ExposeSecret as _, SecretString};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct Fixture {
    authenticator: Authenticator,
    document: KeyDocument,
    key: SecretString,
}

fn fixture() -> Fixture {
    let (key, record) = ApiKey::generate("live", "agent".into(), NOW, None).unwrap();
    let document = KeyDocument::of(record);
    let keys = Keys::new(document.clone().into());
    let quota = Quota {
        requests: 10.try_into().unwrap(),
        per: "1h".parse().unwrap(),
    };
    let authenticator = Authenticator::new(Arc::new(keys), directory("reader", ANY), quota);
    Fixture {
        authenticator: authenticator.with_tokens(tokens()),
        document,
        key,
    }
}

const ANY: &str = "'any'";

fn directory(role: &str, credentials: &str) -> Directory {
    #[derive(serde::Deserialize)]
    struct Client {
        credentials: Credentials,
    }
    let text = format!("credentials = {credentials}");
    let entry = Entry {
        role: role.into(),
        credentials: toml::from_str::<Client>(&text).unwrap().credentials,
    };
    Directory::from([("agent".into(), entry)])
}

/// Tokens of an issuer that shares a secret, for the client `agent` or `other` by `client_id`.
fn tokens() -> Tokens {
    let issuer: jwt::config::Issuer = toml::from_str(
        "issuer = 'https://login.example.com/'\naudience = 'us'\nhs256_secret = 'env:X'
         client = 'agent'\nclients = { stranger = 'other' }",
    )
    .unwrap();
    let secret = crate::secrets::read(&"env:X".parse().unwrap(), std::path::Path::new(""), &|_| {
        Some("0123456789abcdef0123456789abcdef".into())
    });
    let secrets = vec![Some(secret.unwrap())];
    let audit = crate::audit::Audit::discarding(crate::audit::OnFailure::Continue);
    Tokens::new(&[issuer], secrets, &[].into(), None, &audit).unwrap()
}

fn token(change: serde_json::Value) -> String {
    let now = NOW.as_second();
    let mut claims = serde_json::json!({
        "iss": "https://login.example.com/", "aud": "us", "sub": "ada",
        "iat": now - 10, "exp": now + 600,
    });
    let change = change.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(change);
    let key = EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
    encode(&Header::default(), &claims, &key).unwrap()
}

fn key_header(key: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::from_str(key).unwrap());
    headers
}

fn bearer(mut headers: HeaderMap, token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert("authorization", value);
    headers
}

impl Fixture {
    fn with_key(&self, key: &str) -> Result<Caller, AuthFailure> {
        self.with(&key_header(key))
    }

    fn with(&self, headers: &HeaderMap) -> Result<Caller, AuthFailure> {
        self.holding(headers, None)
    }

    fn holding(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Arc<ClientCertificate>>,
    ) -> Result<Caller, AuthFailure> {
        let (ip, now) = (PEER, NOW);
        let attempt = Attempt {
            headers,
            certificate,
            ip,
            now,
        };
        let authenticated = self.authenticator.authenticate(&attempt).now_or_never();
        authenticated.expect("nothing to wait for")
    }

    fn with_token(&self, change: serde_json::Value) -> Result<Caller, AuthFailure> {
        self.with(&bearer(HeaderMap::new(), &token(change)))
    }

    /// A key and a token together.
    fn with_both(&self, change: serde_json::Value) -> Result<Caller, AuthFailure> {
        self.with(&bearer(
            key_header(self.key.expose_secret()),
            &token(change),
        ))
    }

    fn reload(&self, directory: Directory) {
        let quota = self.authenticator.failures.load().quota();
        self.authenticator.reload(directory, tokens(), quota);
    }
}

#[test]
fn a_good_key_names_client_role_and_key() {
    let it = fixture();
    let caller = it.with_key(it.key.expose_secret()).unwrap();
    assert_eq!((&*caller.client, &*caller.role), ("agent", "reader"));
    assert_eq!(caller.key_id.as_ref(), Some(&it.document.keys()[0].id));
    assert_eq!(caller.user, None);
}

#[test]
fn the_tenth_failure_is_an_answer_and_the_eleventh_is_too_many() {
    let it = fixture();
    for _ in 0..10 {
        assert_eq!(it.with_key("wrong").unwrap_err().kind, FailureKind::Invalid);
    }
    let first = |failure: AuthFailure| match failure.kind {
        FailureKind::TooManyFailures { first, .. } => first,
        other => panic!("{other:?}"),
    };
    assert!(first(it.with_key("wrong").unwrap_err()));
    assert!(!first(it.with_key("wrong").unwrap_err()));
    assert!(
        it.with_key(it.key.expose_secret()).is_ok(),
        "a good key passes"
    );
}

#[test]
fn asking_without_a_credential_is_no_failure() {
    let it = fixture();
    for _ in 0..100 {
        let failure = it.with(&HeaderMap::new()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NoCredential);
    }
    assert_eq!(it.with_key("wrong").unwrap_err().kind, FailureKind::Invalid);
}

#[test]
fn a_bad_token_is_told_apart_from_a_bad_key() {
    let it = fixture();
    let failure = it.with(&bearer(HeaderMap::new(), "ey.x.y")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidToken);
    let beside_a_good_key = bearer(key_header(it.key.expose_secret()), "ey.x.y");
    let failure = it.with(&beside_a_good_key).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidToken);
    let expired =
        it.with_token(serde_json::json!({ "exp": NOW.as_second() - 30, "iat": 1_799_999_000 }));
    assert_eq!(expired.unwrap_err().kind, FailureKind::TokenExpired);
}

#[test]
fn a_token_names_the_user_and_narrows_the_role() {
    let it = fixture();
    let caller = it
        .with_token(serde_json::json!({ "scope": "crm:read" }))
        .unwrap();
    assert_eq!((&*caller.client, &*caller.role), ("agent", "reader"));
    let user = caller.user.unwrap();
    assert_eq!(
        (&*user.issuer, &*user.subject),
        ("https://login.example.com/", "ada")
    );
    assert_eq!(caller.proven_by, Proof::by(Way::Jwt));
    assert!(!caller.scopes.unwrap().cover("create_note", true));
}

#[test]
fn a_key_and_a_token_of_one_client_are_one_caller() {
    let it = fixture();
    let caller = it.with_both(serde_json::json!({})).unwrap();
    assert_eq!(caller.proven_by.name(), "api_key+jwt");
    assert_eq!(&*caller.user.unwrap().subject, "ada");
    let failure = it
        .with_both(serde_json::json!({ "client_id": "stranger" }))
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
}

#[test]
fn every_credential_that_is_listed_is_needed() {
    let it = fixture();
    it.reload(directory("reader", "['api_key', 'jwt']"));
    assert!(it.with_both(serde_json::json!({})).is_ok());
    let missing = |tried: Result<Caller, AuthFailure>| tried.unwrap_err().kind;
    let key = it.with_key(it.key.expose_secret());
    assert_eq!(missing(key), FailureKind::Missing(Way::Jwt));
    let token = it.with_token(serde_json::json!({}));
    assert_eq!(missing(token), FailureKind::Missing(Way::ApiKey));
    it.reload(directory("reader", "['mtls']"));
    assert_eq!(
        missing(it.with_both(serde_json::json!({}))),
        FailureKind::Missing(Way::Mtls)
    );
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_good_with_that_certificate_only() {
    let it = fixture();
    // The SHA-256 of 32 zero bytes as such: 43 letters A.
    let bound = token(serde_json::json!({ "cnf": { "x5t#S256": "A".repeat(43) } }));
    let headers = bearer(HeaderMap::new(), &bound);
    let certificate = |byte: u8| {
        let certificate = ClientCertificate::new(vec![vec![byte].into()]).unwrap();
        Arc::new(ClientCertificate {
            sha256: [byte; 32],
            ..certificate
        })
    };
    assert!(it.holding(&headers, Some(&certificate(0))).is_ok());
    for holder in [None, Some(&certificate(1))] {
        let failure = it.holding(&headers, holder).unwrap_err();
        assert_eq!(failure.reason, "token_bound_to_another");
    }
}

#[test]
fn a_caller_lapses_with_what_proved_it() {
    let mut it = fixture();
    let caller = it.with_both(serde_json::json!({})).unwrap();
    let lapse = |it: &Fixture, seconds: i64| {
        let now = Timestamp::from_second(NOW.as_second() + seconds).unwrap();
        let good = it.authenticator.still_good(&caller, now);
        good.err().map(Lapse::reason)
    };
    assert_eq!((lapse(&it, 0), lapse(&it, 599)), (None, None));
    assert_eq!(lapse(&it, 600), Some("token_expired"));
    it.reload(directory("reader", "['mtls', 'jwt']"));
    assert_eq!(lapse(&it, 0), Some("another_credential_needed"));
    it.reload(Directory::new());
    assert_eq!(lapse(&it, 0), Some("client_removed"));
    it.reload(directory("writer", ANY));
    assert_eq!(lapse(&it, 0), None);
    let id = Arc::clone(&it.document.keys()[0].id);
    it.document.key_mut(&id).unwrap().status = Status::Retired;
    let retired = it.document.to_json().unwrap();
    it.authenticator.keys().replace(&retired).unwrap();
    assert_eq!(lapse(&it, 0), Some("key_retired"));
}

#[test]
fn the_log_learns_the_reason_and_the_id_of_a_well_formed_key() {
    let mut it = fixture();
    let malformed = it.with_key("zmcp_live_x").unwrap_err();
    assert_eq!((malformed.reason, malformed.key_id), ("malformed", None));
    let id = Arc::clone(&it.document.keys()[0].id);
    it.document.key_mut(&id).unwrap().status = Status::Revoked;
    let revoked = it.document.to_json().unwrap();
    it.authenticator.keys().replace(&revoked).unwrap();
    let failure = it.with_key(it.key.expose_secret()).unwrap_err();
    assert!(!format!("{failure} {failure:?}").contains(it.key.expose_secret()));
    assert_eq!((failure.reason, failure.key_id), ("revoked", Some(id)));
}

#[test]
fn a_key_of_a_client_that_is_not_configured_is_refused_from_the_reload_on() {
    let it = fixture();
    it.reload(Directory::new());
    let failure = it.with_key(it.key.expose_secret()).unwrap_err();
    assert_eq!(failure.reason, "unknown_client");
    assert_eq!(failure.kind, FailureKind::Invalid);
    it.reload(directory("writer", ANY));
    let caller = it.with_key(it.key.expose_secret()).unwrap();
    assert_eq!(&*caller.role, "writer");
}

#[test]
fn a_bad_certificate_is_no_guess_and_neither_hides_the_other() {
    let it = fixture();
    let count = |kind| it.authenticator.count(AuthFailure::new(kind, "bad"), PEER);
    let is_told = |kind| count(kind).kind == kind;
    assert!((0..10).all(|_| is_told(FailureKind::InvalidCertificate)));
    assert!(!is_told(FailureKind::InvalidCertificate));
    assert!((0..10).all(|_| is_told(FailureKind::Invalid)));
    assert!(!is_told(FailureKind::Invalid));
}
