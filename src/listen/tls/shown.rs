//! The certificate of a client whose handshake fails: rustls keeps none that it refuses, and its
//! error, which becomes the alert that the client is sent, has no place for one.

use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::CertificateDer;
use tokio::task_local;

use super::super::ClientCertificate;

task_local! {
    static SHOWN: Shown;
}

/// What the client of one handshake has shown.
#[derive(Clone, Default)]
pub(in crate::listen) struct Shown(Arc<Mutex<Option<ClientCertificate>>>);

impl Shown {
    pub(in crate::listen) fn take(&self) -> Option<ClientCertificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The handshake as it was, and where the certificate that it looks at is noted.
pub(in crate::listen) fn shown<F: Future>(
    handshake: F,
) -> (Shown, impl Future<Output = F::Output>) {
    let shown = Shown::default();
    (shown.clone(), SHOWN.scope(shown, handshake))
}

/// Notes what a handshake looks at. Outside of one there is nobody to note it for.
pub(super) fn note(leaf: &CertificateDer<'_>) {
    let _ = SHOWN.try_with(|shown| {
        let certificate = ClientCertificate::new(vec![leaf.clone().into_owned()]);
        *shown.0.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
    });
}
