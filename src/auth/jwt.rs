//! Bearer tokens: JWTs of the issuers that the configuration trusts.

mod bad;
mod claims;
mod compact;
pub mod config;
mod jwks;
mod key;
mod source;
mod strict;
mod verified;

use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use sha2::{Digest as _, Sha256};

use self::{
    claims::{Claims, Expected, Words},
    config::{Issuer, ScopesCount},
    source::Source,
    verified::Verified,
};
use super::{
    caller::User,
    freshness::Freshness,
    scopes::{Scopes, any_is_ours},
};
use crate::{audit::Audit, secrets::Secret};

pub use bad::{BadToken, Rejected};
pub use compact::Compact;
pub use jwks::FetchFailed;
pub use key::UnusableKey;
pub use source::{UnusableIssuer, UnusableKeys, check as check_keys};

/// The issuers, and the tokens of theirs that were verified.
#[derive(Default)]
pub struct Tokens {
    issuers: Vec<Arc<Trusted>>,
    verified: Verified,
}

/// An issuer and its keys.
struct Trusted {
    config: Issuer,
    types: Vec<String>,
    keys: Source,
    /// The names of tools, which scopes may be.
    tools: Arc<[&'static str]>,
}

/// A token that was found good.
#[derive(Clone, Debug)]
pub struct Token {
    /// The name under `[clients]`.
    pub client: Arc<str>,
    /// Whom it stands for.
    pub user: User,
    /// What it leaves of the role.
    pub scopes: Option<Scopes>,
    /// The id of the key that signed it.
    pub key_id: Option<Arc<str>>,
    /// SHA-256 of the certificate that its holder has to prove.
    pub certificate: Option<[u8; 32]>,
    /// What has to stay true.
    pub standing: TokenStanding,
    generation: u64,
    last_second: i64,
}

/// What has to stay true for a token to be good: all that it was judged by, and what that came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStanding {
    issuer: Arc<str>,
    key: [u8; 32],
    expires: Timestamp,
    facts: Arc<Facts>,
    verdict: Verdict,
}

/// What a token says, apart from its issuer and its signature.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    algorithm: Algorithm,
    kind: Box<str>,
    claims: Claims,
}

/// What an issuer's configuration makes of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    client: Arc<str>,
    scopes: Option<Scopes>,
}

