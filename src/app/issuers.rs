//! The secrets and public keys that `[[auth.jwt]]` refers to: each is read again when it changes,
//! and the last good one of each counts until then.

use super::{chain, stamp::Stamp, tool_names};
use crate::{
    audit::Audit,
    auth::{Issuer, Tokens, jwt::check_keys},
    config::{Environment, Loaded},
    secrets::{self, Secret},
    setting::{AwsRef, SecretRef},
};

/// What is known of the issuers' secrets.
pub(super) struct Issuers {
    environment: Environment,
    /// The last good ones.
    known: Vec<(SecretRef, Secret)>,
    /// What was found in AWS most recently, or why it was not.
    fetched: Vec<(AwsRef, Result<Secret, String>)>,
    /// What the files looked like when they were last read.
    seen: Vec<Option<Stamp>>,
}

/// The issuers of a configuration that can be trusted, with what they refer to.
#[derive(Default)]
pub(super) struct Gathered {
    issuers: Vec<Issuer>,
    secrets: Vec<Option<Secret>>,
    /// What is wrong, although the last good one may stand in.
    pub(super) problems: Vec<String>,
    /// Whether nothing can stand in for something that is wrong on this machine.
    pub(super) is_lacking: bool,
    /// Whether a secret in AWS has still to be read for the first time.
    pub(super) is_waiting: bool,
}

impl Issuers {
    /// With what was read at the start.
    pub(super) fn new(
        loaded: &Loaded,
        secrets: Vec<Option<Secret>>,
        environment: Environment,
    ) -> Self {
        let issuers = loaded.config.auth.jwt.iter().zip(secrets);
        let known =
            issuers.filter_map(|(issuer, secret)| Some((issuer.secret()?.clone(), secret?)));
        Self {
            environment,
            known: known.collect(),
            fetched: Vec::new(),
            seen: stamps(loaded),
        }
    }

    /// Whether a file looks different.
    pub(super) fn have_changed(&self, running: &Loaded) -> bool {
        stamps(running) != self.seen
    }

    /// Takes note of what the files looked like before they were read.
    pub(super) fn saw(&mut self, stamps: Vec<Option<Stamp>>) {
        self.seen = stamps;
    }

    /// Forgets what a configuration that counts from now on does not refer to: a secret that was
    /// taken out and comes back has to be there.
    pub(super) fn keep_those_of(&mut self, loaded: &Loaded) {
        self.known.retain(|(known, _)| refer_to(loaded, known));
        self.fetched
            .retain(|(known, _)| refer_to(loaded, &SecretRef::Aws(known.clone())));
    }

    /// Takes note of what was found in AWS; says whether that is news.
    pub(super) fn found(&mut self, reference: &AwsRef, found: Result<Secret, String>) -> bool {
        let at = (self.fetched.iter()).position(|(known, _)| known == reference);
        let before = at.map(|at| self.fetched.swap_remove(at).1);
        let known = self.last_good(&SecretRef::Aws(reference.clone()));
        let is_news = match (&before, &found) {
            (Some(Err(before)), Err(now)) => before != now,
            (None | Some(Ok(_)), Ok(now)) => {
                known.is_none_or(|known| known.bytes() != now.bytes())
                    && !matches!(&before, Some(Ok(before)) if before.bytes() == now.bytes())
            }
            _ => true,
        };
        self.fetched.push((reference.clone(), found));
        is_news
    }

    /// Reads what is on this machine, and puts together what can be trusted.
    pub(super) fn gather(&mut self, loaded: &Loaded) -> Gathered {
        let mut gathered = Gathered::default();
        for (place, issuer) in loaded.config.auth.jwt.iter().enumerate() {
            let secret = match issuer.secret() {
                None => None,
                Some(reference) => {
                    if let Err(problem) = self.read(loaded, issuer, reference) {
                        let key = super::references::issuer_key(place, issuer);
                        gathered.problems.push(format!("{key}: {problem}"));
                    }
                    let fitting = self
                        .last_good(reference)
                        .filter(|good| check_keys(issuer, good).is_ok());
                    let Some(secret) = fitting.cloned() else {
                        match reference {
                            SecretRef::Aws(_) => gathered.is_waiting = true,
                            SecretRef::File(_) | SecretRef::Env(_) => gathered.is_lacking = true,
                        }
                        continue;
                    };
                    Some(secret)
                }
            };
            gathered.issuers.push(issuer.clone());
            gathered.secrets.push(secret);
        }
        gathered
    }

    /// Looks at one secret; it becomes the last good one if it can be used.
    fn read(
        &mut self,
        loaded: &Loaded,
        issuer: &Issuer,
        reference: &SecretRef,
    ) -> Result<(), String> {
        let secret = match reference {
            SecretRef::Aws(aws) => match self.fetched.iter().find(|(known, _)| known == aws) {
                None => return Ok(()),
                Some((_, found)) => found.clone()?,
            },
            _ => {
                let env = |name: &str| self.environment.get(name).cloned();
                secrets::read(reference, &loaded.base, &env).map_err(|error| chain(&error))?
            }
        };
        check_keys(issuer, &secret).map_err(|bad| {
            format!(
                "what {reference} holds cannot be used: {}; {}",
                chain(&bad),
                bad.remedy()
            )
        })?;
        self.known.retain(|(known, _)| known != reference);
        self.known.push((reference.clone(), secret));
        Ok(())
    }

    fn last_good(&self, reference: &SecretRef) -> Option<&Secret> {
        let mut known = self.known.iter();
        Some(&known.find(|(known, _)| known == reference)?.1)
    }
}

impl Gathered {
    /// The issuers as callers are checked with them.
    pub(super) fn tokens(self, before: &Tokens, audit: &Audit) -> Result<Tokens, String> {
        let tokens = Tokens::new(
            &self.issuers,
            self.secrets,
            &tool_names(),
            Some(before),
            audit,
        );
        tokens.map_err(|error| chain(&error))
    }
}

/// Whether an issuer of the configuration refers to it.
pub(super) fn refer_to(loaded: &Loaded, reference: &SecretRef) -> bool {
    let mut secrets = loaded.config.auth.jwt.iter().filter_map(Issuer::secret);
    secrets.any(|secret| secret == reference)
}

/// What the files that issuers refer to look like.
pub(super) fn stamps(loaded: &Loaded) -> Vec<Option<Stamp>> {
    let secrets = loaded.config.auth.jwt.iter().filter_map(Issuer::secret);
    secrets
        .map(|reference| Stamp::of_secret(reference, &loaded.base))
        .collect()
}
