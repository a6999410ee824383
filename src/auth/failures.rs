//! Failed logins by address, limited so that keys cannot be guessed and the log cannot be flooded.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::Mutex,
    time::{Duration, Instant},
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil,
    clock::{Clock as _, DefaultClock, QuantaInstant},
};

use crate::{listen::Address, setting::Quota};

/// Counts failed logins. Success is never counted and never refused: checking a key costs one
/// SHA-256, so an address that fails cannot lock out a good key behind the same address.
pub struct Failures {
    quota: Quota,
    failed: Buckets,
    announced: Buckets,
    capacity: usize,
    swept: Mutex<Option<Instant>>,
}

/// Too many failed logins from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// When another failure would be answered as one.
    pub retry_after: Duration,
    /// True once in each window and address: the one to write into the audit log.
    pub first: bool,
}

impl Failures {
    /// A burst of `requests`, then so many in each `per`.
    pub fn new(quota: Quota) -> Self {
        Self::with_capacity(quota, MAX_ADDRESSES)
    }

    fn with_capacity(quota: Quota, capacity: usize) -> Self {
        Self {
            quota,
            failed: Buckets::new(quota),
            announced: Buckets::new(Quota {
                requests: NonZeroU32::MIN,
                ..quota
            }),
            capacity,
            swept: Mutex::new(None),
        }
    }

    /// What it was made with.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Counts one failure.
    ///
    /// # Errors
    /// The address has had too many already.
    pub fn record(&self, peer: IpAddr) -> Result<(), Blocked> {
        let address = Some(Address::from(peer)).filter(|_| self.has_room());
        self.failed
            .take(address.as_ref())
            .map_err(|retry_after| Blocked {
                retry_after,
                first: self.announced.take(address.as_ref()).is_ok(),
            })
    }

    /// Addresses that have not failed lately are forgotten when the table is full. When that does
    /// not help, addresses share one bucket until it does.
    fn has_room(&self) -> bool {
        if self.failed.len() < self.capacity {
            return true;
        }
        if self.is_time_to_sweep() {
            self.failed.forget_idle();
            self.announced.forget_idle();
        }
        self.failed.len() < self.capacity
    }

    /// Walking the whole table for each failure would be what an attacker wants.
    fn is_time_to_sweep(&self) -> bool {
        let Ok(mut swept) = self.swept.try_lock() else {
            return false;
        };
        let now = Instant::now();
        let due = swept.is_none_or(|last| now.duration_since(last) >= SWEEP_EVERY);
        if due {
            *swept = Some(now);
        }
        due
    }
}

struct Buckets {
    by_address: DefaultKeyedRateLimiter<Address>,
    shared: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Buckets {
    fn new(quota: Quota) -> Self {
        let quota = refill(quota);
        Self {
            by_address: DefaultKeyedRateLimiter::keyed(quota),
            shared: DefaultDirectRateLimiter::direct(quota),
            clock: DefaultClock::default(),
        }
    }

    fn take(&self, address: Option<&Address>) -> Result<(), Duration> {
        match address {
            Some(address) => self.by_address.check_key(address),
            None => self.shared.check(),
        }
        .map_err(|until: NotUntil<QuantaInstant>| until.wait_time_from(self.clock.now()))
    }

    fn len(&self) -> usize {
        self.by_address.len()
    }

    fn forget_idle(&self) {
        self.by_address.retain_recent();
        self.by_address.shrink_to_fit();
    }
}

fn refill(quota: Quota) -> governor::Quota {
    let every = (quota.per.duration() / quota.requests.get()).max(Duration::from_nanos(1));
    governor::Quota::with_period(every)
        .unwrap_or(governor::Quota::per_minute(NonZeroU32::MIN))
        .allow_burst(quota.requests)
}

const MAX_ADDRESSES: usize = 100_000;
const SWEEP_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(requests: u32, per: &str) -> Quota {
        Quota {
            requests: requests.try_into().unwrap(),
            per: per.parse().unwrap(),
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_of_failures_is_allowed_and_the_next_is_blocked_and_announced_once() {
        let failures = Failures::new(quota(10, "1h"));
        let peer = address("192.0.2.1");
        assert!((0..10).all(|_| failures.record(peer).is_ok()));
        let blocked = failures.record(peer).unwrap_err();
        assert!(blocked.first);
        assert!(blocked.retry_after > Duration::from_secs(300));
        assert!(blocked.retry_after <= Duration::from_secs(360));
        assert!((0..100).all(|_| !failures.record(peer).unwrap_err().first));
        assert_eq!(failures.record(address("192.0.2.2")), Ok(()));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_a_mapped_ipv4_as_itself() {
        let failures = Failures::new(quota(1, "1h"));
        assert!(failures.record(address("2001:db8::1")).is_ok());
        assert!(failures.record(address("2001:db8::ffff:1")).is_err());
        assert!(failures.record(address("2001:db8:0:1::1")).is_ok());
        assert!(failures.record(address("::ffff:192.0.2.1")).is_ok());
        assert!(failures.record(address("192.0.2.1")).is_err());
    }

    #[test]
    fn a_full_table_makes_addresses_share_one_bucket() {
        let failures = Failures::with_capacity(quota(2, "1h"), 100);
        let passed = (0..1_000_u32)
            .filter(|&n| failures.record(IpAddr::V4(n.into())).is_ok())
            .count();
        assert_eq!(passed, 102);
        assert!(failures.failed.len() <= 100);
        assert!(failures.announced.len() <= 100);
    }

    #[tokio::test]
    async fn an_address_may_fail_again_after_a_while() {
        let failures = Failures::new(quota(2, "100ms"));
        let peer = address("192.0.2.1");
        while failures.record(peer).is_ok() {}
        let blocked = failures.record(peer).unwrap_err();
        tokio::time::sleep(blocked.retry_after).await;
        assert_eq!(failures.record(peer), Ok(()));
    }

    #[test]
    fn any_quota_that_can_be_written_can_be_counted() {
        for (requests, per) in [(1, "1ms"), (u32::MAX, "1ms"), (1, "7d"), (1_000_000, "24h")] {
            assert!(
                Failures::new(quota(requests, per))
                    .record(address("::1"))
                    .is_ok()
            );
        }
    }
}
