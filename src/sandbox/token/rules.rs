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
    /// A token as the client is told of it.
    pub(super) fn given(&self, fresh: &str, api: &str) -> Value {
        let mut body = json!({
            "access_token": fresh,
            "api_domain": api,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
        });
        if self.names_scope {
            body["scope"] = json!(self.scope);
        }
        if self.legacy_expiry {
            body["expires_in"] = json!(LIFETIME * 1_000);
            body["expires_in_sec"] = json!(LIFETIME);
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
