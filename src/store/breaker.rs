//! One connection for everybody, and the breaker around it: while Redis is known to be gone nobody
//! waits for it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::histogram;
use redis::{RedisError, RedisResult};
use tokio::{
    sync::{Mutex, MutexGuard, Notify, mpsc, watch},
    time::{Instant, timeout_at},
};

use super::{
    access::Access,
    cause::{Cause, Unavailable},
    config::{BadStore, Config, Passwords},
    keeper::{Keeper, Renewed},
    link::{Dialer, Link},
    patience::Patience,
    replicas::Replicas,
};

/// The handle that rooms ask through. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    config: Config,
    patience: Patience,
    replicas: Replicas,
    state: watch::Sender<State>,
    doubt: Notify,
    /// Redis has refused the password, and had not just before.
    refused: Notify,
    /// Of the last probe, in microseconds.
    latency: AtomicU64,
    /// What the connection was made with; held while another is tried.
    access: Mutex<Access>,
    renewed: mpsc::Sender<Renewed>,
}

#[derive(Clone)]
pub(super) enum State {
    Up {
        link: Link,
        /// Which connection it is, so that only the first who finds it broken says so.
        generation: u64,
    },
    /// The connection broke a moment ago; a new one is being made.
    Joining,
    Down(Cause),
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
        let access = Access::new(config, base, passwords)?;
        let connect_within = connect_within(config);
        let dialer = Dialer::new(config, &access, connect_within)?;
        let (sender, renewed) = mpsc::channel(1);
        let store = Self(Arc::new(Shared {
            patience: Patience::new(config.timeout.duration()),
            replicas: Replicas::new(config.expected_replicas),
            state: watch::Sender::new(State::Down(Cause::NotYetAsked)),
            doubt: Notify::new(),
            refused: Notify::new(),
            latency: AtomicU64::new(0),
            access: Mutex::new(access),
            renewed: sender,
            config: config.clone(),
        }));
        let keeper = Keeper::new(store.clone(), dialer, renewed);
        Ok((store, keeper))
    }

    /// Changes over to another user, password or authority, once a connection with them works;
    /// until then the one that is there serves on. Says whether they are others than before.
    ///
    /// # Errors
    /// Why they cannot be used.
    pub async fn renew(&self, access: Access) -> Result<bool, Unrenewed> {
        let mut used = self.0.access.lock().await;
        if *used == access {
            return Ok(false);
        }
        let mut dialer = Dialer::new(&self.0.config, &access, self.connect_within())?;
        let (link, _) = self.dial(&mut dialer).await.map_err(Unavailable)?;
        let renewed = Renewed { dialer, link };
        let taken = self.0.renewed.send(renewed).await;
        taken.map_err(|_| Unavailable(Cause::NotYetAsked))?;
        *used = access;
        Ok(true)
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
        let asked = Instant::now();
        // Where the breaker itself says no there is no round trip.
        let is_asked = self.down().is_none();
        let answer = self.run_twice(question).await;
        if is_asked {
            let outcome = answer.as_ref().map_or_else(|no| no.0.name(), |_| "ok");
            histogram!("zoho_mcp_redis_request_duration_seconds", "outcome" => outcome)
                .record(asked.elapsed().as_secs_f64());
        }
        answer
    }

    async fn run_twice<T, F>(&self, question: impl Fn(Link) -> F) -> Result<T, Unavailable>
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

    /// How many instances share it, as far as is known: what each may do by itself is divided by
    /// this while it is gone.
    pub fn replicas(&self) -> u32 {
        self.0.replicas.known()
    }

    /// Takes the number of instances that live; `settled` once all have had the time to say so.
    pub fn count_replicas(&self, live: u32, settled: bool) {
        self.0.replicas.count(live, settled);
    }

    /// Waits until it can be asked, or until it is known that it cannot.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn tried(&self) -> Result<(), Unavailable> {
        let mut state = self.0.state.subscribe();
        let known =
            |state: &State| !matches!(state, State::Joining | State::Down(Cause::NotYetAsked));
        // The sender lives as long as this handle.
        let _ = state.wait_for(known).await;
        self.down().map_or(Ok(()), |cause| Err(Unavailable(cause)))
    }

    /// Whether Redis refuses the password.
    pub fn is_refused(&self) -> bool {
        self.down() == Some(Cause::Password)
    }

    /// Waits until Redis has begun to refuse the password. For one who waits only.
    pub async fn refused(&self) {
        self.0.refused.notified().await;
    }

    /// Waits for the next change: it came up, broke, or went down.
    pub async fn changed(&self) {
        let _ = self.0.state.subscribe().changed().await;
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    /// What proves us to Redis, as it is used now.
    pub(super) async fn access(&self) -> MutexGuard<'_, Access> {
        self.0.access.lock().await
    }

    pub(super) fn connect_within(&self) -> Duration {
        connect_within(&self.0.config)
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.0.patience
    }

    /// Told when an answer was missing or wrong.
    pub(super) fn doubt(&self) -> &Notify {
        &self.0.doubt
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(&*self.0.state.borrow(), State::Joining)
    }

    pub(super) fn publish(&self, state: State) {
        let was = self.down();
        self.0.state.send_replace(state);
        if self.is_refused() && was != Some(Cause::Password) {
            self.0.refused.notify_one();
        }
    }

    pub(super) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.latency.store(micros, Ordering::Relaxed);
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

/// Why another user, password or authority is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unrenewed {
    /// The section cannot be used with them.
    #[error(transparent)]
    Bad(#[from] BadStore),
    /// Redis does not answer to them.
    #[error("{}", .0.advice())]
    Unavailable(#[from] Unavailable),
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

fn connect_within(config: &Config) -> Duration {
    CONNECT.max(config.timeout.duration() * 4)
}

/// For a new connection, TLS and password included.
const CONNECT: Duration = Duration::from_millis(500);
