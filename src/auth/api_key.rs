//! API keys: what they look like, the document that holds their hashes, the check.

pub mod document;
pub mod format;
pub mod published;
pub mod set;
pub mod usage;

use std::sync::Arc;

pub use document::{BadDocument, KeyDocument, KeyRecord, Status, is_client_name};
pub use format::{ApiKey, CannotGenerate};
pub use published::Published;
pub use set::{KeySet, Keys};
pub use usage::{Usage, UsageFile};

/// Whom a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The name under `[clients]`, as the key document has it.
    pub client: Arc<str>,
    /// The public part of the key.
    pub key_id: Arc<str>,
}

/// Why a key is not accepted. For the audit log only: a caller hears one text for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadKey {
    #[error("the key is not of the form of our keys")]
    Malformed,
    #[error("the key's checksum is wrong")]
    Checksum,
    #[error("no key has this id")]
    Unknown,
    #[error("the secret is wrong")]
    WrongSecret,
    #[error("the key is not valid yet")]
    NotYetValid,
    #[error("the key is expired")]
    Expired,
    #[error("the key is retired")]
    Retired,
    #[error("the key is revoked")]
    Revoked,
}

impl BadKey {
    /// As the audit log has it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Checksum => "checksum",
            Self::Unknown => "unknown_key",
            Self::WrongSecret => "wrong_secret",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}