impl TokenStanding {
    /// When the token ends by itself.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl Tokens {
    /// Trusts the issuers of a configuration. `secrets` are what they refer to, in their order.
    /// `tools` are the names that a scope may be.
    /// Keys that `before` has fetched are taken over. Fetches keys in the background, so it has to
    /// be called within a runtime where an issuer has a JWKS.
    ///
    /// # Errors
    /// The issuer whose key cannot be used.
    pub fn new(
        issuers: &[Issuer],
        secrets: Vec<Option<Secret>>,
        tools: &Arc<[&'static str]>,
        before: Option<&Self>,
        audit: &Audit,
    ) -> Result<Self, UnusableIssuer> {
        // Said here rather than left to the features that dependencies turn on: with two providers
        // to choose from, the library panics at the first token. A second time changes nothing.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let mut trusted = Vec::with_capacity(issuers.len());
        for (issuer, secret) in issuers.iter().zip(secrets) {
            let kept = before.and_then(|before| before.issuer(&issuer.issuer));
            let kept = kept.map(|trusted| &trusted.keys);
            let keys = Source::of(issuer, secret, kept, audit)?;
            trusted.push(Arc::new(Trusted {
                types: issuer
                    .types
                    .iter()
                    .map(|kind| compact::kind(kind))
                    .collect(),
                config: issuer.clone(),
                keys,
                tools: tools.clone(),
            }));
        }
        Ok(Self {
            issuers: trusted,
            verified: Verified::default(),
        })
    }

    /// Whether any issuer is configured.
    pub fn are_accepted(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Whether there are keys to verify anybody's token with.
    pub fn can_be_verified(&self) -> bool {
        let mut issuers = self.issuers.iter();
        issuers.any(|trusted| trusted.keys.are_there())
    }

    /// The issuers that clients can find a login at: those that publish their keys. Whoever shares a
    /// secret or a file with us makes tokens for programs of its own.
    pub fn authorization_servers(&self) -> Vec<Arc<str>> {
        let issuers = self.issuers.iter();
        let published = issuers.filter(|trusted| trusted.keys.fetched().is_some());
        published
            .map(|trusted| &trusted.config.issuer)
            .filter(|issuer| issuer.starts_with("https://") || issuer.starts_with("http://"))
            .cloned()
            .collect()
    }

    /// Whether scopes say anything to any issuer's tokens.
    pub fn have_scopes(&self) -> bool {
        let mut issuers = self.issuers.iter();
        issuers.any(|trusted| trusted.config.scopes != ScopesCount::Never)
    }

    /// Scopes that an issuer asks of every token.
    pub fn required_scopes(&self) -> Vec<Box<str>> {
        let issuers = self.issuers.iter();
        let mut scopes: Vec<_> = issuers
            .flat_map(|trusted| trusted.config.required_scopes.iter().cloned())
            .collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// How fresh each issuer's key set is, where it is fetched.
    pub fn freshness(&self) -> impl Iterator<Item = (&Arc<str>, &Freshness)> {
        let issuers = self.issuers.iter();
        issuers.filter_map(|trusted| {
            let jwks = trusted.keys.fetched()?;
            Some((&trusted.config.issuer, jwks.freshness()))
        })
    }

    /// Has all key sets fetched again soon.
    pub fn refresh(&self) {
        for trusted in &self.issuers {
            if let Some(jwks) = trusted.keys.fetched() {
                jwks.refresh();
            }
        }
    }

    /// Fetches each key set once and says how many keys it has, by issuer.
    pub async fn reach(&self) -> Vec<(Arc<str>, Result<usize, FetchFailed>)> {
        let mut reached = Vec::new();
        for trusted in &self.issuers {
            if let Some(jwks) = trusted.keys.fetched() {
                reached.push((trusted.config.issuer.clone(), jwks.reach().await));
            }
        }
        reached
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Token>, Rejected> {
        if !self.are_accepted() {
            return Err(BadToken::NotConfigured.into());
        }
        let print = Sha256::digest(token.as_bytes()).into();
        if let Some(token) = self.verified.get(&print)
            && self.is_current(&token, now)
        {
            return Ok(token);
        }
        let compact = Compact::parse(token)?;
        let issuer = claims::text(&compact.claims, "iss").ok_or(BadToken::Issuer)?;
        let trusted = self.issuer(issuer).ok_or(BadToken::Issuer)?;
        let rejected = |why| Rejected {
            why,
            issuer: Some(trusted.config.issuer.clone()),
        };
        let token = trusted.verify(&compact, now).await.map_err(rejected)?;
        let token = Arc::new(token);
        self.verified.put(print, token.clone());
        Ok(token)
    }

    /// Whether what was true of a token still is, judged as it was at first.
    ///
    /// # Errors
    /// What has changed.
    pub fn still_good(&self, token: &TokenStanding, now: Timestamp) -> Result<(), BadToken> {
        if now >= token.expires {
            return Err(BadToken::Expired);
        }
        let trusted = self.issuer(&token.issuer).ok_or(BadToken::Issuer)?;
        if !trusted.keys.holds(&token.key, token.facts.algorithm) {
            return Err(BadToken::UnknownKey);
        }
        match trusted.judge(&token.facts, now)? == token.verdict {
            true => Ok(()),
            false => Err(BadToken::Reassessed),
        }
    }

    fn is_current(&self, token: &Token, now: Timestamp) -> bool {
        let issuer = self.issuer(&token.standing.issuer);
        let generation = issuer.and_then(|trusted| trusted.keys.generation());
        generation == Some(token.generation) && now.as_second() < token.last_second
    }

    fn issuer(&self, name: &str) -> Option<&Arc<Trusted>> {
        let mut issuers = self.issuers.iter();
        issuers.find(|trusted| *trusted.config.issuer == *name)
    }
}

impl Trusted {
    async fn verify(&self, token: &Compact<'_>, now: Timestamp) -> Result<Token, BadToken> {
        // Before keys are looked for, which may have them fetched.
        self.takes(token.algorithm, &token.kind)?;
        let (key, generation) = self.keys.signer(token).await?;
        let facts = Facts {
            algorithm: token.algorithm,
            kind: token.kind.as_str().into(),
            claims: Claims::read(&token.claims)?,
        };
        let verdict = self.judge(&facts, now)?;
        let claims = &facts.claims;
        let expires = Timestamp::from_second(claims.expires).map_err(|_| BadToken::Expiry)?;
        let leeway = i64::try_from(self.config.leeway.duration().as_secs()).unwrap_or(0);
        Ok(Token {
            client: verdict.client.clone(),
            scopes: verdict.scopes.clone(),
            user: User {
                issuer: self.config.issuer.clone(),
                subject: claims.subject.clone(),
            },
            key_id: Some(key.name()),
            certificate: claims.certificate,
            generation,
            last_second: claims.expires + leeway,
            standing: TokenStanding {
                issuer: self.config.issuer.clone(),
                key: key.print,
                expires,
                facts: Arc::new(facts),
                verdict,
            },
        })
    }

    /// What this issuer's configuration makes of a token that its key has signed.
    fn judge(&self, facts: &Facts, now: Timestamp) -> Result<Verdict, BadToken> {
        self.takes(facts.algorithm, &facts.kind)?;
        let expected = Expected {
            audiences: self.config.audience.list(),
            leeway: self.config.leeway.duration(),
            max_lifetime: self.config.max_lifetime.duration(),
        };
        facts.claims.check(&expected, now.as_second())?;
        Ok(Verdict {
            client: self.client(&facts.claims)?,
            scopes: self.scopes(&facts.claims)?,
        })
    }

    fn takes(&self, algorithm: Algorithm, kind: &str) -> Result<(), BadToken> {
        if !self.config.algorithms().contains(&algorithm) {
            return Err(BadToken::Algorithm);
        }
        match self.types.iter().any(|one| one == kind) {
            true => Ok(()),
            false => Err(BadToken::Type),
        }
    }

    fn client(&self, claims: &Claims) -> Result<Arc<str>, BadToken> {
        let mapped = claims.client.as_ref();
        let mapped = mapped.and_then(|id| self.config.clients.get(id));
        let client = mapped.cloned().or_else(|| self.config.default_client());
        client.ok_or(BadToken::UnknownClient)
    }

    /// Each claim narrows by itself: what a user may do is not what the application was allowed.
    /// Where `permissions` says what the user may do, scopes that are none of ours say nothing: an
    /// application that signs people in is given `openid profile` whatever it may call.
    fn scopes(&self, claims: &Claims) -> Result<Option<Scopes>, BadToken> {
        let words = claims.scopes.iter().chain(&claims.permissions);
        let has = |wanted: &str| {
            words
                .clone()
                .flat_map(Words::iter)
                .any(|word| word == wanted)
        };
        if !self.config.required_scopes.iter().all(|scope| has(scope)) {
            return Err(BadToken::ScopeMissing);
        }
        let permissions = claims.permissions.as_ref();
        let narrows =
            |words: &&Words| permissions.is_none() || any_is_ours(words.iter(), &self.tools);
        let mut narrowing = claims
            .scopes
            .iter()
            .filter(narrows)
            .chain(permissions)
            .peekable();
        Ok(match (self.config.scopes, narrowing.peek()) {
            (ScopesCount::Never, _) | (ScopesCount::WhenPresent, None) => None,
            (ScopesCount::Always, None) => Some(Scopes::of([])),
            (ScopesCount::Always | ScopesCount::WhenPresent, Some(_)) => {
                Some(Scopes::of_claims(narrowing.map(Words::iter)))
            }
        })
    }
}

#[cfg(test)]
mod tests;
