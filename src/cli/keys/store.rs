//! Where the key document is kept: in a file, or in AWS Secrets Manager. It is changed by one
//! command at a time and never by halves.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, bail};

use super::aws;
use crate::{
    auth::api_key::{BadDocument, KeyDocument},
    config::Environment,
    secrets::{self, file},
    setting::{AwsRef, BadSetting},
};

/// Where the key document is.
#[derive(Clone, Debug)]
pub(super) enum Store {
    File(PathBuf),
    Aws(AwsRef),
}

/// How a command changes the document; asked again when somebody else changed it meanwhile, who may
/// have kept this change already.
pub(super) type Change<'a> =
    &'a (dyn Fn(Option<KeyDocument>) -> anyhow::Result<KeyDocument> + Sync);

impl Store {
    /// `None` when there is no document, or nothing in it.
    pub(super) fn read(&self, environment: &Environment) -> anyhow::Result<Option<KeyDocument>> {
        match self {
            Self::File(path) => read(path),
            Self::Aws(reference) => aws::read(reference, region(environment)),
        }
    }

    /// Changes the document, and gives it as it is then.
    pub(super) fn update(
        &self,
        environment: &Environment,
        change: Change<'_>,
    ) -> anyhow::Result<KeyDocument> {
        match self {
            Self::File(path) => update(path, change),
            Self::Aws(reference) => aws::update(reference, region(environment), change),
        }
    }

    pub(super) fn none_yet(&self) -> String {
        format!(
            "no keys are in {self} yet; make one with: zoho-mcp keys new --client NAME --store {self}"
        )
    }
}

/// As it can be given to `--store` again.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Aws(reference) => reference.fmt(f),
        }
    }
}

impl FromStr for Store {
    type Err = BadStore;

    fn from_str(text: &str) -> Result<Self, BadStore> {
        match text.split_once(':') {
            Some(("aws", reference)) => match reference.parse::<AwsRef>()? {
                AwsRef { field: Some(_), .. } => Err(BadStore::Field),
                reference => Ok(Self::Aws(reference)),
            },
            Some(("env", _)) => Err(BadStore::Environment),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("file", _)) => Err(BadStore::Nothing),
            _ if text.is_empty() => Err(BadStore::Nothing),
            _ => Ok(Self::File(text.into())),
        }
    }
}

/// A place that keys cannot be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadStore {
    #[error("name a file, or a secret as aws:NAME_OR_ARN")]
    Nothing,
    #[error("the environment cannot be written to; keep the document in a file and copy it there")]
    Environment,
    #[error("a field of a secret cannot be written to; give the keys a secret of their own")]
    Field,
    #[error(transparent)]
    Reference(#[from] BadSetting),
}

fn region(environment: &Environment) -> Option<String> {
    secrets::aws::region(&|name| environment.get(name).cloned())
}

fn read(path: &Path) -> anyhow::Result<Option<KeyDocument>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot read {}", path.display()))?,
    };
    parse(&bytes, &path.display())
}

/// A document that somebody else wrote, or damaged.
pub(super) fn parse(bytes: &[u8], place: &dyn fmt::Display) -> anyhow::Result<Option<KeyDocument>> {
    if matches!(bytes.trim_ascii(), b"" | b"{}") {
        return Ok(None);
    }
    match KeyDocument::parse(bytes) {
        // What `deploy/aws/secrets.yaml` begins with.
        Err(BadDocument::Empty) => Ok(None),
        read => read
            .map(Some)
            .with_context(|| format!("{place} was left as it is; mend it or restore a copy")),
    }
}

fn update(path: &Path, change: Change<'_>) -> anyhow::Result<KeyDocument> {
    if path.file_name().is_none() {
        bail!("--store needs the name of a file");
    }
    let shown = path.display();
    let _lock = file::lock(path)
        .with_context(|| format!("cannot lock {shown}; is its folder there, and writable?"))?;
    let document = change(read(path)?)?;
    let bytes = document.to_json().context(FULL)?;
    file::replace(path, &bytes)
        .with_context(|| format!("cannot write {shown}; nothing was changed"))?;
    Ok(document)
}

pub(super) const FULL: &str =
    "nothing was changed; delete keys that were ended from the document first";
/// One byte more than a document may have.
const MAX_BYTES: u64 = (1 << 20) + 1;
