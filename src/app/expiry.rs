//! One line in the operational log when a certificate or a revocation list comes near its end.

use jiff::Timestamp;

use crate::listen::{Expiring, Tls};

/// What was told last.
#[derive(Default)]
pub(super) struct Expiry(Vec<Expiring>);

impl Expiry {
    /// Tells what is new. It costs a look at the clock, so that it may be called all the time.
    pub(super) fn tell(&mut self, tls: &Tls, now: Timestamp) {
        let expiring = tls.expiring(now);
        for news in expiring.iter().filter(|it| !self.0.contains(it)) {
            match news.is_over() {
                true => tracing::error!("{news}"),
                false => tracing::warn!("{news}"),
            }
        }
        if expiring.is_empty() && !self.0.is_empty() {
            tracing::info!("server.tls: nothing runs out soon any more");
        }
        self.0 = expiring;
    }
}
