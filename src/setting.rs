//! The types a configuration value can have: spans of time, sizes in bytes, references to secrets.

#[cfg(test)]
pub(crate) mod folder;
mod fraction;

use std::{fmt, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

pub use fraction::Fraction;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A span of time as an operator writes it: `250ms`, `30s`, `1m`, `24h`, `7d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

impl Span {
    /// A span of whole milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The span as the standard library counts it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let (number, unit) = split_unit(text);
        let number: u64 = number.parse().map_err(|_| BadSetting::Span)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(BadSetting::Span),
        };
        let millis = number.checked_mul(millis).ok_or(BadSetting::Span)?;
        match millis {
            0 => Err(BadSetting::Span),
            _ => Ok(Self::millis(millis)),
        }
    }
}

/// Written with the largest unit that leaves a whole number, as the answers of the limiter show it.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, size) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
        ] {
            if millis >= size && millis.is_multiple_of(size) {
                return write!(f, "{}{unit}", millis / size);
            }
        }
        write!(f, "{millis}ms")
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A size as an operator writes it: `512B`, `256KiB`, `4MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(usize);

impl Size {
    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for Size {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let (number, unit) = split_unit(text);
        let number: usize = number.parse().map_err(|_| BadSetting::Size)?;
        let unit = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(BadSetting::Size),
        };
        match number.checked_mul(unit) {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(BadSetting::Size),
        }
    }
}

/// So many requests in any window of that length: `{ requests = 60, per = "1m" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// At most this many.
    pub requests: NonZeroU32,
    /// In any window of this length.
    pub per: Span,
}

/// A quota of the limiter, and how strictly it is kept: `{ requests = 60, per = "1m" }`, or with
/// `mode = "shadow"` to try it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// At most this many.
    pub requests: NonZeroU32,
    /// In any window of this length.
    pub per: Span,
    /// Whether it refuses.
    #[serde(default)]
    pub mode: LimitMode,
    /// Instead of `[limits] on_store_error`.
    pub on_store_error: Option<OnStoreError>,
}

impl Limit {
    /// How many in which window.
    pub const fn quota(self) -> Quota {
        Quota {
            requests: self.requests,
            per: self.per,
        }
    }
}

impl From<Quota> for Limit {
    fn from(quota: Quota) -> Self {
        Self {
            requests: quota.requests,
            per: quota.per,
            mode: LimitMode::Enforce,
            on_store_error: None,
        }
    }
}

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    /// A call over the limit is refused.
    #[default]
    Enforce,
    /// A call over the limit goes on; the log says that it would have been refused.
    Shadow,
}

/// What a limit does while the store that all instances share cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// Each instance keeps its share of the limit.
    Local,
    /// Nothing is admitted.
    Closed,
    /// Everything is admitted.
    Open,
}

/// Where a secret is kept. A configuration never holds the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `file:PATH`, relative to the folder of the configuration file.
    File(PathBuf),
    /// `env:NAME`
    Env(String),
    /// `aws:NAME_OR_ARN` in Secrets Manager
    Aws(AwsRef),
}

/// A secret in AWS Secrets Manager, or one field of it: `NAME`, `ARN`, `NAME#FIELD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRef {
    /// Its name or ARN.
    pub id: String,
    /// The field to take when the secret is a JSON object that holds several.
    pub field: Option<String>,
}

impl AwsRef {
    /// The region, which an ARN names.
    pub fn region(&self) -> Option<&str> {
        match self.arn() {
            Some([_, _, _, region, ..]) => Some(region),
            None => None,
        }
    }

    /// Whether it is named by its ARN.
    pub fn is_arn(&self) -> bool {
        self.id.starts_with("arn:")
    }

    /// The parts of `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`.
    fn arn(&self) -> Option<[&str; 7]> {
        let mut parts = self.id.split(':');
        let parts = [(); 7].map(|()| parts.next().unwrap_or_default());
        let [arn, _, service, region, account, kind, name] = parts;
        let is_secret = arn == "arn" && service == "secretsmanager" && kind == "secret";
        let named = !region.is_empty() && !account.is_empty() && !name.is_empty();
        (is_secret && named && self.id.matches(':').count() == 6).then_some(parts)
    }
}

