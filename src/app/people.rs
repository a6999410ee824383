//! The credentials of people, read again when they change.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256};

use super::{chain, stamp::Stamp};
use crate::{
    config::{Environment, Loaded},
    secrets::{self, Secret},
    setting::SecretRef,
    zoho::Zoho,
};

/// The document with people's credentials, and who uses it.
pub(super) struct People {
    zoho: Zoho,
    environment: Environment,
    source: SecretRef,
    base: PathBuf,
    seen: Option<Stamp>,
    /// Of what was used last.
    digest: Option<[u8; 32]>,
}

impl People {
    /// `read` is what the document held at the start.
    pub(super) fn of(
        loaded: &Loaded,
        zoho: Zoho,
        environment: Environment,
        read: Option<&SecretSlice<u8>>,
    ) -> Option<Self> {
        let mut people = Self {
            zoho,
            environment,
            source: loaded.config.zoho.user_credentials.clone()?,
            base: loaded.base.clone(),
            seen: None,
            digest: read.map(|read| Sha256::digest(read.expose_secret()).into()),
        };
        people.seen = people.stamp();
        Some(people)
    }

    pub(super) fn source(&self) -> &SecretRef {
        &self.source
    }

    pub(super) fn has_changed(&self) -> bool {
        self.stamp() != self.seen
    }

    /// Reads it again, where it is on this machine.
    pub(super) fn read(&mut self) -> Option<Result<Secret, String>> {
        if matches!(self.source, SecretRef::Aws(_)) {
            return None;
        }
        // Forgotten, so that whoever asks hears that it was taken.
        self.digest = None;
        self.seen = self.stamp();
        let env = |name: &str| self.environment.get(name).cloned();
        let read = secrets::read(&self.source, &self.base, &env);
        Some(read.map_err(|error| chain(&error)))
    }

    /// Takes another document, and says whether it is another. Who was in the document before and
    /// is in it still stays signed in.
    pub(super) fn replace(&mut self, secret: &Secret) -> Result<bool, String> {
        let digest = Sha256::digest(secret.bytes()).into();
        if self.digest == Some(digest) {
            return Ok(false);
        }
        let replaced = self.zoho.replace_people(secret.bytes());
        replaced.map_err(|bad| bad.to_string())?;
        self.digest = Some(digest);
        Ok(true)
    }

    fn stamp(&self) -> Option<Stamp> {
        Stamp::of_secret(&self.source, &self.base)
    }
}
