//! Guard: who is calling, before anything of the body is read.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::HeaderMap;
use jiff::Timestamp;

use super::{
    AuthFailure, Authenticator, Caller, FailureKind, Way, authenticator::Attempt,
    discovery::Discovery, lease::Lease,
};
use crate::{
    audit::{Audit, Event, Kind, Redactor},
    listen::Peer,
    refusal::{InsufficientScope, Refusal, Unproven},
};

/// What the guard needs.
#[expect(missing_docs, reason = "the types say it")]
pub struct Gate {
    pub authenticator: Arc<Authenticator>,
    /// `[server] public_url`
    pub public_url: Option<Arc<str>>,
    /// `http` or `https`, as the listener speaks it.
    pub scheme: &'static str,
    pub audit: Audit,
    /// Makes the names of persons fit for logs.
    pub redactor: Redactor,
}

/// Sets the [`Caller`], once and for good, and the [`Lease`] by which streams ask after it.
///
/// # Errors
/// 401 for whoever cannot prove who they are, 429 for an address that tried too often.
pub async fn authenticate(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let peer = request
        .extensions()
        .get::<Peer>()
        .ok_or(Refusal::Internal)?
        .clone();
    let attempt = Attempt {
        headers: request.headers(),
        certificate: peer.certificate.as_ref(),
        ip: peer.ip,
        now: Timestamp::now(),
    };
    let caller = match gate.authenticator.authenticate(&attempt).await {
        Ok(caller) => Arc::new(gate.with_name_for_logs(caller)),
        Err(failure) => {
            // Where nobody can say whether it is good, it is not bad either.
            if failure.kind != FailureKind::TokensUnavailable {
                peer.connection.disprove();
            }
            gate.record(&failure, &peer).await;
            return Err(gate.refuse(&failure, request.headers()));
        }
    };
    let proven = peer.connection.prove();
    if peer.connection.is_new_credential(credential(&caller)) {
        let event = Event::new(Kind::AuthSuccess);
        gate.audit.record(caller.sign(peer.sign(event))).await;
    }
    let extensions = request.extensions_mut();
    extensions.insert(Lease::new(gate, caller.clone()));
    extensions.insert(caller);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(proven);
    Ok(response)
}

impl Gate {
    pub(super) fn discovery(&self) -> Discovery<'_> {
        Discovery {
            tokens: self.authenticator.tokens(),
            public_url: self.public_url.as_deref(),
            scheme: self.scheme,
        }
    }

    /// A subject may be somebody's mail address.
    fn with_name_for_logs(&self, caller: Caller) -> Caller {
        let user = caller.user.as_ref();
        let user_in_log = user.map(|user| self.redactor.person(&user.subject).into());
        Caller {
            user_in_log,
            ..caller
        }
    }

    async fn record(&self, failure: &AuthFailure, peer: &Peer) {
        // Told with others, and counted then.
        if failure.is_repeated {
            return;
        }
        let event = failure.event();
        match failure.has_line() {
            true => self.audit.record(peer.sign(event)).await,
            false => Audit::count(&event),
        }
    }

    fn refuse(&self, failure: &AuthFailure, headers: &HeaderMap) -> Refusal {
        let required = |way| match way {
            Way::ApiKey => Unproven::KeyRequired,
            Way::Jwt => Unproven::TokenRequired,
            Way::Mtls => Unproven::CertificateRequired,
        };
        let why = match failure.kind {
            FailureKind::NoCredential => required(self.authenticator.asks_for()),
            FailureKind::Missing(way) => required(way),
            FailureKind::Invalid => Unproven::InvalidKey,
            FailureKind::InvalidCertificate => Unproven::InvalidCertificate,
            FailureKind::InvalidToken | FailureKind::KeyNotSeenYet => Unproven::InvalidToken,
            FailureKind::TokenExpired => Unproven::TokenExpired,
            FailureKind::Conflict => Unproven::CredentialsDisagree,
            FailureKind::TokensUnavailable => return Refusal::TokensUnavailable,
            FailureKind::ScopeMissing => {
                let discovery = self.discovery();
                let scope = discovery.scopes().join(" ");
                let challenge = discovery.scope_challenge(headers, &scope);
                return InsufficientScope::of(None, &scope, challenge).into();
            }
            FailureKind::TooManyFailures {
                retry_after_seconds,
                ..
            } => {
                return Refusal::TooManyFailures {
                    retry_after_seconds,
                    challenge: self.discovery().challenge(headers, None),
                };
            }
        };
        let bad_token = matches!(why, Unproven::InvalidToken | Unproven::TokenExpired);
        let challenge = self
            .discovery()
            .challenge(headers, bad_token.then(|| why.text()));
        Refusal::Unauthenticated { why, challenge }
    }
}

/// A token that was refreshed is another credential than the one before.
fn credential(caller: &Caller) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let whose = (&caller.client, &caller.user, &caller.key_id);
    hasher
        .hash_one((whose, caller.proven_by, caller.token_ends()))
        .max(1)
}
