//! What a token's answer looks like, where the sources do not agree.

use serde_json::{Value, json};

/// What the sources do not agree on, and what was granted.
pub(in crate::sandbox) struct Rules {
    /// Of a refusal, apart from too many attempts.
    pub(in crate::sandbox) error_status: u16,
    /// Of too many attempts.
    pub(in crate::sandbox) denied_status: u16,
    pub(in crate::sandbox) most_live: usize,
    pub(in crate::sandbox) scope: String,
    pub(in crate::sandbox) names_scope: bool,
    /// Milliseconds in `expires_in`, and seconds beside it.
    pub(in crate::sandbox) legacy_expiry: bool,
    /// Whether a client may ask for its org, without a refresh token.
    pub(in crate::sandbox) client_credentials: bool,
}

impl Rules {
    /// A token as the client is told of it, with a scope of its own or the usual one.
    pub(super) fn given(&self, fresh: &str, scope: Option<&str>, api: &str) -> Value {
        let (expires, seconds) = match self.legacy_expiry {
            true => (LIFETIME * 1_000, Some(LIFETIME)),
            false => (LIFETIME, None),
        };
        let mut body = json!({
            "access_token": fresh,
            "scope": self.names_scope.then_some(scope.unwrap_or(&self.scope)),
            "api_domain": api,
            "token_type": "Bearer",
            "expires_in": expires,
            "expires_in_sec": seconds,
        });
        if let Some(body) = body.as_object_mut() {
            body.retain(|_, value| !value.is_null());
        }
        body
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            error_status: 200,
            denied_status: 400,
            most_live: 15,
            scope: String::new(),
            names_scope: true,
            legacy_expiry: false,
            client_credentials: true,
        }
    }
}

pub(super) const LIFETIME: i64 = 3_600;
