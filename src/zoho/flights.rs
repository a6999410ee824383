//! Identical reads at the same time are one request to Zoho.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::watch, time::timeout_at};

use super::{Crm, ZohoError, http::Reply, lock, scope::Scoped};

/// The reads that are under way.
pub(super) struct Flights {
    open: Mutex<HashMap<Key, watch::Receiver<Option<Reply>>>>,
    /// Goes up with every write that ends, so that nobody reads what was true before their write.
    epoch: AtomicU64,
    on: bool,
}

/// What makes two reads the same: the user that Zoho knows them by, the question, and the time.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    user: usize,
    question: Box<[u8]>,
    epoch: u64,
}

/// A read that others may wait for. Dropped without an answer, it sends them on their own way.
struct Flight<'a> {
    flights: &'a Flights,
    key: Key,
    lands: watch::Sender<Option<Reply>>,
}

enum Part<'a> {
    Lead(Flight<'a>),
    Follow(watch::Receiver<Option<Reply>>),
}

/// A write that is under way; ended, however it ends, it makes what was read before old.
struct Write<'a>(&'a Flights);

impl Flights {
    /// None; reads are only put together where that is `on`.
    pub(super) fn new(on: bool) -> Self {
        Self {
            open: Mutex::default(),
            epoch: AtomicU64::new(0),
            on,
        }
    }

    /// How many writes have ended.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What was read so far is not to be given to anybody any more.
    pub(super) fn outdate(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
    }

    fn join(&self, scoped: &Scoped) -> Part<'_> {
        let key = Key {
            user: scoped.tokens.identity(),
            question: scoped.ask.question(),
            epoch: self.epoch(),
        };
        let mut open = lock(&self.open);
        match open.get(&key) {
            Some(flight) => Part::Follow(flight.clone()),
            None => {
                let (lands, flight) = watch::channel(None);
                open.insert(key.clone(), flight);
                Part::Lead(Flight {
                    flights: self,
                    key,
                    lands,
                })
            }
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        lock(&self.flights.open).remove(&self.key);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.0.outdate();
    }
}

impl Crm {
    /// Reads, or waits for the answer that somebody else gets to the same question. Who waits does
    /// so until their own deadline; when the other one fails or goes away, they ask themselves.
    pub(super) async fn read(&self, scoped: &Scoped) -> Result<Reply, ZohoError> {
        let flights = &self.zoho.flights;
        if !flights.on {
            return self.sending(scoped).await;
        }
        let mut flight = match flights.join(scoped) {
            Part::Lead(flight) => {
                let reply = self.sending(scoped).await?;
                flight.lands.send_replace(Some(reply.clone()));
                return Ok(reply);
            }
            Part::Follow(flight) => flight,
        };
        let landed = match timeout_at(self.deadline, flight.wait_for(Option::is_some)).await {
            Ok(Ok(reply)) => reply.clone(),
            Ok(Err(_)) => None,
            Err(_) => {
                self.tally.broke();
                return Err(ZohoError::DeadlineExceeded);
            }
        };
        match landed {
            Some(reply) => {
                self.tally.shared();
                Ok(reply)
            }
            None => self.sending(scoped).await,
        }
    }

    /// Boxed: an exchange is most of what a tool's future is made of, and calls that end without
    /// one should not carry it about.
    fn sending<'a>(
        &'a self,
        scoped: &'a Scoped,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, ZohoError>> + Send + 'a>> {
        Box::pin(async {
            let sent = self.send(scoped).await;
            if sent.is_err() {
                self.tally.broke();
            }
            sent
        })
    }

    /// Writes; reads that begin after it do not join those that began before it ended.
    pub(super) async fn write(&self, scoped: &Scoped) -> Result<Reply, ZohoError> {
        let _write = Write(&self.zoho.flights);
        self.sending(scoped).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::super::{
        Scope, Zoho,
        scripted::{NOTED, ONE, Say, Scripted, Seen, call, contact, credentials, note, say},
    };

    fn zoho(server: &Scripted) -> Zoho {
        let mut config = server.config();
        config.coalesce = true;
        Zoho::new(&config, credentials()).unwrap()
    }

    /// A Zoho that takes its time for reads.
    async fn slow() -> Scripted {
        Scripted::start(|seen: &Seen, _| match seen.body.is_empty() {
            true => Say::Late(Duration::from_millis(300), ONE.into()),
            false => say(201, NOTED),
        })
        .await
    }

    #[tokio::test]
    async fn the_same_question_at_the_same_time_is_asked_once() {
        let server = slow().await;
        let zoho = zoho(&server);
        let calls = join_all((0..20).map(|_| async {
            let crm = call(&zoho);
            let found = contact(&crm).await;
            found.map(|_| (crm.credits(), crm.tally().is_shared()))
        }))
        .await;
        let calls: Vec<_> = calls.into_iter().map(Result::unwrap).collect();
        let credits: u32 = calls.iter().map(|(credits, _)| credits).sum();
        let shared = calls.iter().filter(|(_, shared)| *shared).count();
        assert_eq!((server.asked().len(), credits, shared), (1, 1, 19));
        assert!(contact(&call(&zoho)).await.is_ok());
        assert_eq!(server.asked().len(), 2, "nothing is kept");
    }

    #[tokio::test]
    async fn who_waits_goes_on_alone_when_the_other_one_goes_away() {
        let server = slow().await;
        let zoho = zoho(&server);
        let hasty = zoho.view(&Scope::Org, Instant::now() + Duration::from_millis(50));
        let patient = call(&zoho);
        let (hasty, patient) = tokio::join!(contact(&hasty), async {
            sleep(Duration::from_millis(20)).await;
            contact(&patient).await
        });
        assert!(hasty.is_err());
        assert!(patient.is_ok());
        assert_eq!(server.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_read_after_a_write_does_not_join_one_from_before_it() {
        let server = slow().await;
        let zoho = zoho(&server);
        let (before, after) = (call(&zoho), call(&zoho));
        let (before, after) = tokio::join!(contact(&before), async {
            sleep(Duration::from_millis(30)).await;
            note(&after).await.unwrap();
            contact(&after).await
        });
        assert!(before.is_ok() && after.is_ok());
        assert_eq!(server.asked().len(), 3);
    }

    #[tokio::test]
    async fn another_user_or_another_question_is_another_request() {
        let server = slow().await;
        let zoho = zoho(&server);
        let people = br#"{"b": {"refresh_token":"1000.bo","user":"5725767000000411001"}}"#;
        zoho.replace_people(people).unwrap();
        let bo = zoho.view(
            &Scope::User("b".into()),
            Instant::now() + Duration::from_secs(10),
        );
        let other = call(&zoho);
        let deal = "7".parse().unwrap();
        let own = call(&zoho);
        let _ = tokio::join!(contact(&own), contact(&bo), other.deal(&deal));
        let asked = server.asked();
        let contacts = asked
            .iter()
            .filter(|seen| seen.target.contains("/Contacts/"));
        assert_eq!(contacts.count(), 2, "{asked:?}");
    }
}
