//! One connection for everybody, kept by one task, and the breaker around it: while Redis is known
//! to be gone nobody waits for it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{RedisError, RedisResult, cmd};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    cause::{Cause, Unavailable},
    config::{BadStore, Config, Passwords},
    link::{Dialer, Link},
    patience::Patience,
};

/// The handle that rooms ask through. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    timeout: Duration,
    patience: Patience,
    state: watch::Sender<State>,
    doubt: Notify,
    /// Of the last probe, in microseconds.
    latency: AtomicU64,
}

#[derive(Clone)]
enum State {
    Up {
        link: Link,
        /// Which connection it is, so that only the first who finds it broken says so.
        generation: u64,
    },
    /// The connection broke a moment ago; a new one is being made.
    Joining,
    Down(Cause),
}

/// Makes the connection and keeps it.
pub struct Keeper {
    store: Store,
    dialer: Dialer,
    generation: u64,
}

impl Store {
    /// Prepares everything and connects to nothing: that is what the keeper does once it runs.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn new(
        config: &Config,
        base: &Path,
        passwords: &Passwords,
    ) -> Result<(Self, Keeper), BadStore> {
        let timeout = config.timeout.duration();
        let store = Self(Arc::new(Shared {
            timeout,
            patience: Patience::new(timeout),
            state: watch::Sender::new(State::Down(Cause::NotYetAsked)),
            doubt: Notify::new(),
            latency: AtomicU64::new(0),
        }));
        let keeper = Keeper {
            store: store.clone(),
            dialer: Dialer::new(config, base, passwords, CONNECT.max(timeout * 4))?,
            generation: 0,
        };
        Ok((store, keeper))
    }

    /// Asks Redis. A connection that turns out to be broken is replaced and the question asked
    /// once more, so it has to be one that may be asked twice.
    ///
    /// # Errors
    /// Without waiting while Redis is known to be gone; within the timeout otherwise, or a few times
    /// that while Redis answers others.
    pub async fn run<T, F>(&self, question: impl Fn(Link) -> F) -> Result<T, Unavailable>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let deadline = self.0.patience.deadline();
        let (link, generation) = self.link(deadline).await?;
        match self.ask(deadline, question(link)).await {
            Err(Failure::Broken) => self.lost(generation),
            asked => return asked.map_err(Failure::into_unavailable),
        }
        let (link, generation) = self.link(deadline).await?;
        let asked = self.ask(deadline, question(link)).await;
        if let Err(Failure::Broken) = asked {
            self.lost(generation);
        }
        asked.map_err(Failure::into_unavailable)
    }

    /// Why it cannot be asked now, if it cannot.
    pub fn down(&self) -> Option<Cause> {
        match &*self.0.state.borrow() {
            State::Up { .. } | State::Joining => None,
            State::Down(cause) => Some(*cause),
        }
    }

    /// How long Redis took to answer when it was last looked at.
    pub fn latency(&self) -> Duration {
        Duration::from_micros(self.0.latency.load(Ordering::Relaxed))
    }

    /// Waits until it can be asked, or until it is known that it cannot.
    pub async fn tried(&self) -> Result<(), Unavailable> {
        let mut state = self.0.state.subscribe();
        let known =
            |state: &State| !matches!(state, State::Joining | State::Down(Cause::NotYetAsked));
        // The sender lives as long as this handle.
        let _ = state.wait_for(known).await;
        self.down().map_or(Ok(()), |cause| Err(Unavailable(cause)))
    }

    /// Waits for the next change: it came up, broke, or went down.
    pub async fn changed(&self) {
        let _ = self.0.state.subscribe().changed().await;
    }

    async fn link(&self, deadline: Instant) -> Result<(Link, u64), Unavailable> {
        if let State::Up { link, generation } = &*self.0.state.borrow() {
            return Ok((link.clone(), *generation));
        }
        let mut changes = self.0.state.subscribe();
        let settled = changes.wait_for(|state| !matches!(state, State::Joining));
        let Ok(Ok(state)) = timeout_at(deadline, settled).await else {
            return Err(Unavailable(Cause::Lost));
        };
        match &*state {
            State::Up { link, generation } => Ok((link.clone(), *generation)),
            State::Joining => Err(Unavailable(Cause::Lost)),
            State::Down(cause) => Err(Unavailable(*cause)),
        }
    }

    async fn ask<T>(
        &self,
        deadline: Instant,
        question: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Failure> {
        match self.0.patience.wait(deadline, question).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) if is_broken(&error) => Err(Failure::Broken),
            Some(Err(error)) => {
                self.0.doubt.notify_one();
                Err(Failure::Refused(Cause::from(&error)))
            }
            None => {
                self.0.doubt.notify_one();
                Err(Failure::Refused(Cause::Timeout))
            }
        }
    }

    fn lost(&self, broken: u64) {
        let joining = |state: &mut State| {
            let is_it = matches!(state, State::Up { generation, .. } if *generation == broken);
            if is_it {
                *state = State::Joining;
            }
            is_it
        };
        if self.0.state.send_if_modified(joining) {
            self.0.doubt.notify_one();
        }
    }
}

