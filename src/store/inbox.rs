//! A queue in Redis that one instance takes from, on a connection of its own: whoever waits for what
//! comes next would keep everybody else on the shared one waiting.

use std::time::Duration;

use redis::{RedisResult, cmd};
use tokio::time::timeout;

use super::{Link, Store, Unavailable, cause::Cause, link::Dialer};

/// The queue, and the connection while it lasts.
pub struct Inbox {
    store: Store,
    key: String,
    link: Option<Link>,
}

impl Store {
    /// Takes from the list of that name. Connects when something is asked of it.
    pub fn inbox(&self, key: String) -> Inbox {
        Inbox {
            store: self.clone(),
            key,
            link: None,
        }
    }
}

impl Inbox {
    /// Waits a moment for what comes next. Nothing when nothing came.
    ///
    /// # Errors
    /// Redis cannot be asked; the next try makes a new connection.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Unavailable> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.connect().await.map_err(Unavailable)?,
        };
        let mut pop = cmd("BLPOP");
        pop.arg(&self.key).arg(WAIT.as_secs_f64());
        let popped = timeout(WAIT + self.store.connect_within(), async {
            pop.query_async::<Option<(Vec<u8>, Vec<u8>)>>(&mut link)
                .await
        });
        let popped: RedisResult<_> = popped.await.map_err(|_| Unavailable(Cause::Timeout))?;
        let popped = popped.map_err(|error| Unavailable(Cause::from(&error)))?;
        self.link = Some(link);
        Ok(popped.map(|(_, message)| message))
    }

    /// With what proves us to Redis now.
    async fn connect(&self) -> Result<Link, Cause> {
        let patience = WAIT + self.store.connect_within();
        let mut dialer = self.store.dialer(patience).await.map_err(|bad| {
            tracing::error!(error = %bad, "redis cannot be reached for sessions");
            Cause::Other
        })?;
        let connected = timeout(self.store.connect_within(), dialer.connect()).await;
        let connected: RedisResult<Link> = connected.map_err(|_| Cause::Timeout)?;
        connected.map_err(|error| Cause::from(&error))
    }
}

impl Store {
    /// For a connection on which answers may take that long.
    async fn dialer(&self, answer_within: Duration) -> Result<Dialer, super::BadStore> {
        let access = self.access().await;
        Dialer::new(self.config(), &access, answer_within)
    }
}

/// How long one question waits for something to come.
const WAIT: Duration = Duration::from_secs(1);
