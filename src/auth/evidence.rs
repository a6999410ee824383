//! What one way of proving who is calling has found out. The authenticator composes them: every
//! way that was gone has to name the same client.

use std::sync::Arc;

use super::{
    caller::{Caller, User},
    jwt::TokenStanding,
    proof::{Proof, Way},
    scopes::Scopes,
};
use crate::listen::ClientCertificate;

/// One credential that proved good.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) way: Way,
    /// The name under `[clients]` that the credential stands for.
    pub(super) client: Arc<str>,
    /// The id of the key, for the log.
    pub(super) key_id: Option<Arc<str>>,
    pub(super) user: Option<User>,
    pub(super) scopes: Option<Scopes>,
    pub(super) standing: Vec<Standing>,
}

/// What has to stay true for a credential to be good, without the credential itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The key with this id, of the caller's client, can still be used.
    Key(Arc<str>),
    /// The token has not ended, and its issuer still vouches for the key that signed it.
    Token(TokenStanding),
    /// The certificate is trusted, and names the caller's client.
    Certificate(Arc<ClientCertificate>),
    /// The certificate that the caller's token is bound to is trusted, whomever it names.
    Holder(Arc<ClientCertificate>),
}

/// Credentials that are each good and name different clients: one of them may be stolen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disagree {
    /// Of both.
    pub(super) key_id: Option<Arc<str>>,
}

/// All that was proven, as one caller without a role yet. `None` when nothing was.
pub(super) fn compose(found: Vec<Evidence>) -> Result<Option<Caller>, Disagree> {
    let mut composed = None::<Caller>;
    let mut standing = Vec::with_capacity(found.len());
    for evidence in found {
        standing.extend(evidence.standing);
        composed = Some(match composed {
            None => Caller {
                client: evidence.client,
                role: Arc::default(),
                user: evidence.user,
                user_in_log: None,
                proven_by: Proof::by(evidence.way),
                key_id: evidence.key_id,
                scopes: evidence.scopes,
                standing: Arc::default(),
            },
            Some(caller) if caller.client != evidence.client => {
                return Err(Disagree {
                    key_id: both(caller.key_id, evidence.key_id),
                });
            }
            Some(caller) => Caller {
                user: caller.user.or(evidence.user),
                proven_by: caller.proven_by.and(evidence.way),
                key_id: both(caller.key_id, evidence.key_id),
                scopes: caller.scopes.or(evidence.scopes),
                ..caller
            },
        });
    }
    Ok(composed.map(|caller| Caller {
        standing: standing.into(),
        ..caller
    }))
}

pub(super) fn both(one: Option<Arc<str>>, other: Option<Arc<str>>) -> Option<Arc<str>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}+{other}").into()),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(way: Way, client: &str) -> Evidence {
        Evidence {
            way,
            client: client.into(),
            key_id: Some(way.name().into()),
            user: None,
            scopes: None,
            standing: vec![Standing::Key(way.name().into())],
        }
    }

    #[test]
    fn nothing_proves_nobody() {
        assert_eq!(compose(Vec::new()), Ok(None));
    }

    #[test]
    fn ways_that_agree_are_one_caller_with_all_that_has_to_hold() {
        let found = vec![evidence(Way::Mtls, "a"), evidence(Way::ApiKey, "a")];
        let caller = compose(found).unwrap().unwrap();
        assert_eq!(caller.proven_by.name(), "mtls+api_key");
        assert_eq!(caller.key_id.as_deref(), Some("mtls+api_key"));
        assert_eq!(caller.standing.len(), 2);
    }

    #[test]
    fn ways_that_name_two_clients_are_nobody() {
        let found = vec![evidence(Way::Mtls, "a"), evidence(Way::Jwt, "b")];
        let disagree = compose(found).unwrap_err();
        assert_eq!(
            disagree.key_id.as_deref(),
            Some("mtls+jwt"),
            "both are named"
        );
    }
}
