//! From the credentials of a request to its [`Caller`].

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use http::HeaderMap;
use jiff::Timestamp;

use super::{
    AuthFailure, Caller, FailureKind, Lapse,
    api_key::{ApiKey, Keys},
    evidence::{Disagree, Evidence, Standing, both, compose},
    failures::{Blocked, Failures},
    jwt::{BadToken, Tokens},
    mtls::{BadCertificate, Mtls},
    presented::{Unusable, keys, presented, ways},
    proof::{Credentials, Proof, Way},
    repeats::Repeats,
};
use crate::{listen::ClientCertificate, setting::Quota};

/// The clients that are configured.
pub type Directory = HashMap<Arc<str>, Entry>;

/// What is known of a client before it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the keys under [clients.NAME]")]
pub struct Entry {
    pub role: Arc<str>,
    pub credentials: Credentials,
}

/// What a request has to show for itself.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Where keys and tokens stand.
    pub headers: &'a HeaderMap,
    /// What the TLS handshake has proven.
    pub certificate: Option<&'a Arc<ClientCertificate>>,
    /// The address that failures are counted for.
    pub ip: IpAddr,
    /// When it came.
    pub now: Timestamp,
}

/// Says who is calling.
pub struct Authenticator {
    keys: Arc<Keys>,
    accepts_keys: bool,
    tokens: ArcSwap<Tokens>,
    mtls: Option<Arc<Mtls>>,
    directory: ArcSwap<Directory>,
    failures: ArcSwap<Failures>,
    /// Nobody guesses a certificate: these are counted apart, to bound their lines in the log.
    bad_certificates: ArcSwap<Failures>,
    /// Nor is a request without a credential a guess: counted apart for the same reason.
    strangers: ArcSwap<Failures>,
    /// Nor is a good credential with another's session.
    trespasses: ArcSwap<Failures>,
    pub(super) repeats: Repeats,
}

impl Authenticator {
    /// By API keys alone. Keys are shared with what refreshes them.
    pub fn new(keys: Arc<Keys>, directory: Directory, failed_logins: Quota) -> Self {
        Self {
            keys,
            accepts_keys: true,
            tokens: ArcSwap::default(),
            mtls: None,
            directory: ArcSwap::from_pointee(directory),
            failures: ArcSwap::from_pointee(Failures::new(failed_logins)),
            bad_certificates: ArcSwap::from_pointee(Failures::new(failed_logins)),
            strangers: ArcSwap::from_pointee(Failures::new(failed_logins)),
            trespasses: ArcSwap::from_pointee(Failures::new(failed_logins)),
            repeats: Repeats::default(),
        }
    }

