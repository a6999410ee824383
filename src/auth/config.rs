//! `[auth]`

use serde::Deserialize;

use super::jwt::config::Issuer;
use crate::setting::{SecretRef, Span};

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[auth.api_keys]`
    pub api_keys: ApiKeys,
    /// `[[auth.jwt]]`
    pub jwt: Vec<Issuer>,
}

/// `[auth.api_keys]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeys {
    /// Whether keys are accepted at all.
    pub enabled: bool,
    /// Where the document with the hashes is.
    pub source: SecretRef,
    /// How often it is read again.
    pub refresh: Span,
}
