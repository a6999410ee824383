//! The one task that makes the connection, looks after it, and changes over to another when what
//! proves us to Redis has changed.

use std::time::Duration;

use redis::{RedisResult, cmd};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    breaker::{State, Store},
    cause::{Cause, Unavailable},
    caution::Caution,
    link::{Dialer, Link},
};

/// Makes the connection and keeps it.
pub struct Keeper {
    store: Store,
    dialer: Dialer,
    /// Connections that were made in another way, to be used from now on.
    renewed: mpsc::Receiver<Renewed>,
    generation: u64,
    /// Between tries to reach a Redis that connects and then cannot be used.
    caution: Caution,
}

/// A connection that works, and how more like it are made.
pub(super) struct Renewed {
    pub(super) dialer: Dialer,
    pub(super) link: Link,
}

/// How a connection ended.
enum End {
    Broken(Cause),
    Replaced(Link),
}

impl Keeper {
    pub(super) fn new(store: Store, dialer: Dialer, renewed: mpsc::Receiver<Renewed>) -> Self {
        Self {
            store,
            dialer,
            renewed,
            generation: 0,
            caution: Caution::new(RETRY, RETRY_UNSTEADY),
        }
    }

    /// Where the connection is asked through.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Connects, looks after the connection, and connects again, until it is dropped.
    pub async fn keep(mut self) {
        let mut replacement = None;
        loop {
            let connected = match replacement.take() {
                Some(link) => Ok(link),
                None => self.connect().await,
            };
            replacement = match connected {
                Ok(link) => self.serve(link).await,
                Err(cause) => self.fall(cause, RETRY).await,
            };
        }
    }

    /// Connects once, for a command that needs one answer.
    ///
    /// # Errors
    /// Why Redis cannot be used.
    pub async fn connect_once(mut self) -> Result<Self, Unavailable> {
        let link = self.connect().await.map_err(Unavailable)?;
        self.store.publish(State::Up {
            link,
            generation: 0,
        });
        Ok(self)
    }

    async fn connect(&mut self) -> Result<Link, Cause> {
        let (link, mut took) = self.store.dial(&mut self.dialer).await?;
        // Connecting may take longer than a call waits. A Redis that is always that slow is of no
        // use, and would be found unusable again by the first call.
        if self.store.patience().is_too_long(took) {
            took = self.look(&link).await?;
        }
        self.store.note(took);
        Ok(link)
    }

    /// Lets everybody use a connection until it ends. Returns the one that takes its place, if it
    /// is there already.
    async fn serve(&mut self, link: Link) -> Option<Link> {
        self.generation += 1;
        let generation = self.generation;
        self.store.publish(State::Up {
            link: link.clone(),
            generation,
        });
        let since = Instant::now();
        match self.attend(link).await {
            End::Replaced(link) => Some(link),
            // One try at once: a restart behind a proxy is no outage. But a Redis that cuts every
            // connection is not called again and again.
            End::Broken(Cause::Lost) => {
                self.store.publish(State::Joining);
                self.pause(RETRY.saturating_sub(since.elapsed())).await
            }
            End::Broken(cause) => {
                self.caution.ended(since.elapsed());
                self.fall(cause, self.caution.look()).await
            }
        }
    }

    /// Returns with what is wrong, once something is.
    async fn attend(&mut self, link: Link) -> End {
        loop {
            tokio::select! {
                () = sleep(PROBE_EVERY) => {}
                () = self.store.doubt().notified() => {}
                Some(renewed) = self.renewed.recv() => return End::Replaced(self.take(renewed)),
            }
            if self.store.is_joining() {
                return End::Broken(Cause::Lost);
            }
            // One slow answer is no outage.
            let mut found = self.look(&link).await;
            if found == Err(Cause::Timeout) {
                found = self.look(&link).await;
            }
            match found {
                Ok(took) => self.store.note(took),
                Err(Cause::Lost | Cause::ReadOnly) => return End::Broken(Cause::Lost),
                Err(cause) => return End::Broken(cause),
            }
        }
    }

    async fn look(&self, link: &Link) -> Result<Duration, Cause> {
        let started = Instant::now();
        let patience = self.store.patience();
        match patience
            .wait(patience.deadline(), probe(link.clone()))
            .await
        {
            Some(Ok(())) => Ok(started.elapsed()),
            Some(Err(error)) => Err(Cause::from(&error)),
            None => Err(Cause::Timeout),
        }
    }

    async fn fall(&mut self, cause: Cause, pause: Duration) -> Option<Link> {
        if self.store.down() != Some(cause) {
            let (cause, remedy) = (cause.name(), cause.remedy());
            tracing::error!(cause, remedy, "Redis cannot be used");
        }
        self.store.publish(State::Down(cause));
        self.pause(pause).await
    }

    /// Waits, unless a connection comes that can be used at once.
    async fn pause(&mut self, span: Duration) -> Option<Link> {
        tokio::select! {
            () = sleep(span) => None,
            Some(renewed) = self.renewed.recv() => Some(self.take(renewed)),
        }
    }

    fn take(&mut self, renewed: Renewed) -> Link {
        self.dialer = renewed.dialer;
        renewed.link
    }
}

impl Store {
    /// Makes a connection that is known to work, and says how long Redis took to answer on it.
    pub(super) async fn dial(&self, dialer: &mut Dialer) -> Result<(Link, Duration), Cause> {
        let connecting = async {
            let mut link = dialer.connect().await?;
            let started = Instant::now();
            probe(link.clone()).await?;
            let took = started.elapsed();
            link.introduce().await?;
            Ok((link, took))
        };
        let connected: RedisResult<_> = timeout(self.connect_within(), connecting)
            .await
            .map_err(|_| Cause::Timeout)?;
        connected.map_err(|error| Cause::from(&error))
    }
}

/// Writes, because a Redis that answers and takes no writes is of no use here: a replica, or one
/// that is out of memory. The key shares its slot with the limits.
async fn probe(mut link: Link) -> RedisResult<()> {
    let mut set = cmd("SET");
    set.arg("zm:{rl}:probe").arg(1).arg("PX").arg(60_000);
    set.exec_async(&mut link).await
}

/// Between looks at a connection that nobody complains about.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Between tries to reach a Redis that is gone.
const RETRY: Duration = Duration::from_millis(200);
/// The longest between tries to reach one that can be used again and again, for a moment each time.
const RETRY_UNSTEADY: Duration = Duration::from_secs(1);
