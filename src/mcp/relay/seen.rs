//! Letters that were taken already: one that comes a second time counts once.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

/// Their ids, for longer than they are fresh.
#[derive(Default)]
pub(super) struct Seen {
    ids: HashSet<Uuid>,
    order: VecDeque<(Instant, Uuid)>,
}

impl Seen {
    /// Whether it comes for the first time, as far as there is room to know.
    pub(super) fn is_new(&mut self, id: Uuid) -> bool {
        let now = Instant::now();
        while let Some((since, old)) = self.order.front().copied()
            && now - since > KEEP
        {
            self.order.pop_front();
            self.ids.remove(&old);
        }
        // What might be a repetition is not taken.
        if self.ids.len() >= MOST || !self.ids.insert(id) {
            return false;
        }
        self.order.push_back((now, id));
        true
    }
}

/// Twice as long as a letter is fresh, whichever way the clocks differ, and a little more.
const KEEP: Duration = Duration::from_secs(25);
const MOST: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_letter_counts_once_while_it_is_fresh_and_room_is_bounded() {
        let mut seen = Seen::default();
        let id = Uuid::new_v4();
        assert!(seen.is_new(id) && !seen.is_new(id));
        tokio::time::advance(KEEP / 2).await;
        assert!(!seen.is_new(id));
        for _ in 1..MOST {
            assert!(seen.is_new(Uuid::new_v4()));
        }
        assert!(!seen.is_new(Uuid::new_v4()), "there is no room");
        tokio::time::advance(KEEP + Duration::from_secs(1)).await;
        assert!(seen.is_new(Uuid::new_v4()));
        assert_eq!(seen.ids.len(), 1);
    }
}
