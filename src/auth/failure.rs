//! Why nobody is calling, or why somebody no longer is.

use std::sync::Arc;

use super::{
    api_key::BadKey,
    jwt::{BadToken, Rejected},
    mtls::BadCertificate,
    presented::Unusable,
    proof::{Proof, Way},
};
use crate::audit::{Event, Kind};

/// Why nobody is calling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not authenticated: {reason}")]
pub struct AuthFailure {
    /// What the caller may hear.
    pub kind: FailureKind,
    /// For the audit log only.
    pub reason: &'static str,
    /// The public part of the key, where the key was of the right form.
    pub key_id: Option<Arc<str>>,
    /// The configured issuer that a token names, whether or not it comes from there.
    pub issuer: Option<Arc<str>>,
    /// Whoever has proven to be this client, and not yet in every way that is asked of it.
    pub client: Option<Arc<str>>,
    /// The ways that were tried.
    pub tried: Proof,
    /// Its address had its lines in the log: this one is only counted.
    pub is_repeated: bool,
}

impl AuthFailure {
    pub(super) fn new(kind: FailureKind, reason: &'static str) -> Self {
        Self {
            kind,
            reason,
            key_id: None,
            issuer: None,
            client: None,
            tried: Proof::default(),
            is_repeated: false,
        }
    }

    /// As the audit log has it, but for where it came from.
    pub(super) fn event(&self) -> Event {
        let event = match self.kind {
            FailureKind::TooManyFailures {
                retry_after_seconds,
                ..
            } => Event {
                policy: Some("failed_logins".into()),
                retry_after_seconds: Some(retry_after_seconds),
                ..Event::new(Kind::RateLimitExceeded)
            },
            _ => Event {
                key_id: self.key_id.clone(),
                client_id: self.client.clone(),
                issuer: self.issuer.clone(),
                reason: Some(self.reason.into()),
                ..Event::new(Kind::AuthFailed)
            },
        };
        Event {
            auth_method: (self.tried != Proof::default()).then(|| self.tried.name()),
            ..event
        }
    }

    /// Whether it is worth a line: of too many failures the first one stands for the others, which
    /// are counted all the same.
    pub(super) const fn has_line(&self) -> bool {
        !matches!(self.kind, FailureKind::TooManyFailures { first: false, .. })
    }
}

impl From<Unusable> for AuthFailure {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Conflict => Self::new(FailureKind::Conflict, "conflict"),
            Unusable::Key => Self::new(FailureKind::Invalid, "malformed"),
            Unusable::Token => Self::new(FailureKind::InvalidToken, BadToken::Malformed.reason()),
        }
    }
}

impl From<BadToken> for AuthFailure {
    fn from(bad: BadToken) -> Self {
        let kind = match bad {
            BadToken::Expired => FailureKind::TokenExpired,
            BadToken::ScopeMissing => FailureKind::ScopeMissing,
            BadToken::KeysUnavailable => FailureKind::TokensUnavailable,
            BadToken::UnknownKeyLately => FailureKind::KeyNotSeenYet,
            _ => FailureKind::InvalidToken,
        };
        Self::new(kind, bad.reason())
    }
}

impl From<Rejected> for AuthFailure {
    fn from(rejected: Rejected) -> Self {
        Self {
            issuer: rejected.issuer,
            ..rejected.why.into()
        }
    }
}

impl From<BadCertificate> for AuthFailure {
    fn from(bad: BadCertificate) -> Self {
        Self::new(FailureKind::InvalidCertificate, bad.reason())
    }
}

/// The kinds of failure that are answered differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing was presented.
    NoCredential,
    /// A key that is not accepted, for whatever reason.
    Invalid,
    /// A client certificate that is not accepted, for whatever reason.
    InvalidCertificate,
    /// A token that is not accepted, for whatever reason but one.
    InvalidToken,
    /// A token that was good until lately.
    TokenExpired,
    /// A good token without a scope that its issuer's every token needs.
    ScopeMissing,
    /// A token by a key that is unknown, perhaps because it is new: answered like any that is not
    /// accepted.
    KeyNotSeenYet,
    /// Nobody can say whether the token is good.
    TokensUnavailable,
    /// What was presented is good, and this is asked for besides.
    Missing(Way),
    /// Two credentials that disagree.
    Conflict,
    /// Not accepted either, and the address has failed too often.
    TooManyFailures {
        /// In whole seconds, rounded up: when another failure would be answered as one.
        retry_after_seconds: u64,
        /// The one to write into the audit log; the others are not worth a line.
        first: bool,
    },
}

impl FailureKind {
    /// Whether anybody can do it as often as he likes, without anything that could be good.
    pub(super) const fn is_a_strangers(self) -> bool {
        matches!(
            self,
            Self::NoCredential | Self::TokensUnavailable | Self::KeyNotSeenYet
        )
    }

    pub(super) const fn is_guess(self) -> bool {
        matches!(
            self,
            Self::Invalid
                | Self::InvalidCertificate
                | Self::InvalidToken
                | Self::Missing(_)
                | Self::Conflict
        )
    }
}

/// Why a caller who was proven is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Lapse {
    #[error("the client is no longer configured")]
    ClientRemoved,
    #[error("the client has to prove more by now")]
    CredentialsChanged,
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error(transparent)]
    Token(#[from] BadToken),
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
}

impl Lapse {
    /// As the audit log has it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ClientRemoved => "client_removed",
            Self::CredentialsChanged => "another_credential_needed",
            Self::Key(bad) => match bad {
                BadKey::Revoked => "key_revoked",
                BadKey::Retired => "key_retired",
                BadKey::Expired => "key_expired",
                _ => "key_removed",
            },
            Self::Token(BadToken::Issuer) => "token_issuer_removed",
            Self::Token(BadToken::UnknownKey) => "token_key_removed",
            Self::Token(bad) => bad.reason(),
            Self::Certificate(bad) => bad.reason(),
        }
    }
}
