//! `[auth]`

use serde::Deserialize;

use super::mtls;
use crate::setting::{SecretRef, Span};

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[auth.api_keys]`
    pub api_keys: ApiKeys,
    /// `[auth.mtls]`
    pub mtls: mtls::Config,
}

/// `[auth.api_keys]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeys {
    /// Where the document with the hashes is.
    pub source: SecretRef,
    /// How often it is read again.
    pub refresh: Span,
}
