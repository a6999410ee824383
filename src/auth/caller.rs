//! The caller, set once by `auth` and never after.

use std::sync::Arc;

use crate::audit::Event;

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

impl Caller {
    /// An event that names the caller.
    pub fn sign(&self, event: Event) -> Event {
        Event {
            client_id: Some(self.client.clone()),
            user_id: self.user.as_ref().map(|user| user.subject.clone()),
            role: Some(self.role.clone()),
            auth_method: Some(self.proven_by.name()),
            key_id: self.key_id.clone(),
            ..event
        }
    }
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
    Mtls,
}

impl Proof {
    /// As the audit log has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Mtls => "mtls",
        }
    }
}
