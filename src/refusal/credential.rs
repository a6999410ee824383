//! What a caller hears of its credentials.

use axum::http::HeaderValue;
use serde_json::value::RawValue;

use super::Refusal;

/// What a caller hears who is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// No credential was sent, and a key is what is asked for.
    KeyRequired,
    /// No credential was sent, or none of that kind.
    TokenRequired,
    /// No credential was sent, or none of that kind.
    CertificateRequired,
    /// The key is bad, whatever is wrong with it.
    InvalidKey,
    /// The client certificate is bad, whatever is wrong with it.
    InvalidCertificate,
    /// The token is bad, whatever is wrong with it.
    InvalidToken,
    /// The token was good until lately: time to get another.
    TokenExpired,
    /// Two credentials that disagree.
    CredentialsDisagree,
}

impl Unproven {
    /// One text for each.
    pub const fn text(self) -> &'static str {
        match self {
            Self::KeyRequired => "API key required",
            Self::TokenRequired => "Bearer token required",
            Self::CertificateRequired => "Client certificate required",
            Self::InvalidKey => "Invalid API key",
            Self::InvalidCertificate => "Invalid client certificate",
            Self::InvalidToken => "Invalid token",
            Self::TokenExpired => "Token expired",
            Self::CredentialsDisagree => {
                "The credentials that were sent disagree. Send those of one client only"
            }
        }
    }
}

/// What a caller is told whose token does not reach.
#[derive(Clone, Debug)]
pub struct InsufficientScope {
    /// The request's id, as it was sent.
    pub(super) id: Option<Box<RawValue>>,
    pub(super) message: String,
    /// `WWW-Authenticate`
    pub(super) challenge: HeaderValue,
}

impl InsufficientScope {
    /// `scope` is what the token needs.
    pub fn of(id: Option<Box<RawValue>>, scope: &str, challenge: HeaderValue) -> Self {
        Self {
            id,
            message: format!("The token's scope does not cover this. Get one with: {scope}"),
            challenge,
        }
    }
}

impl From<InsufficientScope> for Refusal {
    fn from(scope: InsufficientScope) -> Self {
        Self::InsufficientScope(Box::new(scope))
    }
}
