//! What it means that Zoho refused a token: that it is no good any more, or the request.

use std::sync::Arc;

use super::{Ask, Broke, Crm};
use crate::zoho::{
    ZohoError,
    token::{Token, Tokens},
};

impl Crm {
    /// Zoho refused a token: another one may help, unless this is a fresh one, or Zoho takes it for
    /// other requests. Then the error is this call's alone.
    pub(super) async fn doubt(
        &self,
        token: &Arc<Token>,
        tokens: &Tokens,
        renewed: bool,
    ) -> Option<ZohoError> {
        if renewed || tokens.was_taken(token) {
            // Everybody may ask for it, so that only the token can be wrong.
            match self.attempt(&Ask::get("org", "org"), tokens).await {
                // Another call may have had it replaced meanwhile: then that was another token.
                Ok(_) | Err(Broke::Failed(ZohoError::Forbidden { .. }))
                    if renewed || tokens.was_taken(token) =>
                {
                    return Some(tokens.refused_here());
                }
                Err(Broke::Failed(error) | Broke::Unsent(error)) if !renewed => return Some(error),
                Ok(_) | Err(_) => {}
            }
        }
        match renewed {
            true => Some(tokens.refuse(token)),
            false => {
                tokens.forget(token);
                None
            }
        }
    }
}
