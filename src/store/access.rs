//! What proves us to Redis, and Redis to us. It may change while the daemon runs.

use std::{fs, path::Path};

use secrecy::{ExposeSecret as _, SecretString};

use super::config::{BadStore, Config, Passwords};

/// User, passwords and certificate authority, as they are now.
pub struct Access {
    pub(super) username: Option<String>,
    pub(super) passwords: Passwords,
    /// In PEM.
    pub(super) authority: Option<Vec<u8>>,
}

impl Access {
    /// Reads the authority that the section names. `base` is the folder that its path starts from.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(config: &Config, base: &Path, passwords: &Passwords) -> Result<Self, BadStore> {
        let authority = config.ca.as_ref().map(|path| {
            let path = base.join(path);
            fs::read(&path).map_err(|source| BadStore::Ca { path, source })
        });
        Ok(Self {
            username: config.username.clone(),
            passwords: passwords.clone(),
            authority: authority.transpose()?,
        })
    }
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        self.username == other.username
            && self.authority == other.authority
            && text(&self.passwords.redis) == text(&other.passwords.redis)
            && text(&self.passwords.sentinel) == text(&other.passwords.sentinel)
    }
}

fn text(secret: &Option<SecretString>) -> Option<&str> {
    secret.as_ref().map(|secret| secret.expose_secret())
}
