//! A clock of Redis that is put forward or back.

use tokio::time::Instant;

use super::{
    super::{Held, SLOTS},
    Table,
};

impl Table {
    /// The same where the clock of Redis was put back: nothing has happened later than now.
    pub(super) fn until(mut self, clock: u64) -> Self {
        let used = self.slots.iter_mut().filter_map(|slot| slot.used.as_mut());
        let times = used.map(|(_, at)| at).chain(self.instances.values_mut());
        let own = [&mut self.since, &mut self.joined, &mut self.doubted];
        times.chain(own).for_each(|time| *time = clock.min(*time));
        self
    }

    /// The same where it was put forward: what an instance knows to rest rests. `at` tells the time in
    /// Redis by ours.
    pub(super) fn keep_resting(&mut self, slots: &[Held; SLOTS], at: impl Fn(Instant) -> u64) {
        for (slot, held) in self.slots.iter_mut().zip(slots) {
            if let (Some((attempt, then)), Some(used)) = (&mut slot.used, held.used)
                && *attempt == used.attempt
            {
                *then = at(used.at).max(*then);
            }
        }
    }
}
