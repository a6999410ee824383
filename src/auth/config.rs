//! `[auth]`

use std::path::PathBuf;

use serde::Deserialize;

use crate::setting::{SecretRef, Span};

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[auth.api_keys]`
    pub api_keys: ApiKeys,
}

/// `[auth.api_keys]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeys {
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
