//! Something of Zoho's that is kept for a while and fetched once, however many ask for it.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

use super::{ZohoError, lock};

/// One value, renewed when it is asked for and too old.
pub(super) struct Kept<T> {
    slot: Mutex<Slot<T>>,
    age: Duration,
}

struct Slot<T> {
    cell: Arc<OnceCell<Arc<T>>>,
    since: Instant,
}

impl<T> Kept<T> {
    /// Nothing yet; what is fetched is kept for `age`.
    pub(super) fn new(now: Instant, age: Duration) -> Self {
        let cell = Arc::default();
        let slot = Mutex::new(Slot { cell, since: now });
        Self { slot, age }
    }

    /// The value, or what `fetch` makes of it. Who waits for another caller's fetch waits until its
    /// own deadline only, and takes over if that caller goes away.
    pub(super) async fn get(
        &self,
        deadline: Instant,
        fetch: impl Future<Output = Result<T, ZohoError>>,
    ) -> Result<Arc<T>, ZohoError> {
        let cell = self.cell(Instant::now());
        // Boxed: fetching is rare, and what waits for it is a part of every call's future.
        let fetched = cell.get_or_try_init(|| Box::pin(async { fetch.await.map(Arc::new) }));
        match timeout_at(deadline, fetched).await {
            Ok(value) => value.map(Arc::clone),
            Err(_) => Err(ZohoError::DeadlineExceeded),
        }
    }

    /// The value, also an old one, where it was fetched.
    pub(super) fn peek(&self) -> Option<Arc<T>> {
        lock(&self.slot).cell.get().map(Arc::clone)
    }

    fn cell(&self, now: Instant) -> Arc<OnceCell<Arc<T>>> {
        let mut slot = lock(&self.slot);
        if now >= slot.since + self.age {
            *slot = Slot {
                cell: Arc::default(),
                since: now,
            };
        }
        Arc::clone(&slot.cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_is_fetched_once_and_a_failure_is_not_kept() {
        let kept = Kept::new(Instant::now(), AGE);
        let deadline = Instant::now() + AGE;
        let failed = kept.get(deadline, async { Err(ZohoError::NotFound) }).await;
        assert!(failed.is_err());
        assert_eq!(*kept.get(deadline, async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(*kept.get(deadline, async { Ok(2) }).await.unwrap(), 1);
    }

    #[test]
    fn when_it_is_old_it_is_fetched_anew() {
        let now = Instant::now();
        let kept = Kept::<u8>::new(now, AGE);
        let first = kept.cell(now);
        assert!(Arc::ptr_eq(&first, &kept.cell(now + AGE / 2)));
        assert!(!Arc::ptr_eq(&first, &kept.cell(now + AGE)));
    }

    #[tokio::test]
    async fn a_slow_fetch_ends_at_the_deadline() {
        let kept = Kept::<u8>::new(Instant::now(), AGE);
        let deadline = Instant::now() + Duration::from_millis(20);
        let result = kept.get(deadline, std::future::pending()).await;
        assert!(matches!(result, Err(ZohoError::DeadlineExceeded)));
    }
}
