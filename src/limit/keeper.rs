//! When Redis is trusted: after it knows what this instance has admitted, and until anything about
//! it is in doubt.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    claim::millis,
    limiter::Limiter,
    shared::{Data, LIVES, Mode, Shared},
    trial::{evicts, try_scripts},
};
use crate::{
    audit::{Audit, Event, Kind},
    store::{Cause, Caution, Unavailable},
};

/// What Redis was told.
struct Told {
    took: Duration,
    /// Calls that were admitted then or later may be untold.
    until: u64,
}

impl Limiter {
    /// Comes together with the other instances whenever Redis allows it, and says so each time it
    /// changes. Runs for as long as the daemon does; without Redis it has nothing to do.
    pub async fn keep(self: Arc<Self>, audit: Audit) {
        let Some(shared) = &self.shared else {
            return;
        };
        let mut caution = Caution::new(BEFORE_TRUST, LONGEST_LOOK);
        loop {
            let cause = match self.come_together(shared, &audit, caution.look()).await {
                Ok(data) => {
                    let since = Instant::now();
                    let cause = self.stay_together(shared, &data).await;
                    caution.ended(since.elapsed());
                    cause
                }
                Err(Unavailable(cause)) => cause,
            };
            change(shared, Mode::Alone(cause), None, &audit).await;
            tokio::select! {
                () = shared.store.changed() => {}
                () = sleep(RETRY) => {}
            }
        }
    }

