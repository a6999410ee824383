//! Where the keys of one issuer come from.

use std::{sync::Arc, time::Duration};

use tokio_util::task::AbortOnDropHandle;

use super::{
    BadToken, Compact,
    config::{Issuer, jwks_url},
    jwks::Jwks,
    key::{Key, UnusableKey},
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
            (None, None) => Err(Why::NoKey),
        };
        keys.map_err(|why| UnusableIssuer {
            issuer: issuer.issuer.clone(),
            why,
        })
    }

    /// The key for a token, and the generation that it belongs to.
    pub(super) async fn find(&self, token: &Compact<'_>) -> Result<(Arc<Key>, u64), BadToken> {
        match self {
            Self::Fixed(keys) => Ok((signer(keys, token)?.clone(), 0)),
            Self::Fetched(Fetched { jwks, .. }) => {
                jwks.find(token.key_id.as_deref(), token.algorithm).await
            }
        }
    }

    /// Whether the key is trusted now.
    pub(super) fn holds(&self, print: &[u8; 32]) -> bool {
        match self {
            Self::Fixed(keys) => keys.iter().any(|key| key.print == *print),
            Self::Fetched(Fetched { jwks, .. }) => jwks.holds(print),
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

fn fixed(issuer: &Issuer, secret: &Secret) -> Result<Box<[Arc<Key>]>, Why> {
    let keys = match issuer.hs256_secret {
        Some(_) => vec![Key::of_secret(secret.bytes().trim_ascii_end())?],
        None => Key::all_of_pem(secret.bytes())?,
    };
    let fits = |key: &Key| issuer.algorithms().iter().any(|one| key.fits(*one));
    match keys.iter().all(fits) {
        true => Ok(keys.into_iter().map(Arc::new).collect()),
        false => Err(Why::Algorithms),
    }
}

/// The key that signed the token; where only one can have, whether it did is left to be found out.
fn signer<'a>(keys: &'a [Arc<Key>], token: &Compact<'_>) -> Result<&'a Arc<Key>, BadToken> {
    let mut fitting = keys.iter().filter(|key| key.fits(token.algorithm));
    let first = fitting.next().ok_or(BadToken::UnknownKey)?;
    let signed = |key: &&Arc<Key>| key.signed(token.signed, token.signature, token.algorithm);
    match fitting.clone().next() {
        None => Ok(first),
        Some(_) if signed(&first) => Ok(first),
        Some(_) => Ok(fitting.find(signed).unwrap_or(first)),
    }
}

fn fetched(
    url: &str,
    issuer: &Issuer,
    before: Option<&Source>,
    audit: &Audit,
) -> Result<Fetched, Why> {
    let url = jwks_url(url).ok_or(Why::NoKey)?;
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
    .map_err(|_| Why::Http)?;
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
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("its key was not read")]
    NoKey,
    #[error("a key of it fits none of the algorithms that are listed")]
    Algorithms,
    #[error("no HTTP client could be made")]
    Http,
    #[error(transparent)]
    Key(#[from] UnusableKey),
}

const CONNECT: Duration = Duration::from_secs(2);
