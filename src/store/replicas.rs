//! How many instances share this Redis: what the configuration expects, and what was counted. One
//! rule for all rooms, since each of them gives an instance its share while Redis is gone.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use metrics::gauge;

/// Counts the instances.
#[derive(Debug)]
pub(super) struct Replicas {
    expected: Option<NonZeroU32>,
    /// As many as were last counted.
    live: AtomicU32,
    /// That there are more than expected is said once.
    said_more: AtomicBool,
}

impl Replicas {
    pub(super) fn new(expected: Option<NonZeroU32>) -> Self {
        Self {
            expected,
            live: AtomicU32::new(1),
            said_more: AtomicBool::new(false),
        }
    }

    /// As many as there are, as far as is known. More than are expected admit no more together
    /// than a limit allows.
    pub(super) fn known(&self) -> u32 {
        let live = self.live.load(Ordering::Relaxed);
        let expected = self.expected.map_or(1, NonZeroU32::get);
        live.max(expected)
    }

    /// Takes the number of instances that live. Right after a change some have yet to say so, and
    /// an instance that takes itself for the only one would admit too much.
    pub(super) fn count(&self, live: u32, settled: bool) {
        match settled {
            true => self.live.store(live, Ordering::Relaxed),
            false => {
                self.live.fetch_max(live, Ordering::Relaxed);
            }
        }
        gauge!("zoho_mcp_limiter_replicas").set(self.known());
        let more = self.expected.filter(|it| live > it.get());
        if let Some(expected) = more
            && !self.said_more.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                expected,
                live,
                "more instances share the limits than redis.expected_replicas says; correct it, \
                 since until all have been counted their shares would be too large"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_what_is_expected_and_what_was_counted_holds() {
        let replicas = Replicas::new(NonZeroU32::new(2));
        assert_eq!(replicas.known(), 2);
        replicas.count(5, false);
        assert_eq!(replicas.known(), 5);
        replicas.count(1, false);
        assert_eq!(replicas.known(), 5, "others have yet to say that they live");
        replicas.count(1, true);
        assert_eq!(replicas.known(), 2);
        let alone = Replicas::new(None);
        assert_eq!(alone.known(), 1);
    }
}
