//! Looks into Redis that no limit is charged for: at a session that a message names and that is not
//! known here. Bounded for each client in this process's memory, so that nobody asks without end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::setting::Limit;

/// The looks of each client.
#[derive(Debug, Default)]
pub(super) struct Lookups(Mutex<HashMap<Arc<str>, Looks>>);

#[derive(Debug)]
struct Looks {
    /// When all that were taken have been paid for by the time that went by.
    due: Instant,
    told: Option<Instant>,
}

/// Too many looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyLooks {
    /// Until there may be another.
    pub(super) wait: Duration,
    /// True once in a while for each client: the one to write into the audit log.
    pub(super) is_first: bool,
}

impl Lookups {
    /// Takes one, of twice as many as the client may call: what is refused to it has to be told on a
    /// stream of another instance too. Pings and notifications want a few besides.
    pub(super) fn take(&self, client: &Arc<str>, limit: Limit) -> Result<(), TooManyLooks> {
        let (burst, each) = rate(limit);
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_CLIENTS && !all.contains_key(client) {
            all.retain(|_, looks| looks.due > now);
        }
        let whose = match all.len() < MAX_CLIENTS || all.contains_key(client) {
            true => Arc::clone(client),
            // Those for whom there is no place share one.
            false => "".into(),
        };
        let looks = all.entry(whose).or_insert(Looks {
            due: now,
            told: None,
        });
        let due = looks.due.max(now);
        let wait = (due - now).saturating_sub(each * (burst - 1));
        if !wait.is_zero() {
            let is_first = looks.told.is_none_or(|told| now - told >= TOLD_EVERY);
            if is_first {
                looks.told = Some(now);
            }
            return Err(TooManyLooks { wait, is_first });
        }
        looks.due = due + each;
        Ok(())
    }
}

/// How many at once, and after how long there is another.
fn rate(limit: Limit) -> (u32, Duration) {
    let twice = limit.requests.get().saturating_mul(2);
    let each = (limit.per.duration() / twice).clamp(Duration::from_nanos(1), SLOWEST);
    (twice.max(FEWEST), each)
}

/// Whatever the limit is, there are so many at once,
const FEWEST: u32 = 100;
/// and another after so long.
const SLOWEST: Duration = Duration::from_millis(100);
const TOLD_EVERY: Duration = Duration::from_secs(60);
const MAX_CLIENTS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Quota;

    fn limit(requests: u32, per: &str) -> Limit {
        Limit::from(Quota {
            requests: requests.try_into().unwrap(),
            per: per.parse().unwrap(),
        })
    }

    fn taken(lookups: &Lookups, client: &Arc<str>, limit: Limit) -> usize {
        let take = |_: &usize| lookups.take(client, limit).is_ok();
        (0..10_000).filter(take).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_twice_its_limit_at_once_and_then_as_many_as_go_by() {
        let lookups = Lookups::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let much = limit(1_000, "10s");
        assert_eq!(taken(&lookups, &one, much), 2_000);
        assert_eq!(taken(&lookups, &two, much), 2_000, "not the other's");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&lookups, &one, much), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn however_little_a_client_may_call_it_may_say_that_it_lives() {
        let lookups = Lookups::default();
        let client: Arc<str> = "one".into();
        for little in [limit(1, "1ms"), limit(1, "24h")] {
            let lookups = Lookups::default();
            assert_eq!(taken(&lookups, &client, little), 100);
        }
        assert_eq!(taken(&lookups, &client, limit(1, "24h")), 100);
        let refused = lookups.take(&client, limit(1, "24h")).unwrap_err();
        assert_eq!(refused.wait, SLOWEST);
        assert!(!refused.is_first, "it was told already");
        tokio::time::advance(SLOWEST).await;
        assert!(lookups.take(&client, limit(1, "24h")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_who_finds_no_place_shares_one() {
        let lookups = Lookups::default();
        let little = limit(1, "24h");
        for n in 0..MAX_CLIENTS {
            lookups.take(&n.to_string().into(), little).unwrap();
        }
        let passed = (0..500).filter(|n| {
            let other = format!("other {n}").into();
            lookups.take(&other, little).is_ok()
        });
        assert_eq!(passed.count(), 100);
        assert!(lookups.0.lock().unwrap().len() <= MAX_CLIENTS + 1);
        tokio::time::advance(SLOWEST * 200).await;
        lookups.take(&"late".into(), little).unwrap();
        assert_eq!(lookups.0.lock().unwrap().len(), 1);
    }
}
