//! The sessions of both transports.

use std::sync::Arc;

use anyhow::Context as _;

use super::Secrets;
use crate::{
    audit::Audit,
    config::Config,
    listen::Drain,
    mcp::{HttpSessions, Relay, Sessions},
    store::Store,
};

/// Where sessions are.
pub(super) struct Rooms {
    pub(super) streams: Arc<Sessions>,
    pub(super) http: Option<Arc<HttpSessions>>,
}

impl Rooms {
    /// Without Redis or a key there is no way to the sessions of other instances.
    pub(super) fn new(
        config: &Config,
        store: Option<&Store>,
        secrets: &Secrets,
        (audit, drain): (&Audit, &Drain),
    ) -> anyhow::Result<Self> {
        let shared = store.zip(secrets.token_key.as_ref());
        let relay = match shared.filter(|_| config.mcp.legacy_sse || config.mcp.sessions) {
            Some((store, key)) => {
                let relay = Relay::new(store.clone(), key);
                Some(Arc::new(relay.context("zoho.token_key")?))
            }
            None => None,
        };
        let streams = Arc::new(Sessions::new(config.mcp.clone(), drain.clone(), relay));
        let http = match config.mcp.sessions {
            true => {
                let shared = shared.map(|(store, key)| (store.clone(), key));
                let held = (audit.clone(), drain.clone());
                let http = HttpSessions::new(streams.clone(), &config.mcp, shared, held);
                Some(Arc::new(http.context("zoho.token_key")?))
            }
            false => None,
        };
        Ok(Self { streams, http })
    }
}