enum Failure {
    Broken,
    Refused(Cause),
}

impl Failure {
    fn into_unavailable(self) -> Unavailable {
        match self {
            Self::Broken => Unavailable(Cause::Lost),
            Self::Refused(cause) => Unavailable(cause),
        }
    }
}

/// A replica that was the primary a moment ago: the name or the sentinels lead elsewhere by now.
fn is_broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || (error.is_io_error() && !error.is_timeout())
        || Cause::from(error) == Cause::ReadOnly
}

impl Keeper {
    /// Connects, looks after the connection, and connects again, until it is dropped.
    pub async fn keep(mut self) {
        loop {
            match self.connect().await {
                Ok(link) => {
                    self.generation += 1;
                    let generation = self.generation;
                    self.publish(State::Up {
                        link: link.clone(),
                        generation,
                    });
                    let since = Instant::now();
                    match self.attend(link).await {
                        // One try at once: a restart behind a proxy is no outage. But a Redis that
                        // cuts every connection is not called again and again.
                        Cause::Lost => {
                            self.publish(State::Joining);
                            sleep(RETRY.saturating_sub(since.elapsed())).await;
                        }
                        cause => self.fall(cause).await,
                    }
                }
                Err(cause) => self.fall(cause).await,
            }
        }
    }

    /// Connects once, for a command that needs one answer.
    ///
    /// # Errors
    /// Why Redis cannot be used.
    pub async fn connect_once(mut self) -> Result<Self, Unavailable> {
        let link = self.connect().await.map_err(Unavailable)?;
        self.publish(State::Up {
            link,
            generation: 0,
        });
        Ok(self)
    }

    async fn connect(&mut self) -> Result<Link, Cause> {
        let within = CONNECT.max(self.store.0.timeout * 4);
        let connecting = async {
            let link = self.dialer.connect().await?;
            let started = Instant::now();
            probe(link.clone()).await?;
            Ok((link, started.elapsed()))
        };
        let connected: RedisResult<_> = timeout(within, connecting)
            .await
            .map_err(|_| Cause::Timeout)?;
        let (link, took) = connected.map_err(|error| Cause::from(&error))?;
        self.store.note(took);
        Ok(link)
    }

    /// Returns with what is wrong, once something is.
    async fn attend(&self, link: Link) -> Cause {
        loop {
            tokio::select! {
                () = sleep(PROBE_EVERY) => {}
                () = self.store.0.doubt.notified() => {}
            }
            if matches!(&*self.store.0.state.borrow(), State::Joining) {
                return Cause::Lost;
            }
            // One slow answer is no outage.
            let mut found = self.look(&link).await;
            if found == Err(Cause::Timeout) {
                found = self.look(&link).await;
            }
            match found {
                Ok(took) => self.store.note(took),
                Err(Cause::Lost | Cause::ReadOnly) => return Cause::Lost,
                Err(cause) => return cause,
            }
        }
    }

    async fn look(&self, link: &Link) -> Result<Duration, Cause> {
        let started = Instant::now();
        let patience = &self.store.0.patience;
        match patience
            .wait(patience.deadline(), probe(link.clone()))
            .await
        {
            Some(Ok(())) => Ok(started.elapsed()),
            Some(Err(error)) => Err(Cause::from(&error)),
            None => Err(Cause::Timeout),
        }
    }

    async fn fall(&self, cause: Cause) {
        if self.store.down() != Some(cause) {
            let (cause, remedy) = (cause.name(), cause.remedy());
            tracing::error!(cause, remedy, "Redis cannot be used");
        }
        self.publish(State::Down(cause));
        sleep(RETRY).await;
    }

    fn publish(&self, state: State) {
        self.store.0.state.send_replace(state);
    }
}

impl Store {
    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.latency.store(micros, Ordering::Relaxed);
    }
}

/// Writes, because a Redis that answers and takes no writes is of no use here: a replica, or one
/// that is out of memory. The key shares its slot with the limits.
async fn probe(mut link: Link) -> RedisResult<()> {
    let mut set = cmd("SET");
    set.arg("zm:{rl}:probe").arg(1).arg("PX").arg(60_000);
    set.exec_async(&mut link).await
}

/// For a new connection, TLS and password included.
const CONNECT: Duration = Duration::from_millis(500);
/// Between looks at a connection that nobody complains about.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Between tries to reach a Redis that is gone.
const RETRY: Duration = Duration::from_millis(200);
