//! TLS: the certificate that this daemon shows, and whose certificates it asks for. Files are read
//! again when they change; a bad one changes nothing.

mod authority;
mod expiry;
mod load;
mod problem;
mod shown;
mod trust;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use serde::Deserialize;

use super::ForwardedCert;
use crate::setting::Span;

pub use expiry::Expiring;
use load::{Files, Stamps};
pub use problem::BadTls;
pub(super) use shown::shown;
pub use trust::{Trust, TrustChanges, Untrusted};

/// `[server.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Config {
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub client_ca: Option<PathBuf>,
    pub client_crl: Option<PathBuf>,
    pub client_auth: ClientAuth,
    pub forwarded_client_cert: ForwardedCert,
    pub handshake_timeout: Span,
}

/// Whether a client has to show a certificate in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// None is asked for.
    Off,
    /// One is asked for, and has to be good when it is shown.
    Optional,
    /// No connection without one.
    Required,
}

/// The certificates of the moment, shared by everyone who needs them.
pub struct Tls {
    files: Option<Files>,
    server: Option<ArcSwap<ServerConfig>>,
    trust: Option<Arc<Trust>>,
    warnings: Vec<String>,
    /// When the files in use run out.
    terms: ArcSwap<Vec<expiry::Term>>,
    seen: Mutex<Seen>,
}

/// What the files looked like when they were last used.
#[derive(Default)]
struct Seen {
    stamps: Stamps,
    digest: [u8; 32],
    /// Why the files of the last look are not used, and what they looked like.
    problem: Option<(Stamps, String)>,
}

impl Config {
    /// Whether a client can show a certificate: in the handshake, or through a proxy.
    pub fn takes_certificates(&self) -> bool {
        let asks =
            self.client_auth != ClientAuth::Off || self.forwarded_client_cert != ForwardedCert::Off;
        asks && self.client_ca.is_some()
    }

    /// Checks that the keys fit together.
    ///
    /// # Errors
    /// The first key that needs another.
    pub fn check(&self) -> Result<(), BadTls> {
        let needs = |key, other| Err(BadTls::Incomplete { key, other });
        match (&self.cert, &self.key, &self.client_ca) {
            (Some(_), None, _) => return needs("server.tls.cert", "server.tls.key"),
            (None, Some(_), _) => return needs("server.tls.key", "server.tls.cert"),
            (None, None, _) if self.client_auth != ClientAuth::Off => {
                return needs("server.tls.client_auth", "server.tls.cert");
            }
            (_, _, None) if self.client_auth != ClientAuth::Off => {
                return needs("server.tls.client_auth", "server.tls.client_ca");
            }
            (_, _, None) if self.client_crl.is_some() => {
                return needs("server.tls.client_crl", "server.tls.client_ca");
            }
            (_, _, None) if self.forwarded_client_cert != ForwardedCert::Off => {
                return needs("server.tls.forwarded_client_cert", "server.tls.client_ca");
            }
            _ => {}
        }
        Ok(())
    }
}

impl Tls {
    /// No TLS, and no certificate is believed.
    pub fn off() -> Self {
        Self {
            files: None,
            server: None,
            trust: None,
            warnings: Vec::new(),
            terms: ArcSwap::default(),
            seen: Mutex::default(),
        }
    }

    /// Reads the files that the configuration names; paths are relative to `base`. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// Which file of which key cannot be used, and what to do.
    pub fn load(config: &Config, base: &Path, now: Timestamp) -> Result<Self, BadTls> {
        config.check()?;
        let Some(files) = Files::of(config, base) else {
            return Ok(Self::off());
        };
        let stamps = files.stamps();
        let read = files.read()?;
        let loaded = files.load(&read, now)?;
        Ok(Self {
            server: loaded.server.map(ArcSwap::from),
            trust: loaded
                .verifier
                .map(|verifier| Arc::new(Trust::new(verifier))),
            warnings: loaded.warnings,
            terms: ArcSwap::from_pointee(loaded.terms),
            seen: Mutex::new(Seen {
                stamps,
                digest: read.digest(),
                problem: None,
            }),
            files: Some(files),
        })
    }

    /// Whether clients are met with TLS.
    pub fn is_on(&self) -> bool {
        self.server.is_some()
    }

    /// `https`, or `http` without a certificate.
    pub fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }

    /// Whom client certificates come from, where a CA is configured.
    pub fn trust(&self) -> Option<&Arc<Trust>> {
        self.trust.as_ref()
    }

    /// What was legal at the start and yet needs an operator soon.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether there are files that can run out.
    pub fn is_configured(&self) -> bool {
        self.files.is_some()
    }

    /// What of the files in use has run out, or soon will.
    pub fn expiring(&self, now: Timestamp) -> Vec<Expiring> {
        let terms = self.terms.load();
        terms.iter().filter_map(|term| term.at(now)).collect()
    }

    /// Whether the files of the last look cannot be used, and those before them serve.
    pub fn are_refused(&self) -> bool {
        self.seen().problem.is_some()
    }

    /// For the next handshake.
    pub(super) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.server.as_ref().map(ArcSwap::load_full)
    }

    /// Reads the files again if they look different, or if they could not be used at the last look.
    /// `None` when there is nothing new, or nothing but the same problem.
    pub fn reload_if_changed(&self, now: Timestamp) -> Option<Result<Vec<String>, BadTls>> {
        let files = self.files.as_ref()?;
        let stamps = files.stamps();
        {
            let seen = self.seen();
            if seen.stamps == stamps && seen.problem.is_none() {
                return None;
            }
        }
        let read = files.read();
        if let Ok(read) = &read {
            let mut seen = self.seen();
            if seen.digest == read.digest() && seen.problem.is_none() {
                seen.stamps = stamps;
                return None;
            }
        }
        let before = self.seen().problem.clone();
        let reloaded = self.take(files, stamps, read, now);
        match &reloaded {
            Err(_) if self.seen().problem == before => None,
            _ => Some(reloaded),
        }
    }

    /// Reads the files again, whether they look different or not. Everything is checked before any
    /// of it counts: handshakes from now on see the new certificates, and no session of before can
    /// be resumed. Returns warnings, or `None` when there are no files.
    pub fn reload(&self, now: Timestamp) -> Option<Result<Vec<String>, BadTls>> {
        let files = self.files.as_ref()?;
        let stamps = files.stamps();
        Some(self.take(files, stamps, files.read(), now))
    }

    /// What the files looked like is remembered only once they are used: a certificate that is not
    /// valid yet, or a file that cannot be read for a moment, is tried again.
    fn take(
        &self,
        files: &Files,
        stamps: Stamps,
        read: Result<load::Read, BadTls>,
        now: Timestamp,
    ) -> Result<Vec<String>, BadTls> {
        let loaded = read.and_then(|read| Ok((read.digest(), files.load(&read, now)?)));
        let (digest, loaded) = match loaded {
            Ok(loaded) => loaded,
            Err(bad) => {
                self.seen().problem = Some((stamps, format!("{bad:?}")));
                return Err(bad);
            }
        };
        if let (Some(current), Some(server)) = (&self.server, loaded.server) {
            current.store(server);
        }
        // After the other, so that whoever is cut off by this meets the new one.
        if let (Some(trust), Some(verifier)) = (&self.trust, loaded.verifier) {
            trust.replace(verifier);
        }
        self.terms.store(Arc::new(loaded.terms));
        *self.seen() = Seen {
            stamps,
            digest,
            problem: None,
        };
        Ok(loaded.warnings)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
