//! From the headers of a request to its [`Caller`].

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use http::HeaderMap;
use jiff::Timestamp;

use super::{
    Caller, Proof,
    api_key::{ApiKey, Keys, Presented, presented},
    failures::{Blocked, Failures},
    mtls::{BadCertificate, Mtls},
};
use crate::{listen::ClientCertificate, setting::Quota};

/// The role of each client that is configured.
pub type Directory = HashMap<Arc<str>, Arc<str>>;

/// Says who is calling.
pub struct Authenticator {
    keys: Arc<Keys>,
    mtls: Option<Arc<Mtls>>,
    directory: ArcSwap<Directory>,
    failures: ArcSwap<Failures>,
}

impl Authenticator {
    /// Keys are shared with what refreshes them.
    pub fn new(keys: Arc<Keys>, directory: Directory, failed_logins: Quota) -> Self {
        Self {
            keys,
            mtls: None,
            directory: ArcSwap::from_pointee(directory),
            failures: ArcSwap::from_pointee(Failures::new(failed_logins)),
        }
    }

    /// The same, which takes client certificates as well.
    pub fn with_certificates(self, mtls: Option<Arc<Mtls>>) -> Self {
        Self { mtls, ..self }
    }

    /// Where it looks for the names in client certificates.
    pub fn mtls(&self) -> Option<&Arc<Mtls>> {
        self.mtls.as_ref()
    }

    /// Takes another configuration from now on. Failures that were counted stay counted unless
    /// their limit changes.
    pub fn reload(&self, directory: Directory, failed_logins: Quota) {
        self.directory.store(Arc::new(directory));
        if self.failures.load().quota() != failed_logins {
            self.failures.store(Arc::new(Failures::new(failed_logins)));
        }
    }

    /// The keys it looks into.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Who sent these headers. `peer` is the address that failures are counted for.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Caller, AuthFailure> {
        self.identify(headers, certificate, now)
            .map_err(|failure| self.count(failure, peer))
    }

    /// A certificate alone will do; beside another credential it has to be the same client's, or
    /// nobody's in particular.
    fn identify(
        &self,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
        now: Timestamp,
    ) -> Result<Caller, AuthFailure> {
        let (Some(mtls), Some(certificate)) = (&self.mtls, certificate) else {
            return self.by_headers(headers, now);
        };
        let by_certificate = mtls.identify(certificate);
        match (by_certificate, self.by_headers(headers, now)) {
            (Err(BadCertificate::UnknownName), Ok(caller)) => Ok(caller),
            (Err(bad), _) => Err(AuthFailure::new(
                FailureKind::InvalidCertificate,
                bad.reason(),
            )),
            (Ok(identified), Ok(caller)) if identified.client == caller.client => Ok(caller),
            (Ok(_), Ok(_)) => Err(AuthFailure::new(FailureKind::Conflict, "conflict")),
            (Ok(identified), Err(failure)) if failure.kind == FailureKind::NoCredential => self
                .caller(
                    identified.client,
                    Proof::Mtls,
                    identified.fingerprint,
                    FailureKind::InvalidCertificate,
                ),
            (Ok(_), Err(failure)) => Err(failure),
        }
    }

    fn by_headers(&self, headers: &HeaderMap, now: Timestamp) -> Result<Caller, AuthFailure> {
        match presented(headers) {
            Ok(Some(Presented::Key(key))) => self.by_key(key, now),
            Ok(Some(Presented::Token(_))) => {
                Err(AuthFailure::new(FailureKind::InvalidToken, "not_a_key"))
            }
            Ok(Some(Presented::Malformed)) => {
                Err(AuthFailure::new(FailureKind::Invalid, "malformed"))
            }
            Ok(None) => Err(AuthFailure::new(FailureKind::NoCredential, "no_credential")),
            Err(_) => Err(AuthFailure::new(FailureKind::Conflict, "conflict")),
        }
    }

    fn by_key(&self, text: &str, now: Timestamp) -> Result<Caller, AuthFailure> {
        let invalid = |reason| AuthFailure::new(FailureKind::Invalid, reason);
        let key = ApiKey::parse(text).map_err(|bad| invalid(bad.reason()))?;
        let verified = self.keys.verify(&key, now).map_err(|bad| AuthFailure {
            key_id: Some(key.id().into()),
            ..invalid(bad.reason())
        })?;
        self.caller(
            verified.client,
            Proof::ApiKey,
            verified.key_id,
            FailureKind::Invalid,
        )
    }

    fn caller(
        &self,
        client: Arc<str>,
        proven_by: Proof,
        key_id: Arc<str>,
        otherwise: FailureKind,
    ) -> Result<Caller, AuthFailure> {
        match self.directory.load().get(&client) {
            Some(role) => Ok(Caller {
                client,
                role: Arc::clone(role),
                user: None,
                proven_by,
                key_id: Some(key_id),
            }),
            None => Err(AuthFailure {
                key_id: Some(key_id),
                ..AuthFailure::new(otherwise, "unknown_client")
            }),
        }
    }

    /// A request without a credential is how clients find out what is asked for: no failure.
    pub(super) fn count(&self, failure: AuthFailure, peer: IpAddr) -> AuthFailure {
        if failure.kind == FailureKind::NoCredential {
            return failure;
        }
        match self.failures.load().record(peer) {
            Ok(()) => failure,
            Err(Blocked { retry_after, first }) => AuthFailure {
                kind: FailureKind::TooManyFailures { retry_after, first },
                reason: "too_many_failures",
                key_id: failure.key_id,
            },
        }
    }
}

