//! What it means that Zoho refused a token: that it is no good any more, or the request.

use std::{mem::replace, sync::Arc};

use tokio::time::{Duration, Instant, timeout_at};

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
    /// Whether it has tried one again that Zoho takes for other requests.
    has_insisted: bool,
}

impl Crm {
    /// Zoho refused a token: another one may help, unless this one was minted since the call's
    /// first was refused, or Zoho takes it for other requests. Then it is tried once more, and if it is
    /// refused again the error is this call's alone.
    pub(super) async fn doubt(
        &self,
        ask: &Ask,
        token: &Arc<Token>,
        tokens: &Tokens,
        doubts: &mut Doubts,
    ) -> Option<ZohoError> {
        let since = *doubts.since.get_or_insert_with(Instant::now);
        let Ok(mut proof) = timeout_at(self.deadline, token.proof()).await else {
            return Some(ZohoError::DeadlineExceeded);
        };
        let renewed = doubts.renewals > 0;
        // Another call may have had it replaced meanwhile. Of one that all depends on no kind of request
        // decides that Zoho refuses always.
        let is_asked_for = renewed || tokens.is_on_trial(token);
        if tokens.was_taken(token) || is_asked_for && tokens.holds(token) {
            // It may have been taken back since, so who was refused twice asks himself.
            let is_proven = proof.is_some_and(|at| match doubts.has_insisted {
                true => at >= since,
                false => at.elapsed() < PROVEN_FOR,
            });
            let taken = match is_proven {
                true => Ok(()),
                // Everybody may ask for it, so that only the token can be wrong.
                false => self
                    .attempt(&Ask::get("org", "org"), tokens)
                    .await
                    .map(drop),
            };
            match taken {
                Ok(()) | Err(Broke::Failed(ZohoError::Forbidden { .. })) if tokens.holds(token) => {
                    if !is_proven {
                        *proof = Some(Instant::now());
                    }
                    let may_help = !renewed && !token.has_refused(ask.kind());
                    if may_help && !replace(&mut doubts.has_insisted, true) {
                        return None;
                    }
                    return Some(Tokens::refused_here(token, ask.kind()));
                }
                Err(Broke::Failed(error) | Broke::Unsent(error)) if !renewed => return Some(error),
                Ok(()) | Err(_) => {}
            }
        }
        // One that lay in Redis may have been taken back with the first: only a new one tells, or the
        // next one after it.
        if renewed && token.is_minted_after(since) || tokens.is_refused_as_the_last(token) {
            return Some(tokens.refuse(token).await);
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
/// A token that is taken back meanwhile is thought to be good for so long.
const PROVEN_FOR: Duration = Duration::from_secs(3);
