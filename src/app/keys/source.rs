//! The place that a key document comes from, and what is known of it already.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::{
    app::stamp::Stamp,
    auth::api_key::{BadDocument, KeyDocument, Published},
    config::{Environment, Loaded},
    secrets::{self, AwsSecret, Secret, SecretError, aws::Version},
    setting::{AwsRef, SecretRef},
};

/// The place that a key document comes from.
pub struct KeySource {
    reference: SecretRef,
    base: PathBuf,
    environment: Environment,
    overlap: SignedDuration,
    /// Opened at the first look.
    aws: Option<AwsSecret>,
    last: Option<Last>,
    /// Why the version before could not be read, as the operational log has it.
    unread: Option<String>,
}

/// What the last good look found.
struct Last {
    /// As it was found in a file or in the environment.
    bytes: Vec<u8>,
    document: KeyDocument,
    aws: Option<AwsVersion>,
}

/// A version in AWS, and the document before it.
struct AwsVersion {
    id: String,
    previous: Option<KeyDocument>,
    /// How long that counts.
    until: Timestamp,
    /// Whether there is nothing more to find out about it.
    is_settled: bool,
    /// Whether the document before it was asked for.
    is_asked: bool,
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadKeys {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("{place}: {problem}")]
    Document {
        place: String,
        problem: BadDocument,
        /// Whether somebody may mend it while the daemon waits.
        may_pass: bool,
    },
}

impl BadKeys {
    /// Whether waiting can help at the start.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Secret(SecretError::Aws(error)) => error.may_pass(),
            Self::Secret(_) => false,
            Self::Document { may_pass, .. } => *may_pass,
        }
    }
}

impl KeySource {
    /// The one that the configuration names.
    pub fn new(loaded: &Loaded, environment: &Environment) -> Self {
        let config = &loaded.config.auth.api_keys;
        let overlap = config.previous_overlap.duration();
        Self {
            reference: config.source.clone(),
            base: loaded.base.clone(),
            environment: environment.clone(),
            overlap: SignedDuration::try_from(overlap).unwrap_or(SignedDuration::MAX),
            aws: None,
            last: None,
            unread: None,
        }
    }

    /// Reads the keys; `None` when they are as they were at the last good look.
    ///
    /// # Errors
    /// What is wrong with the place or with the document.
    pub async fn look(&mut self, now: Timestamp) -> Result<Option<Published>, BadKeys> {
        match self.reference.clone() {
            SecretRef::Aws(reference) => {
                let aws = self.open(&reference).await?;
                self.look_into_aws(&aws, now).await
            }
            reference => self.look_here(&reference),
        }
    }

    /// Whether the last look left something out that the next one may find at once.
    pub(super) fn has_more(&self) -> bool {
        let version = self.last.as_ref().and_then(|last| last.aws.as_ref());
        version.is_some_and(|version| !version.is_asked)
    }

    /// The same place, to be looked at from another runtime.
    pub fn moved(self) -> Self {
        Self { aws: None, ..self }
    }

    /// What tells cheaply that a file has changed; `None` for what is no file.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        Stamp::of_secret(&self.reference, &self.base)
    }

    async fn open(&mut self, reference: &AwsRef) -> Result<AwsSecret, SecretError> {
        if let Some(aws) = &self.aws {
            return Ok(aws.clone());
        }
        let region = secrets::aws::region(&|name| self.environment.get(name).cloned());
        let aws = AwsSecret::open(reference, region).await?;
        self.aws = Some(aws.clone());
        Ok(aws)
    }

    fn look_here(&mut self, reference: &SecretRef) -> Result<Option<Published>, BadKeys> {
        let env = |name: &str| self.environment.get(name).cloned();
        let secret = secrets::read(reference, &self.base, &env)?;
        let known = self.last.as_ref();
        if known.is_some_and(|last| last.bytes == secret.bytes()) {
            return Ok(None);
        }
        if let Some(warning) = &secret.warning {
            tracing::warn!("auth.api_keys.source: {warning}");
        }
        let document = self.parse(&secret)?;
        self.last = Some(Last {
            bytes: secret.bytes().to_vec(),
            document: document.clone(),
            aws: None,
        });
        Ok(Some(document.into()))
    }

    async fn look_into_aws(
        &mut self,
        aws: &AwsSecret,
        now: Timestamp,
    ) -> Result<Option<Published>, BadKeys> {
        let current = aws.current().await?;
        let known = self.last.as_ref().and_then(|last| last.aws.as_ref());
        let known = known.filter(|known| known.id == current.id);
        if known.is_some_and(|known| known.is_settled || known.until <= now) {
            return Ok(None);
        }
        let document = self.parse(&current.secret)?;
        let until = known.map_or_else(|| self.overlap_end(&current, now), |known| known.until);
        // New keys do not wait for the document before them: what served until now stands in.
        let is_asked = known.is_some() || self.last.is_none();
        let (previous, is_settled) = match (until > now, is_asked) {
            (true, true) => {
                let (previous, unread) = self.previous(aws, &current.id).await;
                let is_read = unread.is_none();
                let before = std::mem::replace(&mut self.unread, unread);
                if let Some(problem) = self.unread.as_ref().filter(|_| before != self.unread) {
                    tracing::warn!(problem, "the keys of the version before are not known");
                }
                (previous, is_read)
            }
            (true, false) => (self.served(&current.id), false),
            (false, _) => (None, true),
        };
        if known.is_some_and(|known| !is_settled || known.previous == previous) {
            self.asked(is_settled);
            return Ok(None);
        }
        let published = Published {
            current: document.clone(),
            previous: previous.clone().map(|previous| (previous, until)),
        };
        self.last = Some(Last {
            bytes: Vec::new(),
            document,
            aws: Some(AwsVersion {
                id: current.id,
                previous,
                until,
                is_settled,
                is_asked: is_asked || is_settled,
            }),
        });
        Ok(Some(published))
    }

    /// A change that was seen happened now; before that, only the version's age is known.
    fn overlap_end(&self, current: &Version, now: Timestamp) -> Timestamp {
        let since = match &self.last {
            Some(_) => now,
            None => current.created.unwrap_or(now).min(now),
        };
        since.saturating_add(self.overlap).unwrap_or(now)
    }

    fn asked(&mut self, is_settled: bool) {
        let version = self.last.as_mut().and_then(|last| last.aws.as_mut());
        if let Some(version) = version {
            (version.is_asked, version.is_settled) = (true, is_settled);
        }
    }

    /// What served until the version `current` came.
    fn served(&self, current: &str) -> Option<KeyDocument> {
        match self.last.as_ref()? {
            Last {
                aws: Some(version), ..
            } if version.id == current => version.previous.clone(),
            Last { document, .. } => Some(document.clone()),
        }
    }

    /// What the version before holds, or why it could not be asked for. Where that is unreadable,
    /// what served until now stands in.
    async fn previous(
        &self,
        aws: &AwsSecret,
        current: &str,
    ) -> (Option<KeyDocument>, Option<String>) {
        match aws.previous().await {
            Ok(None) => (None, None),
            Ok(Some(version)) => {
                let document = KeyDocument::parse(version.secret.bytes()).ok();
                (document.or_else(|| self.served(current)), None)
            }
            Err(error) => (self.served(current), Some(error.to_string())),
        }
    }

    fn parse(&self, secret: &Secret) -> Result<KeyDocument, BadKeys> {
        KeyDocument::parse(secret.bytes()).map_err(|problem| BadKeys::Document {
            place: self.reference.to_string(),
            problem,
            may_pass: matches!(self.reference, SecretRef::Aws(_)),
        })
    }
}