/// Why nobody is calling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not authenticated: {reason}")]
pub struct AuthFailure {
    /// What the caller may hear.
    pub kind: FailureKind,
    /// For the audit log only.
    pub reason: &'static str,
    /// The public part of the key, where the key was of the right form.
    pub key_id: Option<Arc<str>>,
}

impl AuthFailure {
    pub(super) fn new(kind: FailureKind, reason: &'static str) -> Self {
        Self {
            kind,
            reason,
            key_id: None,
        }
    }
}

/// The kinds of failure that are answered differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing was presented.
    NoCredential,
    /// A key that is not accepted, for whatever reason.
    Invalid,
    /// A bearer token that is no key of ours.
    InvalidToken,
    /// A client certificate that is not accepted, for whatever reason.
    InvalidCertificate,
    /// Two credentials that disagree.
    Conflict,
    /// Not accepted either, and the address has failed too often.
    TooManyFailures {
        /// When another failure would be answered as one.
        retry_after: Duration,
        /// The one to write into the audit log; the others are not worth a line.
        first: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::api_key::{KeyDocument, Status};
    use http::HeaderValue;
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
        let directory = Directory::from([("agent".into(), "reader".into())]);
        Fixture {
            authenticator: Authenticator::new(Arc::new(keys), directory, quota),
            document,
            key,
        }
    }

    fn key_header(key: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_str(key).unwrap());
        headers
    }

    impl Fixture {
        fn with_key(&self, key: &str) -> Result<Caller, AuthFailure> {
            self.authenticator
                .authenticate(&key_header(key), None, PEER, NOW)
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
            let failure = it
                .authenticator
                .authenticate(&HeaderMap::new(), None, PEER, NOW)
                .unwrap_err();
            assert_eq!(failure.kind, FailureKind::NoCredential);
        }
        assert_eq!(it.with_key("wrong").unwrap_err().kind, FailureKind::Invalid);
    }

    #[test]
    fn a_bad_token_and_a_conflict_are_told_apart_from_a_bad_key() {
        let it = fixture();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer ey.x.y"));
        let failure = it
            .authenticator
            .authenticate(&headers, None, PEER, NOW)
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidToken);
        headers.insert(
            "x-api-key",
            HeaderValue::from_str(it.key.expose_secret()).unwrap(),
        );
        let failure = it
            .authenticator
            .authenticate(&headers, None, PEER, NOW)
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
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
        let quota = it.authenticator.failures.load().quota();
        it.authenticator.reload(Directory::new(), quota);
        let failure = it.with_key(it.key.expose_secret()).unwrap_err();
        assert_eq!(failure.reason, "unknown_client");
        assert_eq!(failure.kind, FailureKind::Invalid);
        let moved = Directory::from([("agent".into(), "writer".into())]);
        it.authenticator.reload(moved, quota);
        assert_eq!(
            &*it.with_key(it.key.expose_secret()).unwrap().role,
            "writer"
        );
    }
}
