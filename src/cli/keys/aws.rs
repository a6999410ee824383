//! The key document in AWS Secrets Manager. A write there cannot be made to depend on what was read
//! before, so each write is looked at again: what somebody else wrote meanwhile is put back in.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use uuid::Uuid;

use super::store::{Change, FULL, parse};
use crate::{
    auth::api_key::KeyDocument,
    secrets::{
        AwsError, AwsSecret, SecretError,
        aws::{self, AwsProblem, MAX_BYTES, Version},
    },
    setting::AwsRef,
};

pub(super) fn read(
    reference: &AwsRef,
    region: Option<String>,
) -> anyhow::Result<Option<KeyDocument>> {
    aws::block_on(async {
        let writer = Writer::open(reference, region).await?;
        Ok(writer.current().await?.document)
    })?
}

pub(super) fn update(
    reference: &AwsRef,
    region: Option<String>,
    change: Change<'_>,
) -> anyhow::Result<KeyDocument> {
    aws::block_on(async {
        let writer = Writer::open(reference, region).await?;
        writer.update(change).await
    })?
}

struct Writer<'a> {
    secret: AwsSecret,
    reference: &'a AwsRef,
}

/// A version, and what it holds.
struct Found {
    /// Empty when there is none.
    version: String,
    document: Option<KeyDocument>,
}

impl<'a> Writer<'a> {
    async fn open(reference: &'a AwsRef, region: Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            secret: AwsSecret::open(reference, region).await?,
            reference,
        })
    }

    async fn current(&self) -> anyhow::Result<Found> {
        match self.secret.current().await {
            Ok(version) => self.found(&version),
            Err(SecretError::Aws(AwsError {
                problem: AwsProblem::NotFound,
                ..
            })) => Ok(Found {
                version: String::new(),
                document: None,
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn found(&self, version: &Version) -> anyhow::Result<Found> {
        Ok(Found {
            version: version.id.clone(),
            document: parse(version.secret.bytes(), self.reference)?,
        })
    }

    async fn update(&self, change: Change<'_>) -> anyhow::Result<KeyDocument> {
        let mut base = self.current().await?;
        let mut undo = None;
        for _ in 0..TRIES {
            let next = match change(base.document.clone()) {
                Ok(next) => next,
                Err(refused) => {
                    // What this command wrote has taken the place of what somebody else wrote.
                    if let Some(theirs) = undo {
                        self.put(&base, &theirs).await?;
                    }
                    return Err(refused);
                }
            };
            let written = self.put(&base, &next).await?;
            tokio::time::sleep(settle()).await;
            let now = self.current().await.context(UNSEEN)?;
            if now.version != written {
                let now = self.taken_up(&base, &next, now).await?;
                if now.holds_changes(&base, &next) {
                    return Ok(now.document.unwrap_or(next));
                }
                base = now;
                undo = None;
                continue;
            }
            let before = self.secret.previous().await.context(UNSEEN)?;
            let before = before.as_ref().map(|version| self.found(version));
            match before.transpose()? {
                Some(Found { version, document }) if version != base.version => {
                    undo.clone_from(&document);
                    base = Found {
                        version: written,
                        document,
                    };
                }
                _ => return Ok(next),
            }
        }
        bail!("others keep changing {}; try again", self.reference)
    }

    /// Waits a moment for whoever wrote last to take up this change, as it is theirs to do.
    async fn taken_up(
        &self,
        base: &Found,
        next: &KeyDocument,
        mut now: Found,
    ) -> anyhow::Result<Found> {
        for _ in 0..PATIENCE {
            if now.holds_changes(base, next) {
                break;
            }
            tokio::time::sleep(settle()).await;
            now = self.current().await.context(UNSEEN)?;
        }
        Ok(now)
    }

    /// The version that it was written as.
    async fn put(&self, base: &Found, document: &KeyDocument) -> anyhow::Result<String> {
        document.to_json().context(FULL)?;
        let text = serde_json::to_string(document)?;
        ensure!(
            text.len() <= MAX_BYTES,
            "a secret holds 64 KiB at most; {FULL}"
        );
        let version = Uuid::new_v4().to_string();
        match self.secret.put(&text, &version).await {
            Err(error)
                if error.problem == AwsProblem::NotFound
                    && base.version.is_empty()
                    && !self.reference.is_arn() =>
            {
                self.secret.create(&text, &version).await?;
            }
            put => put?,
        }
        Ok(version)
    }
}

impl Found {
    /// Whether every key that the change touched is here as the change left it.
    fn holds_changes(&self, base: &Found, next: &KeyDocument) -> bool {
        let of = |document: &Option<KeyDocument>| {
            let keys = document.as_ref().map(|document| document.keys().to_vec());
            keys.unwrap_or_default()
        };
        let (here, before) = (of(&self.document), of(&base.document));
        next.keys()
            .iter()
            .all(|key| before.contains(key) || here.contains(key))
    }
}

/// For somebody who writes at the same moment to have written as well; not the same for both.
fn settle() -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    Duration::from_millis(250 + u64::from(random % 500))
}

const TRIES: usize = 12;
const PATIENCE: usize = 6;
const UNSEEN: &str =
    "it was written but could not be looked at again; `zoho-mcp keys list` shows what is there";
