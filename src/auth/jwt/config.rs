//! `[[auth.jwt]]`: one issuer of tokens.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use reqwest::Url;
use serde::Deserialize;

use crate::setting::{SecretRef, Span};

/// `[[auth.jwt]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Issuer {
    pub issuer: Arc<str>,
    pub audience: Audience,
    pub jwks: Option<Box<str>>,
    pub public_key: Option<SecretRef>,
    pub hs256_secret: Option<SecretRef>,
    pub algorithms: Option<Vec<Algorithm>>,
    pub client: Option<Arc<str>>,
    #[serde(default)]
    pub clients: BTreeMap<Box<str>, Arc<str>>,
    pub role: Option<Arc<str>>,
    #[serde(default = "leeway")]
    pub leeway: Span,
    #[serde(default = "types")]
    pub types: Vec<Box<str>>,
    #[serde(default = "max_lifetime")]
    pub max_lifetime: Span,
    #[serde(default)]
    pub scopes: ScopesCount,
    #[serde(default)]
    pub required_scopes: Vec<Box<str>>,
}

/// One audience, or several of which one is enough.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// `"https://mcp.example.com/mcp"`
    One(Box<str>),
    /// A list.
    Any(Vec<Box<str>>),
}

impl Audience {
    /// Those of which a token has to name one.
    pub fn list(&self) -> &[Box<str>] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Any(list) => list,
        }
    }
}

/// When the scopes of a token narrow the role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopesCount {
    /// When the token has any scope claim.
    #[default]
    WhenPresent,
    /// Always: a token without a scope claim may call nothing.
    Always,
    /// Never: the issuer's scopes mean something else.
    Never,
}

fn leeway() -> Span {
    Span::millis(30_000)
}

fn types() -> Vec<Box<str>> {
    vec!["at+jwt".into(), "JWT".into()]
}

fn max_lifetime() -> Span {
    Span::millis(24 * 3_600_000)
}

impl Issuer {
    /// The algorithms that a token may be signed with.
    pub(super) fn algorithms(&self) -> &[Algorithm] {
        match (&self.algorithms, &self.hs256_secret) {
            (Some(listed), _) => listed,
            (None, Some(_)) => &[Algorithm::HS256],
            (None, None) => &ASYMMETRIC,
        }
    }

    /// The client that callers are who are not mapped by `clients`: `client`, or with a `role`
    /// alone the issuer's host.
    pub(super) fn default_client(&self) -> Option<Arc<str>> {
        self.client
            .clone()
            .or_else(|| self.role.is_some().then(|| self.host()))
    }

    /// The client that `role` brings into being, and its role.
    pub fn implied_client(&self) -> Option<(Arc<str>, Arc<str>)> {
        Some((self.default_client()?, self.role.clone()?))
    }

    /// Where its secret or its public key is, unless the keys come from a JWKS.
    pub fn secret(&self) -> Option<&SecretRef> {
        self.hs256_secret.as_ref().or(self.public_key.as_ref())
    }

    /// Every client that callers can be.
    pub fn named_clients(&self) -> impl Iterator<Item = Arc<str>> {
        self.clients.values().cloned().chain(self.default_client())
    }

    fn host(&self) -> Arc<str> {
        let url = Url::parse(&self.issuer).ok();
        let authority = url.as_ref().and_then(|url| {
            let host = url.host_str()?;
            Some(match url.port() {
                Some(port) => format!("{host}:{port}").into(),
                None => host.into(),
            })
        });
        authority.unwrap_or_else(|| self.issuer.clone())
    }

    /// What is wrong with it, apart from the secrets that it refers to.
    fn problem(&self) -> Option<(&'static str, Problem)> {
        let anchors = [
            self.jwks.is_some(),
            self.public_key.is_some(),
            self.hs256_secret.is_some(),
        ];
        let symmetric = |algorithm: &Algorithm| algorithm.family() == AlgorithmFamily::Hmac;
        let fits = |algorithm: &Algorithm| match self.hs256_secret {
            Some(_) => *algorithm == Algorithm::HS256,
            None => !symmetric(algorithm),
        };
        let names =
            |list: &[Box<str>]| !list.is_empty() && list.iter().all(|name| !name.is_empty());
        if self.issuer.is_empty() {
            Some(("issuer", Problem::Empty))
        } else if !names(self.audience.list()) {
            Some(("audience", Problem::Empty))
        } else if anchors.iter().filter(|given| **given).count() != 1 {
            Some(("jwks", Problem::Anchors))
        } else if self
            .jwks
            .as_deref()
            .is_some_and(|url| jwks_url(url).is_none())
        {
            Some(("jwks", Problem::Url))
        } else if self.algorithms().is_empty() {
            Some(("algorithms", Problem::Empty))
        } else if !self.algorithms().iter().all(fits) {
            Some(("algorithms", Problem::Mixed))
        } else if self.leeway.duration() > MAX_LEEWAY {
            Some(("leeway", Problem::Leeway))
        } else if self.types.is_empty() {
            Some(("types", Problem::Empty))
        } else if self.named_clients().next().is_none() {
            Some(("client", Problem::Nobody))
        } else {
            None
        }
    }
}