    /// By bearer tokens as well.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        self.tokens.store(Arc::new(tokens));
        self
    }

    /// By client certificates as well.
    #[must_use]
    pub fn with_certificates(self, mtls: Option<Arc<Mtls>>) -> Self {
        Self { mtls, ..self }
    }

    /// No longer by API keys.
    #[must_use]
    pub fn without_api_keys(self) -> Self {
        Self {
            accepts_keys: false,
            ..self
        }
    }

    /// Takes another configuration from now on. Failures that were counted stay counted unless
    /// their limit changes.
    pub fn reload(&self, directory: Directory, tokens: Tokens, failed_logins: Quota) {
        self.tokens.store(Arc::new(tokens));
        self.directory.store(Arc::new(directory));
        if self.failures.load().quota() != failed_logins {
            self.failures.store(Arc::new(Failures::new(failed_logins)));
            for apart in [&self.bad_certificates, &self.strangers, &self.trespasses] {
                apart.store(Arc::new(Failures::new(failed_logins)));
            }
        }
    }

    /// The keys it looks into.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The issuers whose tokens it takes.
    pub fn tokens(&self) -> Arc<Tokens> {
        self.tokens.load_full()
    }

    /// Where it looks for the names in client certificates.
    pub fn mtls(&self) -> Option<&Arc<Mtls>> {
        self.mtls.as_ref()
    }

    /// Whether API keys are accepted at all.
    pub fn accepts_keys(&self) -> bool {
        self.accepts_keys
    }

    /// Whether anybody could prove who they are at that moment.
    pub fn can_admit(&self, now: Timestamp) -> bool {
        let by_certificate = self.mtls.as_ref().is_some_and(|mtls| mtls.knows_anybody());
        self.keys.usable(now) > 0 || self.tokens.load().can_be_verified() || by_certificate
    }

    /// The way that a caller without any credential is pointed to.
    pub fn asks_for(&self) -> Way {
        match (self.accepts_keys, self.tokens.load().are_accepted()) {
            (true, _) => Way::ApiKey,
            (false, true) => Way::Jwt,
            (false, false) => Way::Mtls,
        }
    }

    /// Who is calling.
    ///
    /// # Errors
    /// Why that is not proven. The failure is counted for the address.
    pub async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Caller, AuthFailure> {
        let identified = self.identify(attempt).await;
        identified.map_err(|failure| {
            let tried = self.tried(attempt);
            self.count(AuthFailure { tried, ..failure }, attempt.ip)
        })
    }

    /// The ways in which a request tried to prove something, whatever came of it.
    fn tried(&self, attempt: &Attempt<'_>) -> Proof {
        let by_headers = ways(attempt.headers);
        match (&self.mtls, attempt.certificate) {
            (Some(_), Some(_)) => by_headers.and(Way::Mtls),
            _ => by_headers,
        }
    }

    /// A bad credential beside a good one is refused: each one that came has to prove something,
    /// and all of them the same client.
    async fn identify(&self, attempt: &Attempt<'_>) -> Result<Caller, AuthFailure> {
        let presented = presented(attempt.headers).map_err(|unusable| AuthFailure {
            key_id: (unusable == Unusable::Conflict)
                .then(|| named(attempt.headers))
                .flatten(),
            ..unusable.into()
        })?;
        let mut found = Vec::with_capacity(3);
        // A certificate that is trusted and nobody's in particular spoils nothing: a token may be
        // bound to it.
        let mut nobodys = None;
        if let (Some(mtls), Some(certificate)) = (&self.mtls, attempt.certificate) {
            let failure = |bad: BadCertificate| AuthFailure {
                key_id: mtls.shown(certificate).0,
                ..bad.into()
            };
            match by_certificate(mtls, certificate) {
                Ok(evidence) => found.push(evidence),
                Err(bad @ (BadCertificate::UnknownName | BadCertificate::NoName)) => {
                    nobodys = Some(failure(bad));
                }
                Err(bad) => return Err(failure(bad)),
            }
        }
        if let Some(key) = presented.key {
            found.push(self.by_key(key, attempt.now)?);
        }
        if let Some(token) = presented.token {
            found.push(self.by_token(token, attempt).await?);
        }
        match compose(found) {
            Ok(Some(caller)) => self.admit(caller),
            Ok(None) => Err(match nobodys {
                Some(failure) => failure,
                None => AuthFailure::new(FailureKind::NoCredential, "no_credential"),
            }),
            Err(Disagree { key_id }) => Err(AuthFailure {
                key_id,
                ..AuthFailure::new(FailureKind::Conflict, "conflict")
            }),
        }
    }

    fn by_key(&self, text: &str, now: Timestamp) -> Result<Evidence, AuthFailure> {
        let invalid = |reason| AuthFailure::new(FailureKind::Invalid, reason);
        let key = ApiKey::parse(text).map_err(|bad| invalid(bad.reason()))?;
        let verified = self.keys.verify(&key, now).map_err(|bad| AuthFailure {
            key_id: Some(key.id().into()),
            ..invalid(bad.reason())
        })?;
        Ok(Evidence {
            way: Way::ApiKey,
            client: verified.client,
            key_id: Some(verified.key_id.clone()),
            user: None,
            scopes: None,
            standing: vec![Standing::Key(verified.key_id)],
        })
    }

    async fn by_token(&self, text: &str, attempt: &Attempt<'_>) -> Result<Evidence, AuthFailure> {
        let token = self.tokens.load_full().verify(text, attempt.now).await?;
        let mut standing = vec![Standing::Token(token.standing.clone())];
        if let Some(bound_to) = token.certificate {
            let holder = attempt.certificate;
            let holder = holder.filter(|certificate| certificate.sha256 == bound_to);
            let Some(holder) = holder else {
                return Err(AuthFailure {
                    key_id: token.key_id.clone(),
                    issuer: Some(token.user.issuer.clone()),
                    ..BadToken::Binding.into()
                });
            };
            standing.push(Standing::Holder(holder.clone()));
        }
        Ok(Evidence {
            way: Way::Jwt,
            client: token.client.clone(),
            key_id: token.key_id.clone(),
            user: Some(token.user.clone()),
            scopes: token.scopes.clone(),
            standing,
        })
    }

    /// The client's role, once it has proven itself in every way that is asked of it.
    fn admit(&self, caller: Caller) -> Result<Caller, AuthFailure> {
        let failure = |kind, reason| AuthFailure {
            key_id: caller.key_id.clone(),
            issuer: caller.user.as_ref().map(|user| user.issuer.clone()),
            ..AuthFailure::new(kind, reason)
        };
        let directory = self.directory.load();
        let Some(entry) = directory.get(&caller.client) else {
            let kind = match caller.proven_by.has(Way::Jwt) {
                true => FailureKind::InvalidToken,
                false => FailureKind::Invalid,
            };
            return Err(failure(kind, "unknown_client"));
        };
        if let Some(way) = entry.credentials.missing(caller.proven_by) {
            return Err(AuthFailure {
                client: Some(caller.client.clone()),
                ..failure(FailureKind::Missing(way), "another_credential_needed")
            });
        }
        Ok(Caller {
            role: entry.role.clone(),
            ..caller
        })
    }

    /// Whether what proved a caller still does. A stream asks again and again.
    ///
    /// # Errors
    /// What has changed.
    pub fn still_good(&self, caller: &Caller, now: Timestamp) -> Result<(), Lapse> {
        let directory = self.directory.load();
        let entry = directory.get(&caller.client).ok_or(Lapse::ClientRemoved)?;
        if entry.credentials.missing(caller.proven_by).is_some() {
            return Err(Lapse::CredentialsChanged);
        }
        for standing in caller.standing.iter() {
            match standing {
                Standing::Key(id) => self.keys.still_good(id, &caller.client, now)?,
                Standing::Token(token) => self.tokens.load().still_good(token, now)?,
                Standing::Certificate(certificate) => {
                    let mtls = self.mtls.as_ref().ok_or(BadCertificate::UnknownName)?;
                    let identified = mtls.identify(certificate)?;
                    if identified.client != caller.client {
                        return Err(BadCertificate::UnknownName.into());
                    }
                }
                Standing::Holder(certificate) => {
                    let mtls = self.mtls.as_ref().ok_or(BadCertificate::UnknownName)?;
                    mtls.trusts(certificate)?;
                }
            }
        }
        Ok(())
    }

    /// Counts what a known caller tried and may not; whether the log has lines enough of it.
    pub(super) fn is_repeated(&self, caller: &Caller, what: &'static str, peer: IpAddr) -> bool {
        let is_repeated = self.trespasses.load().record(peer).is_err();
        if is_repeated {
            self.repeats.count(what, Some(&caller.client));
        }
        is_repeated
    }

    /// Neither a request without a credential, which is how clients find out what is asked for,
    /// nor one with a token that was good until lately is a guess.
    pub(super) fn count(&self, failure: AuthFailure, peer: IpAddr) -> AuthFailure {
        if failure.kind.is_a_strangers() {
            let is_repeated = self.strangers.load().record(peer).is_err();
            if is_repeated {
                self.repeats.count(failure.reason, None);
            }
            return AuthFailure {
                is_repeated,
                ..failure
            };
        }
        if !failure.kind.is_guess() {
            return failure;
        }
        let failures = match failure.kind {
            FailureKind::InvalidCertificate => &self.bad_certificates,
            _ => &self.failures,
        };
        match failures.load().record(peer) {
            Ok(()) => failure,
            Err(Blocked { retry_after, first }) => AuthFailure {
                kind: FailureKind::TooManyFailures {
                    retry_after_seconds: retry_after.as_secs() + 1,
                    first,
                },
                reason: "too_many_failures",
                ..failure
            },
        }
    }
}

/// The ids of the first two keys that differ, of those that have the form of one.
fn named(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut ids = keys(headers).filter_map(|text| Some(ApiKey::parse(text).ok()?.id().into()));
    let one: Arc<str> = ids.next()?;
    let other = ids.find(|other| *other != one);
    both(Some(one), other)
}

fn by_certificate(
    mtls: &Mtls,
    certificate: &Arc<ClientCertificate>,
) -> Result<Evidence, BadCertificate> {
    let identified = mtls.identify(certificate)?;
    Ok(Evidence {
        way: Way::Mtls,
        client: identified.client,
        key_id: Some(identified.fingerprint),
        user: None,
        scopes: None,
        standing: vec![Standing::Certificate(certificate.clone())],
    })
}

#[cfg(test)]
mod tests;
