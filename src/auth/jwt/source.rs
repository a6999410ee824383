//! Where the keys of one issuer come from.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use tokio_util::task::AbortOnDropHandle;

use super::{
    BadToken, Compact,
    config::{Issuer, jwks_url},
    jwks::Jwks,
    key::{self, Key, UnusableKey},
};
use crate::{
    audit::Audit,
    secrets::Secret,
    zoho::{HttpSetup, http_client},
};

/// Keys that the configuration names, or a key set that is fetched.
pub(super) enum Source {
    Fixed(Box<[Arc<Key>]>),
    Fetched(Fetched),
}

#[derive(Clone)]
pub(super) struct Fetched {
    jwks: Arc<Jwks>,
    /// Ends with the last configuration that names the address.
    _fresh: Arc<AbortOnDropHandle<()>>,
}

impl Source {
    /// What the issuer's configuration says, with the secret that it refers to. A key set that was
    /// fetched from the same address before is kept.
    pub(super) fn of(
        issuer: &Issuer,
        secret: Option<Secret>,
        before: Option<&Self>,
        audit: &Audit,
    ) -> Result<Self, UnusableIssuer> {
        let keys = match (&issuer.jwks, secret) {
            (Some(url), _) => fetched(url, issuer, before, audit).map(Self::Fetched),
            (None, Some(secret)) => fixed(issuer, &secret).map(Self::Fixed),
            (None, None) => Err(UnusableKeys::NoKey),
        };
        keys.map_err(|why| UnusableIssuer {
            issuer: issuer.issuer.clone(),
            why,
        })
    }

    /// The key that signed a token, and the generation that it belongs to. Which of a file's keys
    /// a token names is not known: they have no ids.
    pub(super) async fn signer(&self, token: &Compact<'_>) -> Result<(Arc<Key>, u64), BadToken> {
        match self {
            Self::Fixed(keys) => Ok((key::signer(keys, token, None)?.clone(), 0)),
            Self::Fetched(Fetched { jwks, .. }) => jwks.signer(token).await,
        }
    }

    /// Whether the key is trusted now, and for that algorithm.
    pub(super) fn holds(&self, print: &[u8; 32], algorithm: Algorithm) -> bool {
        let same = |key: &Arc<Key>| key.print == *print && key.fits(algorithm);
        match self {
            Self::Fixed(keys) => keys.iter().any(same),
            Self::Fetched(Fetched { jwks, .. }) => jwks.keys().iter().any(same),
        }
    }

    /// Whether there is any key.
    pub(super) fn are_there(&self) -> bool {
        match self {
            Self::Fixed(keys) => !keys.is_empty(),
            Self::Fetched(Fetched { jwks, .. }) => !jwks.keys().is_empty(),
        }
    }

    /// Changes with the keys; none while there are none.
    pub(super) fn generation(&self) -> Option<u64> {
        match self {
            Self::Fixed(_) => Some(0),
            Self::Fetched(Fetched { jwks, .. }) => jwks.generation(),
        }
    }

    /// The key set, where it is fetched.
    pub(super) fn fetched(&self) -> Option<&Arc<Jwks>> {
        match self {
            Self::Fixed(_) => None,
            Self::Fetched(Fetched { jwks, .. }) => Some(jwks),
        }
    }
}

/// Whether what an issuer's configuration refers to holds keys that it can be trusted by.
///
/// # Errors
/// What is wrong with them.
pub fn check(issuer: &Issuer, secret: &Secret) -> Result<(), UnusableKeys> {
    fixed(issuer, secret).map(drop)
}

fn fixed(issuer: &Issuer, secret: &Secret) -> Result<Box<[Arc<Key>]>, UnusableKeys> {
    let keys = match issuer.hs256_secret {
        Some(_) => vec![Key::of_secret(secret.line())?],
        None => Key::all_of_pem(secret.bytes())?,
    };
    let fits = |key: &Key| issuer.algorithms().iter().any(|one| key.fits(*one));
    match keys.iter().all(fits) {
        true => Ok(keys.into_iter().map(Arc::new).collect()),
        false => Err(UnusableKeys::Algorithms),
    }
}

fn fetched(
    url: &str,
    issuer: &Issuer,
    before: Option<&Source>,
    audit: &Audit,
) -> Result<Fetched, UnusableKeys> {
    let url = jwks_url(url).ok_or(UnusableKeys::NoKey)?;
    if let Some(Source::Fetched(kept)) = before
        && kept.jwks.url == url
    {
        return Ok(kept.clone());
    }
    let https = url.scheme() == "https";
    let http = http_client(&HttpSetup {
        connect_timeout: CONNECT,
        idle: 1,
        https_only: https,
        authorities: https,
    })
    .map_err(|_| UnusableKeys::Http)?;
    let before = before.and_then(Source::fetched).map(|jwks| &**jwks);
    let jwks = Jwks::new(url, issuer.issuer.clone(), http, audit.clone(), before);
    let fresh = tokio::spawn(jwks.clone().keep_fresh());
    Ok(Fetched {
        jwks,
        _fresh: Arc::new(AbortOnDropHandle::new(fresh)),
    })
}

/// An issuer that cannot be trusted as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("auth.jwt with issuer {issuer}")]
pub struct UnusableIssuer {
    issuer: Arc<str>,
    #[source]
    why: UnusableKeys,
}

/// Why an issuer's keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UnusableKeys {
    #[error("its key was not read")]
    NoKey,
    #[error("a key of it fits none of the algorithms that are listed")]
    Algorithms,
    #[error("no HTTP client could be made")]
    Http,
    #[error(transparent)]
    Key(#[from] UnusableKey),
}

impl UnusableKeys {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NoKey => "set jwks, public_key or hs256_secret",
            Self::Algorithms => "list an algorithm for each kind of key, or take the key out",
            Self::Http => "let this process open connections",
            Self::Key(UnusableKey::ShortSecret) => {
                "share a longer one with the issuer: `openssl rand -hex 32` makes one"
            }
            Self::Key(UnusableKey::RsaSize) => "have the issuer make a key of 2048 bits or more",
            Self::Key(UnusableKey::TooMany) => "take out those that do not sign any more",
            Self::Key(UnusableKey::Pem) => {
                "put the issuer's public keys there, each from -----BEGIN PUBLIC KEY----- to its end"
            }
        }
    }
}

const CONNECT: Duration = Duration::from_secs(2);
