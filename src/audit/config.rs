//! `[audit]`: where lines go, what happens when they cannot, and who vouches for them.

use std::{num::NonZeroU64, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::setting::{SecretRef, Size, Span};

/// `[audit]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Config {
    pub sinks: Vec<Destination>,
    pub on_failure: OnFailure,
    pub instance: Option<String>,
    pub pseudonym_key: Option<SecretRef>,
    pub signing_key: Option<SecretRef>,
    pub checkpoint: Pace,
    pub heads: Option<PathBuf>,
    pub file: FileConfig,
}

/// `[audit] checkpoint`: when a line says how far the log has come, signed if there is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// After so many lines.
    pub lines: NonZeroU64,
    /// And after so long, if there were any; otherwise before the next line.
    pub every: Span,
}

/// `[audit.file]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    pub max_size: Size,
    pub daily: bool,
    pub fsync: Fsync,
}

/// When a file is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// After every line.
    Always,
    /// After every batch: the lines that came while the one before was written.
    Group,
    /// When the system likes.
    Never,
}

/// Where lines can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// `file:PATH`, relative to the folder of the configuration.
    File(PathBuf),
}

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, BadDestination> {
        match text.split_once(':') {
            None if text == "stdout" => Ok(Self::Stdout),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(BadDestination),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A text that names no place for lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"stdout\" or \"file:PATH\"")]
pub struct BadDestination;

/// What to do with calls while the log cannot take a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum OnFailure {
    RefuseAll,
    RefuseWrites,
    Continue,
}

impl Config {
    /// What is wrong with it beyond its types.
    pub fn check(&self) -> Result<(), BadConfig> {
        if self.sinks.is_empty() {
            return Err(BadConfig::NoSink);
        }
        let twice = |(n, sink)| self.sinks.iter().take(n).any(|before| before == sink);
        if self.sinks.iter().enumerate().any(twice) {
            return Err(BadConfig::SinkTwice);
        }
        match &self.instance {
            Some(name) if !is_name(name) => Err(BadConfig::Instance),
            _ => Ok(()),
        }
    }

    /// What it leaves unproven, and unfound.
    pub fn warnings(&self) -> impl Iterator<Item = &'static str> {
        let unsigned = self.signing_key.is_none().then_some(UNSIGNED);
        let forgotten = self.pseudonym_key.is_none().then_some(FORGOTTEN);
        unsigned.into_iter().chain(forgotten)
    }
}

const UNSIGNED: &str = "audit.signing_key: it is not set, so whoever can write the log can write all \
    of it anew, and no one could tell; make a key with `zoho-mcp audit keygen --out audit-key.pem \
    --public-out audit-public.pem`, and set signing_key = \"file:audit-key.pem\"";
const FORGOTTEN: &str = "audit.pseudonym_key: it is not set, so pseudonyms hold until the process \
    ends, and `audit search` finds nobody; make a key with `openssl rand -hex 32`, and refer to it as \
    pseudonym_key = \"env:NAME\" or \"file:PATH\"";

/// Why `[audit]` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BadConfig {
    #[error("audit.sinks: no sink is named")]
    NoSink,
    #[error("audit.sinks: a sink is named twice")]
    SinkTwice,
    #[error("audit.instance: not a name")]
    Instance,
}

impl BadConfig {
    /// What to write instead.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoSink => "write [\"stdout\"], or [\"stdout\", \"file:PATH\"]",
            Self::SinkTwice => "name each sink once",
            Self::Instance => "use 1 to 64 of A-Z a-z 0-9 _ . -, or leave it out",
        }
    }
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}
