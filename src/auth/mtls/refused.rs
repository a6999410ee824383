//! Certificates that the listener refuses never become a request; they are counted and recorded
//! like any other failed login.

use std::sync::Arc;

use super::super::{AuthFailure, Authenticator, FailureKind, Proof, Way};
use crate::{
    audit::{Audit, Event},
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
        let failure = AuthFailure {
            tried: Proof::by(Way::Mtls),
            ..AuthFailure::new(FailureKind::InvalidCertificate, why.reason())
        };
        let failure = authenticator.count(failure, ip);
        let event = Event {
            ip: Some(ip),
            key_id,
            client_id: client_id.filter(|_| was_trusted),
            ..failure.event()
        };
        match failure.has_line() {
            true => audit.record(event).await,
            false => Audit::count(&event),
        }
    }
}
