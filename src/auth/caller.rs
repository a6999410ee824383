//! The caller, set once by `auth` and never after.

use std::sync::Arc;

/// Who is calling, and how that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name under `[clients]`.
    pub client: Arc<str>,
    /// The name under `[roles]`.
    pub role: Arc<str>,
    /// The person behind the client, where a token names one.
    pub user: Option<User>,
    /// What proved it.
    pub proven_by: Proof,
    /// Which key proved it.
    pub key_id: Option<Arc<str>>,
}

/// A person: unique within the issuer that names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the claims of the same names")]
pub struct User {
    pub issuer: Arc<str>,
    pub subject: Arc<str>,
}

/// A way to prove who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the name says it")]
pub enum Proof {
    ApiKey,
}

impl Proof {
    /// As the audit log has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
        }
    }
}
