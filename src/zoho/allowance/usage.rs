//! What was spent of the credits, and what is left of them for one client.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Allowance, Want,
    ledger::Ledger,
    shared::{Shared, Told},
};
use crate::{
    store::Unavailable,
    zoho::{Crm, lock},
};

/// The credits of a rolling day, as this daemon's ledger has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// That the organisation may spend.
    pub daily: u32,
    /// Of these, what only writes may spend.
    pub reserve: u32,
    /// By all clients.
    pub spent: u32,
    /// That this client may spend, writes included.
    pub client_share: u32,
    /// By this client.
    pub client_spent: u32,
    /// What Zoho said last that remains.
    pub zoho_remaining: Option<u32>,
    /// How long until credits come back: as Zoho said, or where this instance alone knows of all that
    /// were spent.
    pub back_after: Option<Duration>,
    /// Whether Zoho refuses everybody for want of credits.
    pub paused: bool,
    /// Whether all instances are counted.
    pub is_complete: bool,
}

impl Allowance {
    async fn usage(&self, client: &Arc<str>) -> Usage {
        let want = |write| Want {
            client: Arc::clone(client),
            write,
            query: false,
            credits: 0,
        };
        let (daily, client_share, _) = self.shares.bounds(&want(true), 1);
        let (_, _, reserve) = self.shares.bounds(&want(false), 1);
        let asked = match &self.shared {
            Some(shared) => Some(self.ask(shared, client).await),
            None => None,
        };
        let (now, paused) = (self.now(), self.paused());
        let mut book = lock(&self.book);
        let own = book.own.org.spent(now);
        let own_client = book.own.clients.get_mut(client);
        let own_client = own_client.map_or(0, |ledger| ledger.spent(now));
        let (spent, client_spent) = match asked {
            // What Redis was not told yet is in the own books only.
            Some(Ok((spent, of_client))) => (spent.max(own), of_client.max(own_client)),
            Some(Err(_)) | None => (own, own_client),
        };
        let alone = asked.is_none() && own > 0;
        Usage {
            daily,
            reserve,
            spent,
            client_share,
            client_spent,
            zoho_remaining: book.remaining.and_then(|said| said.credits),
            back_after: paused.or_else(|| alone.then(|| book.own.org.wait(now, 1))),
            paused: paused.is_some(),
            is_complete: !matches!(asked, Some(Err(_))),
        }
    }

    /// What Redis has of the organisation and of the client.
    async fn ask(&self, shared: &Shared, client: &Arc<str>) -> Result<(u32, u32), Unavailable> {
        let (nothing, now) = (Ledger::default(), Duration::ZERO);
        let told = Told::default();
        let org = shared.tell(&told, None, &nothing, now).await?;
        if org.lost.is_none() {
            self.pause.learn(org.paused, Instant::now());
        }
        let client = shared.tell(&told, Some(client), &nothing, now).await?;
        Ok((org.spent, client.spent))
    }
}

impl Crm {
    /// What was spent of Zoho's credits; asks nothing of Zoho.
    pub async fn credit_usage(&self) -> Usage {
        self.zoho.allowance.usage(&self.spender.client).await
    }
}
