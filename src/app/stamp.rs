//! Whether a file has changed, for one `stat` call.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use crate::setting::SecretRef;

/// What tells cheaply that a file has changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl Stamp {
    /// Of what a reference leads to, relative to `base`; `None` for what is no file.
    pub(super) fn of_secret(reference: &SecretRef, base: &Path) -> Option<Self> {
        match reference {
            SecretRef::File(path) => Self::of(&base.join(path)),
            SecretRef::Env(_) | SecretRef::Aws(_) => None,
        }
    }

    /// `None` when there is no such file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok()?,
            length: metadata.len(),
        })
    }
}

/// How often files are looked at: one `stat` call each.
pub(super) const GLANCE: Duration = Duration::from_secs(2);
