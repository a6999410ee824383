//! An instance that ends in order.

use super::{Look, REST, Table};

impl Table {
    /// Forgets who has ended in order, and leaves its slots to nobody. Where others may have what the table
    /// does not say, they stay its own, as those of one that was killed.
    pub(super) fn part_with(&mut self, is_settled: bool, look: &Look) {
        let is_heard = |last: &u64| look.clock.saturating_sub(*last) <= HEARD;
        let is_doubted = look.clock.saturating_sub(self.doubted) < REST;
        if is_doubted || !is_settled || !self.instances.values().all(is_heard) {
            self.doubted = look.clock;
            return;
        }
        // It stays known whose each slot is.
        self.since = self.since.min(look.clock.saturating_sub(REST));
        self.instances.remove(&look.id);
        for slot in &mut self.slots {
            slot.owner = slot.owner.filter(|it| *it != look.id);
        }
    }
}

/// Who speaks does so every second.
const HEARD: u64 = 2_000;
