//! What it means that Zoho refused a token: that it is no good any more, or the request.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Ask, Broke, Crm};
use crate::zoho::{
    ZohoError,
    token::{Token, Tokens},
};

/// What a call has done so far about tokens that were refused.
#[derive(Default)]
pub(super) struct Doubts {
    /// When the first was.
    since: Option<Instant>,
    /// How often it has gone for another one.
    renewals: u32,
}

impl Crm {
    /// Zoho refused a token: another one may help, unless this one was minted since the call's first
    /// was refused, or Zoho takes it for other requests. Then the error is this call's alone.
    pub(super) async fn doubt(
        &self,
        token: &Arc<Token>,
        tokens: &Tokens,
        doubts: &mut Doubts,
    ) -> Option<ZohoError> {
        let since = *doubts.since.get_or_insert_with(Instant::now);
        let renewed = doubts.renewals > 0;
        if renewed || tokens.was_taken(token) {
            // Everybody may ask for it, so that only the token can be wrong.
            match self.attempt(&Ask::get("org", "org"), tokens).await {
                // Another call may have had it replaced meanwhile: then that was another token.
                Ok(_) | Err(Broke::Failed(ZohoError::Forbidden { .. })) if tokens.holds(token) => {
                    return Some(tokens.refused_here());
                }
                Err(Broke::Failed(error) | Broke::Unsent(error)) if !renewed => return Some(error),
                Ok(_) | Err(_) => {}
            }
        }
        // One that lay in Redis may have been taken back with the first: only a new one tells.
        if renewed && token.is_minted_after(since) {
            return Some(tokens.refuse(token));
        }
        tokens.forget(token);
        if doubts.renewals == MOST_RENEWALS {
            return Some(Tokens::refused_again());
        }
        doubts.renewals += 1;
        None
    }
}

/// One that another instance has put into Redis, and one that is minted.
const MOST_RENEWALS: u32 = 2;