/// Where keys may be fetched from: `https`, or `http` on this machine.
pub(super) fn jwks_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let allowed = url.scheme() == "https" || (url.scheme() == "http" && local);
    (allowed && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Everything that is wrong with the issuers.
pub fn check(issuers: &[Issuer]) -> Vec<BadIssuer> {
    let mut bad = Vec::new();
    for (place, issuer) in issuers.iter().enumerate() {
        let mut tell = |key, problem| {
            bad.push(BadIssuer {
                place,
                key,
                problem,
            })
        };
        if let Some((key, problem)) = issuer.problem() {
            tell(key, problem);
        }
        if issuers
            .iter()
            .take(place)
            .any(|other| other.issuer == issuer.issuer)
        {
            tell("issuer", Problem::Twice);
        }
    }
    bad
}

/// An issuer that cannot be used, by its key in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadIssuer {
    place: usize,
    key: &'static str,
    #[source]
    problem: Problem,
}

impl fmt::Display for BadIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "auth.jwt[{}].{}: {}", self.place, self.key, self.problem)
    }
}

impl BadIssuer {
    /// What to write instead.
    pub const fn remedy(&self) -> &'static str {
        match self.problem {
            Problem::Empty => {
                "write at least one, and none that is empty; without the line there is the default, where it has one"
            }
            Problem::Anchors => {
                "set jwks = \"https://…\", or public_key = \"file:…\", or hs256_secret = \"file:…\""
            }
            Problem::Url => {
                "write it as https://login.example.com/jwks.json, without a login in it"
            }
            Problem::Mixed => {
                "list RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA; with hs256_secret HS256 alone"
            }
            Problem::Leeway => "leeway is for clocks that differ; mend the clocks instead",
            Problem::Nobody => {
                "name one of [clients] as client, map the token's client_id by clients, or set role"
            }
            Problem::Twice => "list each issuer once; audience may be a list",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is empty")]
    Empty,
    #[error("exactly one of jwks, public_key and hs256_secret says which keys to trust")]
    Anchors,
    #[error("keys are fetched over https, or over http from this machine only")]
    Url,
    #[error("an algorithm does not fit the kind of key")]
    Mixed,
    #[error("is longer than 30s")]
    Leeway,
    #[error("nothing says which client the callers are")]
    Nobody,
    #[error("the same issuer is configured twice")]
    Twice,
}

const MAX_LEEWAY: Duration = Duration::from_secs(30);

/// Without a list of its own, an issuer may use what is sound and common.
const ASYMMETRIC: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(text: &str) -> Issuer {
        let least = "issuer = 'https://login.example.com/'\naudience = 'a'\nrole = 'r'\n";
        toml::from_str(&format!("{least}{text}")).unwrap()
    }

    fn bad(text: &str) -> String {
        let bad = check(&[issuer(text)]);
        bad.first().map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn an_issuer_with_one_source_of_keys_is_taken() {
        for text in [
            "jwks = 'https://login.example.com/keys'",
            "jwks = 'http://127.0.0.1:1/keys'",
            "jwks = 'http://[::1]:1/keys'",
            "public_key = 'file:idp.pem'\nalgorithms = ['ES384']",
            "hs256_secret = 'env:X'",
        ] {
            assert_eq!(bad(text), "", "{text}");
        }
    }

    #[test]
    fn each_mistake_is_named_by_its_key() {
        for (text, says) in [
            ("", "auth.jwt[0].jwks: exactly one"),
            (
                "jwks = 'https://a'\nhs256_secret = 'env:X'",
                "auth.jwt[0].jwks: exactly one",
            ),
            (
                "jwks = 'http://login.example.com/keys'",
                "auth.jwt[0].jwks: keys are fetched",
            ),
            (
                "jwks = 'http://127.0.0.1.example.com/'",
                "auth.jwt[0].jwks: keys are fetched",
            ),
            (
                "jwks = 'https://u:p@a/'",
                "auth.jwt[0].jwks: keys are fetched",
            ),
            (
                "jwks = 'https://a'\nalgorithms = ['RS256', 'HS256']",
                "auth.jwt[0].algorithms",
            ),
            (
                "hs256_secret = 'env:X'\nalgorithms = ['RS256']",
                "auth.jwt[0].algorithms",
            ),
            (
                "jwks = 'https://a'\nalgorithms = []",
                "auth.jwt[0].algorithms: is empty",
            ),
            ("jwks = 'https://a'\nleeway = '31s'", "auth.jwt[0].leeway"),
        ] {
            assert!(bad(text).starts_with(says), "{text}: {}", bad(text));
        }
    }

    #[test]
    fn an_issuer_stands_once_and_says_who_its_callers_are() {
        let one = issuer("jwks = 'https://a'");
        assert_eq!(check(&[one.clone(), one.clone()]).len(), 1);
        let nobody = Issuer {
            role: None,
            ..one.clone()
        };
        assert!(
            check(&[nobody])[0]
                .to_string()
                .contains("auth.jwt[0].client")
        );
        assert_eq!(
            one.implied_client(),
            Some(("login.example.com".into(), "r".into()))
        );
    }
}