    /// Waits for the first word about Redis.
    ///
    /// # Errors
    /// Why limits are not shared.
    pub async fn decided(&self) -> Result<(), Unavailable> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        match shared.decided().await {
            Mode::Together(_) => Ok(()),
            Mode::Alone(cause) => Err(Unavailable(cause)),
        }
    }

    async fn come_together(
        &self,
        shared: &Shared,
        audit: &Audit,
        look: Duration,
    ) -> Result<Data, Unavailable> {
        shared.store.tried().await?;
        let (data, live) = shared.join().await?;
        shared.count_replicas(live, false);
        let (mut merged, mut untold) = (None, ALL);
        if shared.mode() != Mode::Alone(Cause::NotYetAsked) {
            let first = self.merge(shared, untold).await?;
            untold = self.watch(shared, &data, look, first.until).await?;
            try_scripts(&shared.store).await?;
            let rest = self.merge(shared, untold).await?;
            (merged, untold) = (Some(first.took + rest.took), rest.until);
        } else {
            try_scripts(&shared.store).await?;
        }
        // It has just been seen to do all that limits need.
        shared.take_refusal();
        shared.unmerged.store(false, Ordering::Relaxed);
        change(shared, Mode::Together(data.clone()), merged, audit).await;
        // What was admitted between telling and trusting.
        if self.merge(shared, untold).await.is_err() {
            shared.unmerged.store(true, Ordering::Relaxed);
        }
        warn(shared, &data).await;
        Ok(data)
    }

    /// Looks at Redis until it may be trusted. The others may have found it a moment later, and whoever
    /// trusts it before all have told it what they admitted admits too much: so it is told again and again,
    /// whoever is first. One that has gone again and again has to show for longer that it stays. Tells what
    /// was admitted since `untold`, and answers since when the rest is untold.
    async fn watch(
        &self,
        shared: &Shared,
        data: &Data,
        look: Duration,
        mut untold: u64,
    ) -> Result<u64, Unavailable> {
        let replicas = shared.replicas();
        let (mut until, mut is_extended) = (Instant::now() + look, false);
        loop {
            sleep(TELL_EVERY).await;
            untold = self.merge_windows(shared, untold).await?;
            let (found, live) = shared.join().await?;
            if found != *data {
                return Err(Unavailable(Cause::Restarted));
            }
            match (Instant::now() >= until, live >= replicas || is_extended) {
                (false, _) => {}
                (true, true) => return Ok(untold),
                (true, false) => (until, is_extended) = (until + FOR_THE_MISSING, true),
            }
        }
    }

    /// Returns with what ended it.
    async fn stay_together(&self, shared: &Shared, data: &Data) -> Cause {
        let since = Instant::now();
        let (mut joined, mut kept) = (since, since);
        let mut give_back = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(joined + JOIN_EVERY) => {}
                () = shared.doubt.notified() => {}
                () = self.calls.given_back() => {
                    let at = Instant::now() + self.gather();
                    give_back = Some(give_back.map_or(at, |due: Instant| due.min(at)));
                    continue;
                }
                () = due(give_back) => {
                    give_back = None;
                    let _ = self.tell_places(shared, false).await;
                    continue;
                }
            }
            if let Some(cause) = shared.take_refusal() {
                return cause;
            }
            joined = Instant::now();
            match join(shared).await {
                Ok((found, live)) if found == *data => {
                    shared.count_replicas(live, since.elapsed() > LIVES);
                }
                Ok(_) => return Cause::Restarted,
                Err(Unavailable(cause)) => return cause,
            }
            if shared.unmerged.swap(false, Ordering::Relaxed)
                && self.merge(shared, ALL).await.is_err()
            {
                shared.unmerged.store(true, Ordering::Relaxed);
            }
            if kept.elapsed() >= KEEP_EVERY && self.tell_places(shared, true).await.is_ok() {
                kept = Instant::now();
            }
        }
    }

    /// Tells Redis what this instance has admitted at `since` or later, and all calls that are running.
    /// What Redis knows already stays as it is.
    async fn merge(&self, shared: &Shared, since: u64) -> Result<Told, Unavailable> {
        let started = Instant::now();
        let until = self.merge_windows(shared, since).await?;
        self.tell_places(shared, true).await?;
        Ok(Told {
            took: started.elapsed(),
            until,
        })
    }

    async fn tell_places(&self, shared: &Shared, keep: bool) -> Result<(), Unavailable> {
        for clients in self.calls.clients(keep).chunks(CLIENTS) {
            // As they are now and not before the last question: one that was given back meanwhile
            // would be taken again, for nobody.
            let places = self.calls.places(clients);
            shared.tell_places(&places, keep).await?;
            for places in &places {
                self.calls.gave_back(&places.client, &places.free);
            }
        }
        Ok(())
    }

    /// How long a place may wait for its client's next call to give it back on its way.
    fn gather(&self) -> Duration {
        match self.calls.are_scarce(self.room()) {
            true => GATHER_SCARCE,
            false => GATHER,
        }
    }

    /// Says goodbye at a clean end, once nothing keeps this any more: the others need not wait for
    /// this instance, and its places are free at once.
    pub async fn leave(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        if let Mode::Together(_) = shared.mode() {
            let _ = self.tell_places(shared, false).await;
            let _ = shared.leave().await;
        }
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// One slow answer is no outage.
async fn join(shared: &Shared) -> Result<(Data, u32), Unavailable> {
    let mut joined = shared.join().await;
    for _ in 0..2 {
        if joined == Err(Unavailable(Cause::Timeout)) {
            joined = shared.join().await;
        }
    }
    joined
}

/// Says what about this Redis will make limits inexact some day.
async fn warn(shared: &Shared, data: &Data) {
    if !data.is_known() {
        tracing::warn!(
            "the user of Redis may not run INFO, so a Redis that starts again at once out of a \
             snapshot goes unnoticed; add +info to its rights"
        );
    }
    if let Ok(Some(policy)) = evicts(&shared.store).await {
        tracing::warn!(
            policy,
            "Redis throws keys away when it is full, and calls with them; set its \
             maxmemory-policy to noeviction"
        );
    }
}

/// Says so where it is a change; `merged` is how long it took to tell Redis what it lacked.
async fn change(shared: &Shared, mode: Mode, merged: Option<Duration>, audit: &Audit) {
    let (reason, cause) = match &mode {
        Mode::Together(_) => ("shared", None),
        Mode::Alone(cause) => ("local", Some(*cause)),
    };
    if !shared.set_mode(mode) {
        return;
    }
    match cause {
        None => tracing::info!(
            merge_ms = merged.map(millis),
            "limits are shared over Redis"
        ),
        Some(cause) => tracing::warn!(
            cause = cause.name(),
            remedy = cause.remedy(),
            replicas = shared.replicas(),
            "limits are kept by this instance alone"
        ),
    }
    let event = Event {
        reason: Some(reason.into()),
        error: cause.map(|cause| cause.name().into()),
        duration_ms: merged.map(millis),
        ..Event::new(Kind::LimiterMode)
    };
    audit.record(event).await;
}

/// Longer than the others need to find out that Redis was gone or is back: the pause between their
/// looks at it, one connection and their own merge.
const BEFORE_TRUST: Duration = Duration::from_millis(500);
/// Of what is admitted meanwhile.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Once more, while some instances that are expected are still missing: all in all well below a second.
const FOR_THE_MISSING: Duration = Duration::from_millis(150);
/// For a Redis that does not stay. One that stays after all is to be in use again within five seconds,
/// the last pause between tries and a connection included.
const LONGEST_LOOK: Duration = Duration::from_secs(3);
/// Whenever it was admitted.
const ALL: u64 = 0;
const RETRY: Duration = Duration::from_millis(200);
/// An instance without calls has to find out as well.
const JOIN_EVERY: Duration = Duration::from_millis(250);
/// Well within the time for which Redis keeps a place that nobody speaks for.
const KEEP_EVERY: Duration = Duration::from_secs(4);
const GATHER: Duration = Duration::from_millis(100);
/// Where other instances may soon lack them.
const GATHER_SCARCE: Duration = Duration::from_millis(10);
/// Told in one script, so that it does not take Redis long.
const CLIENTS: usize = 100;
