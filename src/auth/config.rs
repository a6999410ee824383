//! `[auth]`

use std::path::PathBuf;

use serde::Deserialize;

use super::{jwt::config::Issuer, mtls};
use crate::setting::{SecretRef, Span};

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[auth.api_keys]`
    pub api_keys: ApiKeys,
    /// `[[auth.jwt]]`
    pub jwt: Vec<Issuer>,
    /// `[auth.mtls]`
    pub mtls: mtls::Config,
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
    /// How long keys that only the version before has still work.
    pub previous_overlap: Span,
    /// How long a start may wait for secrets in AWS.
    pub start_deadline: Span,
    /// Where it is noted when keys were last used; beside the document when left out.
    pub usage_file: Option<PathBuf>,
}
