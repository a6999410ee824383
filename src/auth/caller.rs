//! The caller, set once by `auth` and never after.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{evidence::Standing, proof::Proof, scopes::Scopes};
use crate::audit::Event;

/// Who is calling, and how that was proven. Written out for another instance it says so, and leaves
/// out what only the instance that has seen the proof can look after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The name under `[clients]`.
    pub client: Arc<str>,
    /// The name under `[roles]`.
    pub role: Arc<str>,
    /// The person behind the client, where a token names one.
    pub user: Option<User>,
    /// What logs call that person: never their address.
    #[serde(skip)]
    pub user_in_log: Option<Arc<str>>,
    /// What proved it.
    pub proven_by: Proof,
    /// Which key proved it.
    pub key_id: Option<Arc<str>>,
    /// What the token leaves of the role; without, the role stands as it is.
    pub scopes: Option<Scopes>,
    /// What has to stay true for the proof to hold.
    #[serde(skip)]
    pub standing: Arc<[Standing]>,
}

impl Caller {
    /// An event that names the caller.
    pub fn sign(&self, event: Event) -> Event {
        Event {
            client_id: Some(self.client.clone()),
            user_id: self.user_in_log.clone(),
            issuer: self.user.as_ref().map(|user| user.issuer.clone()),
            role: Some(self.role.clone()),
            auth_method: Some(self.proven_by.name()),
            key_id: self.key_id.clone(),
            ..event
        }
    }

    /// When the tokens that proved the caller end.
    pub fn token_ends(&self) -> Option<Timestamp> {
        let ends = self.standing.iter().filter_map(|standing| match standing {
            Standing::Token(token) => Some(token.expires()),
            Standing::Key(_) | Standing::Certificate(_) | Standing::Holder(_) => None,
        });
        ends.min()
    }

    /// Whether `other` may use what this caller opened: the same client and person, proven in all
    /// the ways in which this one was.
    pub fn shares_with(&self, other: &Self) -> bool {
        self.client == other.client
            && self.user == other.user
            && other.proven_by.covers(self.proven_by)
    }
}

/// A person: unique within the issuer that names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the claims of the same names")]
pub struct User {
    pub issuer: Arc<str>,
    pub subject: Arc<str>,
}

#[cfg(test)]
impl Caller {
    /// An agent with a key.
    pub(crate) fn sample(client: &str) -> Self {
        Self {
            client: client.into(),
            role: "role".into(),
            user: None,
            user_in_log: None,
            proven_by: Proof::by(super::Way::ApiKey),
            key_id: Some("key".into()),
            scopes: None,
            standing: Arc::default(),
        }
    }
}