impl FromStr for AwsRef {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let (id, field) = match text.split_once('#') {
            Some((id, field)) => (id, Some(field)),
            None => (text, None),
        };
        let reference = Self {
            id: id.into(),
            field: field.map(Into::into),
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
        let readable = match reference.is_arn() {
            true => reference.arn().is_some() && id.chars().all(|c| legal(c) || c == ':'),
            false => !id.is_empty() && id.chars().all(legal),
        };
        match readable && id.len() <= 2048 && field != Some("") {
            true => Ok(reference),
            false => Err(BadSetting::AwsRef),
        }
    }
}

impl fmt::Display for AwsRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aws:{}", self.id)?;
        match &self.field {
            Some(field) => write!(f, "#{field}"),
            None => Ok(()),
        }
    }
}

impl FromStr for SecretRef {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.into())),
            Some(("aws", id)) => id.parse().map(Self::Aws),
            _ => Err(BadSetting::SecretRef),
        }
    }
}

/// As it is written in the configuration.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Aws(reference) => reference.fmt(f),
        }
    }
}

/// Why a value is refused; the configuration's reader adds file and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    #[error(
        "expected a span of time above zero, such as \"250ms\", \"30s\", \"1m\", \"24h\" or \"7d\""
    )]
    Span,
    #[error("expected a size above zero, such as \"256KiB\" or \"4MiB\"")]
    Size,
    #[error("expected a number from 0 to 1, such as 0.5")]
    Fraction,
    #[error(
        "expected a reference to a secret, such as \"file:keys.json\", \"env:NAME\" or \"aws:NAME_OR_ARN\"; never the secret itself"
    )]
    SecretRef,
    #[error(
        "expected the name or the ARN of a secret in AWS Secrets Manager, such as \"aws:zoho-mcp/keys\", with #FIELD for one field of it"
    )]
    AwsRef,
}

macro_rules! deserialize_from_str {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

deserialize_from_str!(Span, Size);

/// What stands in the place of a reference may be the secret itself, so no error shows any of it.
impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Other(serde::de::IgnoredAny),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Text(text)) => text.parse().map_err(D::Error::custom),
            Ok(Written::Other(_)) | Err(_) => Err(D::Error::custom(BadSetting::SecretRef)),
        }
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_as_it_is_written() {
        for text in ["250ms", "30s", "1m", "24h", "7d"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        assert_eq!("90s".parse::<Span>().unwrap().to_string(), "90s");
        assert_eq!("60s".parse::<Span>().unwrap().to_string(), "1m");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "0s",
            "s",
            "1",
            "-1s",
            "1.5s",
            "1 s",
            "99999999999999999999d",
        ] {
            assert_eq!(text.parse::<Span>(), Err(BadSetting::Span), "{text}");
        }
        for text in ["", "0B", "1KB", "KiB", "99999999999999999999MiB"] {
            assert_eq!(text.parse::<Size>(), Err(BadSetting::Size), "{text}");
        }
        for text in [
            "aws:",
            "aws:a b",
            "aws:#x",
            "aws:x#",
            "aws:arn:aws:s3:r:1:secret:x",
            "aws:arn:x",
        ] {
            assert_eq!(text.parse::<SecretRef>(), Err(BadSetting::AwsRef), "{text}");
        }
        for text in ["", "hunter2", "file:", "env:", "vault:x"] {
            let read = text.parse::<SecretRef>();
            assert_eq!(read, Err(BadSetting::SecretRef), "{text}");
        }
    }

    #[test]
    fn a_secret_in_aws_is_named_or_has_an_arn_that_says_its_region() {
        let read = |text: &str| match text.parse().unwrap() {
            SecretRef::Aws(reference) => reference,
            other => panic!("{other:?}"),
        };
        let named = read("aws:prod/zoho-mcp/keys#document");
        assert_eq!(named.id, "prod/zoho-mcp/keys");
        assert_eq!(named.field.as_deref(), Some("document"));
        assert_eq!(named.region(), None);
        assert_eq!(named.to_string(), "aws:prod/zoho-mcp/keys#document");
        let arn = "arn:aws-eusc:secretsmanager:eusc-de-east-1:123456789012:secret:keys-AbCdEf";
        let by_arn = read(&format!("aws:{arn}"));
        assert_eq!(
            (&*by_arn.id, by_arn.region()),
            (arn, Some("eusc-de-east-1"))
        );
    }
}
