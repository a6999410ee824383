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
use jiff::Timestamp;

use super::{AuthFailure, Authenticator, Caller, FailureKind};
use crate::{
    audit::{Audit, Event, Kind},
    listen::Peer,
    refusal::Refusal,
};

/// What the guard needs.
#[derive(Clone)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Gate {
    pub authenticator: Arc<Authenticator>,
    pub audit: Audit,
}

/// Sets the [`Caller`], once and for good.
///
/// # Errors
/// 401 for whoever cannot prove who they are, 429 for an address that tried too often.
pub async fn authenticate(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let peer = request
        .extensions()
        .get::<Peer>()
        .ok_or(Refusal::Internal)?
        .clone();
    let certificate = peer.certificate.as_deref();
    let proven =
        gate.authenticator
            .authenticate(request.headers(), certificate, peer.ip, Timestamp::now());
    let caller = match proven {
        Ok(caller) => Arc::new(caller),
        Err(failure) => {
            gate.record(&failure, &peer).await;
            return Err(failure.into());
        }
    };
    if peer.connection.is_new_credential(credential(&caller)) {
        let event = Event::new(Kind::AuthSuccess);
        gate.audit.record(caller.sign(peer.sign(event))).await;
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl Gate {
    async fn record(&self, failure: &AuthFailure, peer: &Peer) {
        let event = match failure.kind {
            FailureKind::TooManyFailures { first: false, .. } => return,
            FailureKind::TooManyFailures { retry_after, .. } => Event {
                policy: Some("failed_logins".into()),
                retry_after_seconds: Some(retry_after.as_secs() + 1),
                ..Event::new(Kind::RateLimitExceeded)
            },
            FailureKind::NoCredential
            | FailureKind::Invalid
            | FailureKind::InvalidToken
            | FailureKind::InvalidCertificate
            | FailureKind::Conflict => Event {
                key_id: failure.key_id.clone(),
                reason: Some(failure.reason.into()),
                ..Event::new(Kind::AuthFailed)
            },
        };
        self.audit.record(peer.sign(event)).await;
    }
}

impl From<AuthFailure> for Refusal {
    fn from(failure: AuthFailure) -> Self {
        match failure.kind {
            FailureKind::NoCredential => Self::NoCredential,
            FailureKind::Invalid => Self::InvalidKey,
            FailureKind::InvalidToken => Self::InvalidToken,
            FailureKind::InvalidCertificate => Self::InvalidCertificate,
            FailureKind::Conflict => Self::CredentialsDisagree,
            FailureKind::TooManyFailures { retry_after, .. } => Self::TooManyFailures {
                retry_after_seconds: retry_after.as_secs() + 1,
            },
        }
    }
}

fn credential(caller: &Caller) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    hasher.hash_one((&caller.client, &caller.key_id)).max(1)
}
