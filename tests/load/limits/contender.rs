//! The limiters that are compared, behind one question.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use uuid::Uuid;
use zoho_mcp::{
    audit::{Audit, OnFailure},
    limit::{Limiter, Names, Rules, Subject},
    store::{Passwords, Script, Store},
};

use crate::redis_server::Server;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Exact,
    FixedWindow,
    Gcra,
}

#[derive(Clone, Copy)]
pub(crate) struct Quotas {
    pub(crate) client: u32,
    pub(crate) global: u32,
    pub(crate) span: Duration,
}

pub(crate) struct Contender {
    pub(crate) limiter: Arc<Limiter>,
    rival: Option<(Store, Script)>,
    quotas: Quotas,
    _keepers: JoinSet<()>,
}

impl Contender {
    pub(crate) async fn new(kind: Kind, redis: &Server, quotas: Quotas) -> Self {
        Self::at(kind, &redis.url(), quotas).await
    }

    /// Waits for Redis for as long as a busy machine needs: what is measured so is no outage.
    pub(crate) async fn at(kind: Kind, url: &str, quotas: Quotas) -> Self {
        Self::waiting(kind, url, quotas, "1s").await
    }

    /// Waits for Redis no longer than that.
    pub(crate) async fn waiting(kind: Kind, url: &str, quotas: Quotas, timeout: &str) -> Self {
        let config = toml::from_str(&format!(
            "url = '{url}'\nkind = 'single'\ntimeout = '{timeout}'\nat_start = 'refuse'\n\
             expected_replicas = 2"
        ));
        let (store, keeper) =
            Store::new(&config.unwrap(), Path::new(""), &Passwords::default()).unwrap();
        let mut keepers = JoinSet::new();
        keepers.spawn(keeper.keep());
        while store.tried().await.is_err() {
            store.changed().await;
        }
        let names = Names::new(None);
        let limiter = Limiter::over(store.clone(), names, rules(quotas));
        let limiter = Arc::new(limiter);
        let rival = match kind {
            Kind::Exact => {
                let audit = Audit::discarding(OnFailure::Continue);
                keepers.spawn(Arc::clone(&limiter).keep(audit));
                while limiter.decided().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                None
            }
            Kind::FixedWindow => Some((store, Script::new(FIXED_WINDOW))),
            Kind::Gcra => Some((store, Script::new(GCRA))),
        };
        Self {
            limiter,
            rival,
            quotas,
            _keepers: keepers,
        }
    }

    /// Admitted, or when to come back.
    pub(crate) async fn admit(&self, client: &str) -> Result<(), Duration> {
        let Some((store, script)) = &self.rival else {
            let subject = Subject {
                client: &client.into(),
                user: None,
                // A call of a tool has a place among the calls in flight as well.
                tool: Some("search_contacts"),
                request_id: Uuid::now_v7(),
            };
            let admission = self.limiter.admit(&subject).await;
            let verdict = &admission.verdict;
            return verdict.retry_after().map_or(Ok(()), Err);
        };
        // As such limiters are used: one level after the other.
        let span = self.quotas.span.as_micros();
        for (key, limit) in [("all", self.quotas.global), (client, self.quotas.client)] {
            let arguments = [
                limit.to_string().into_bytes(),
                span.to_string().into_bytes(),
            ];
            let (keys, arguments) = ([key], &arguments);
            let ask =
                |mut link| async move { script.run::<u64>(&mut link, &keys, arguments).await };
            // They have nothing to fall back on, so they wait for as long as it takes.
            let wait = loop {
                if let Ok(wait) = store.run(ask).await {
                    break wait;
                }
            };
            if wait > 0 {
                return Err(Duration::from_micros(wait));
            }
        }
        Ok(())
    }
}

fn rules(quotas: Quotas) -> Rules {
    let millis = quotas.span.as_millis();
    let limit = |requests: u32| format!("{{ requests = {requests}, per = '{millis}ms' }}");
    let config = toml::from_str(&format!(
        "global = {}\nclient = {}\nfailed_logins = {}\nin_flight = 1000\nin_flight_total = 1000
         on_store_error = 'local'\nanswer = 'http'",
        limit(quotas.global),
        limit(quotas.client),
        limit(1),
    ));
    Rules::new(&config.unwrap(), []).unwrap()
}

const FIXED_WINDOW: &str = "
local time = redis.call('TIME')
local now, span = time[1] * 1000000 + time[2], tonumber(ARGV[2])
local rest = span - now % span
local key = KEYS[1] .. string.format('%.0f', now - now % span)
local count = redis.call('INCR', key)
redis.call('PEXPIRE', key, math.ceil(span / 1000))
return count > tonumber(ARGV[1]) and rest or 0
";

const GCRA: &str = "
local time = redis.call('TIME')
local now, span = time[1] * 1000000 + time[2], tonumber(ARGV[2])
local every = span / tonumber(ARGV[1])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local at = due + every - span
if at > now then return math.ceil(at - now) end
redis.call('SET', KEYS[1], string.format('%.0f', due + every), 'PX', math.ceil(span / 1000) + 1)
return 0
";
