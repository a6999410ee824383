//! Why a token is not accepted.

use std::sync::Arc;

/// For the audit log only: a caller hears whether the token has expired, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadToken {
    #[error("tokens are not accepted here")]
    NotConfigured,
    #[error("the token is longer than 8 KiB")]
    TooLong,
    #[error("the token has not the form of a signed JWT")]
    Malformed,
    #[error("the header is not one JSON object, or a key stands twice in it")]
    Header,
    #[error("the claims are not one JSON object, or a key stands twice in them")]
    Claims,
    #[error("the header has critical extensions")]
    Critical,
    #[error("the header brings or names its own key")]
    BringsKey,
    #[error("the token is of another type")]
    Type,
    #[error("the algorithm is not allowed for the issuer")]
    Algorithm,
    #[error("the issuer is unknown or missing")]
    Issuer,
    #[error("the issuer has no such key")]
    UnknownKey,
    #[error("the issuer had no such key lately, and is asked again soon")]
    UnknownKeyLately,
    #[error("the signature is wrong")]
    Signature,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token has no expiry, or one that is no date")]
    Expiry,
    #[error("the token does not say when it was issued")]
    IssuedAt,
    #[error("the token was issued in the future")]
    IssuedInFuture,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token lives longer than is allowed")]
    Lifetime,
    #[error("the token names no subject")]
    Subject,
    #[error("the scopes of the token cannot be read")]
    Scope,
    #[error("the token is bound to another holder")]
    Binding,
    #[error("the token's client is mapped to none of ours")]
    UnknownClient,
    #[error("the token has expired")]
    Expired,
    #[error("the token lacks a scope that every call needs")]
    ScopeMissing,
    #[error("the token means another client or other scopes by now")]
    Reassessed,
    #[error("the issuer's keys could not be fetched")]
    KeysUnavailable,
}

/// A token that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub why: BadToken,
    /// The issuer that it names, where that is one of those that are configured; whether it comes
    /// from there is not said.
    pub issuer: Option<Arc<str>>,
}

impl From<BadToken> for Rejected {
    fn from(why: BadToken) -> Self {
        Self { why, issuer: None }
    }
}

impl BadToken {
    /// The same of keys that were not fetched again just now.
    pub(super) const fn lately(self) -> Self {
        match self {
            Self::UnknownKey => Self::UnknownKeyLately,
            why => why,
        }
    }

    /// The same of keys that could not be fetched again: the one that is missing may be new.
    pub(super) const fn without_an_answer(self) -> Self {
        match self {
            Self::Signature => self,
            _ => Self::KeysUnavailable,
        }
    }

    /// As the audit log has it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotConfigured => "token_not_a_key",
            Self::TooLong => "token_too_long",
            Self::Malformed => "token_malformed",
            Self::Header => "token_header",
            Self::Claims => "token_claims",
            Self::Critical => "token_critical_header",
            Self::BringsKey => "token_brings_key",
            Self::Type => "token_type",
            Self::Algorithm => "token_algorithm",
            Self::Issuer => "token_issuer",
            Self::UnknownKey | Self::UnknownKeyLately => "token_unknown_key",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expiry => "token_expiry_missing",
            Self::IssuedAt => "token_issued_at_missing",
            Self::IssuedInFuture => "token_issued_in_future",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Lifetime => "token_lives_too_long",
            Self::Subject => "token_subject",
            Self::Scope => "token_scope_unreadable",
            Self::Binding => "token_bound_to_another",
            Self::UnknownClient => "token_unknown_client",
            Self::Expired => "token_expired",
            Self::ScopeMissing => "token_scope_missing",
            Self::Reassessed => "token_reassessed",
            Self::KeysUnavailable => "token_keys_unavailable",
        }
    }
}
