//! What a call is named by in the log: a UUID of version 7, so that they sort by when calls began. It is no
//! secret and costs no system call: chance tells one run from another, and a count its calls apart.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// The names of the calls of this run.
pub(super) struct ExecutionIds {
    chance: [u8; 6],
    count: AtomicU32,
}

impl ExecutionIds {
    pub(super) fn new() -> Self {
        let [a, b, c, d, e, f, ..] = Uuid::new_v4().into_bytes();
        Self {
            chance: [a, b, c, d, e, f],
            count: AtomicU32::new(0),
        }
    }

    /// One that no other call has.
    pub(super) fn next(&self) -> Uuid {
        let [a, b, c, d, e, f] = self.chance;
        let [g, h, i, j] = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let millis = Timestamp::now().as_millisecond().unsigned_abs();
        Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn no_two_calls_have_one_name_in_any_run() {
        let runs: Vec<ExecutionIds> = (0..3).map(|_| ExecutionIds::new()).collect();
        let ids: Vec<Uuid> = thread::scope(|scope| {
            let threads = runs
                .iter()
                .chain(&runs)
                .map(|run| scope.spawn(|| (0..10_000).map(|_| run.next()).collect::<Vec<Uuid>>()));
            let threads: Vec<_> = threads.collect();
            let each = threads.into_iter().map(|thread| thread.join().unwrap());
            each.flatten().collect()
        });
        let distinct: HashSet<&Uuid> = ids.iter().collect();
        assert_eq!(distinct.len(), 60_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let now = Timestamp::now().as_second();
        let (began, _) = ids[0].get_timestamp().unwrap().to_unix();
        assert!(now - i64::try_from(began).unwrap() < 600);
    }
}
