//! How far a long call is, told to a client that asked for it.

use std::sync::atomic::{AtomicU32, Ordering};

use rmcp::{
    model::{ProgressNotificationParam, ProgressToken},
    service::{Peer, RoleServer},
};

/// Where progress goes; nowhere when the client sent no progress token.
#[derive(Default)]
pub struct Progress {
    peer: Option<(Peer<RoleServer>, ProgressToken)>,
    gate: Gate,
}

impl Progress {
    /// Reports to `peer` under the token that came with its request.
    pub fn new(peer: Option<(Peer<RoleServer>, ProgressToken)>) -> Self {
        Self {
            peer,
            gate: Gate::default(),
        }
    }

    /// Reports that `done` of `total` steps are done. A client that has gone does not matter here.
    pub async fn report(&self, done: u32, total: u32, message: &'static str) {
        let Some((peer, token)) = &self.peer else {
            return;
        };
        if !self.gate.pass(done) {
            return;
        }
        let progress = ProgressNotificationParam::new(token.clone(), f64::from(done))
            .with_total(f64::from(total))
            .with_message(message);
        let _ = peer.notify_progress(progress).await;
    }
}

/// Lets values pass that are greater than the last, and not too many of them.
#[derive(Default)]
struct Gate {
    last: AtomicU32,
    sent: AtomicU32,
}

impl Gate {
    fn pass(&self, done: u32) -> bool {
        self.last.fetch_max(done, Ordering::Relaxed) < done
            && self.sent.fetch_add(1, Ordering::Relaxed) < MAX_NOTIFICATIONS
    }
}

const MAX_NOTIFICATIONS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_only_grows_and_has_an_end() {
        let gate = Gate::default();
        assert!(!gate.pass(0));
        assert!(gate.pass(1));
        assert!(gate.pass(3));
        assert!(!gate.pass(2));
        assert!(!gate.pass(3));
        let sent = (4..100).filter(|done| gate.pass(*done)).count();
        assert_eq!(sent, 18);
    }
}
