//! Certificates that the listener refuses never become a request; they are counted and recorded
//! like any other failed login.

use std::sync::Arc;

use super::super::{AuthFailure, Authenticator, FailureKind};
use crate::{
    audit::{Audit, Event, Kind},
    listen::{RefusedCertificate, RefusedReceiver},
};

/// Records until nobody is left who could refuse one.
pub async fn record_refused(
    authenticator: Arc<Authenticator>,
    audit: Audit,
    mut refused: RefusedReceiver,
) {
    while let Some(next) = refused.next().await {
        for (reason, count) in refused.counted() {
            authenticator.repeats.add(reason, None, count);
        }
        let RefusedCertificate {
            ip,
            why,
            certificate,
            was_trusted,
        } = next;
        let shown = authenticator.mtls().zip(certificate);
        let shown = shown.map(|(mtls, certificate)| mtls.shown(&certificate));
        let (key_id, client_id) = shown.unwrap_or_default();
        let failure = AuthFailure::new(FailureKind::InvalidCertificate, why.reason());
        let failure = authenticator.count(failure, ip);
        let event = match failure.kind {
            FailureKind::TooManyFailures { first: false, .. } => continue,
            FailureKind::TooManyFailures { retry_after, .. } => Event {
                policy: Some("failed_logins".into()),
                retry_after_seconds: Some(retry_after.as_secs() + 1),
                ..Event::new(Kind::RateLimitExceeded)
            },
            _ => Event {
                reason: Some(failure.reason.into()),
                ..Event::new(Kind::AuthFailed)
            },
        };
        let event = Event {
            ip: Some(ip),
            key_id,
            client_id: client_id.filter(|_| was_trusted),
            auth_method: Some("mtls"),
            ..event
        };
        audit.record(event).await;
    }
}
