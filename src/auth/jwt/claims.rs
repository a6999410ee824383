//! What a token says, and what an issuer's configuration makes of it: at first, once its signature
//! is known to be right, and again for as long as something lasts that it opened.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::BadToken;

/// What is asked of the claims of one issuer.
pub(super) struct Expected<'a> {
    pub(super) audiences: &'a [Box<str>],
    pub(super) leeway: Duration,
    pub(super) max_lifetime: Duration,
}

/// The claims that count. As large as the token at most, give or take its audiences, which are few.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: Arc<str>,
    /// Seconds since the epoch, as all dates.
    pub(super) expires: i64,
    issued: i64,
    from: Option<i64>,
    audiences: Box<[Box<str>]>,
    /// `client_id` (RFC 9068), or else `azp`.
    pub(super) client: Option<Box<str>>,
    /// Each of `scope` and `scp` that the token has: what an application was allowed.
    pub(super) scopes: Vec<Words>,
    /// `permissions`: what the user may do.
    pub(super) permissions: Option<Words>,
    /// SHA-256 of the certificate that the token is bound to (RFC 8705, section 3.1).
    pub(super) certificate: Option<[u8; 32]>,
}

/// The words of one claim, in one text: a list of them would be many times the token's size.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words(Box<str>);

impl Words {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split(' ').filter(|word| !word.is_empty())
    }
}

impl Claims {
    /// Reads claims of any issuer.
    pub(super) fn read(claims: &Map<String, Value>) -> Result<Self, BadToken> {
        let expires = date(claims, "exp").and_then(|at| at.ok_or(()));
        let issued = date(claims, "iat").and_then(|at| at.ok_or(()));
        Ok(Self {
            expires: expires.map_err(|()| BadToken::Expiry)?,
            issued: issued.map_err(|()| BadToken::IssuedAt)?,
            from: date(claims, "nbf").map_err(|()| BadToken::NotYetValid)?,
            subject: subject(claims)?,
            audiences: audiences(claims).ok_or(BadToken::Audience)?,
            client: text(claims, "client_id")
                .or_else(|| text(claims, "azp"))
                .map(Into::into),
            scopes: scopes(claims)?,
            permissions: words(claims, "permissions")?,
            certificate: certificate(claims)?,
        })
    }

    /// Judges them at `now`, in seconds since the epoch. That the token has expired is said only of
    /// one that would be good otherwise.
    pub(super) fn check(&self, expected: &Expected<'_>, now: i64) -> Result<(), BadToken> {
        let leeway = seconds(expected.leeway);
        if !self
            .audiences
            .iter()
            .any(|audience| expected.audiences.contains(audience))
        {
            return Err(BadToken::Audience);
        }
        if self.issued > now + leeway {
            return Err(BadToken::IssuedInFuture);
        }
        if self.from.is_some_and(|from| from > now + leeway) {
            return Err(BadToken::NotYetValid);
        }
        let lifetime = self.expires - self.issued;
        if lifetime <= 0 || lifetime > seconds(expected.max_lifetime) {
            return Err(BadToken::Lifetime);
        }
        if now >= self.expires + leeway {
            return Err(BadToken::Expired);
        }
        Ok(())
    }
}

pub(super) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// Seconds within the calendar, of which a fraction does not count (RFC 7519, section 2); a text is no
/// date.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, ()> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let whole = || value.as_f64().map(|seconds| seconds.floor() as i64);
            match value.as_i64().or_else(whole) {
                Some(at @ 0..=END_OF_CALENDAR) => Ok(Some(at)),
                _ => Err(()),
            }
        }
    }
}

fn subject(claims: &Map<String, Value>) -> Result<Arc<str>, BadToken> {
    let subject = text(claims, "sub").ok_or(BadToken::Subject)?;
    let sound = !subject.is_empty()
        && subject.len() <= MAX_SUBJECT
        && !subject.chars().any(char::is_control);
    if sound {
        Ok(subject.into())
    } else {
        Err(BadToken::Subject)
    }
}

fn audiences(claims: &Map<String, Value>) -> Option<Box<[Box<str>]>> {
    let text = |value: &Value| value.as_str().map(Into::into);
    match claims.get("aud")? {
        Value::Array(list) if list.len() <= MAX_AUDIENCES => list.iter().map(text).collect(),
        value => text(value).map(|only| [only].into()),
    }
}

fn scopes(claims: &Map<String, Value>) -> Result<Vec<Words>, BadToken> {
    let claims = ["scope", "scp"].map(|name| words(claims, name).transpose());
    claims.into_iter().flatten().collect()
}

/// Words in one text, or in a list: issuers differ. What has a space within a list is no word, and
/// means nothing to anybody (RFC 6749, section 3.3).
fn words(claims: &Map<String, Value>, name: &str) -> Result<Option<Words>, BadToken> {
    Ok(Some(match claims.get(name) {
        None => return Ok(None),
        Some(Value::String(text)) => Words(text.as_str().into()),
        Some(Value::Array(list)) => {
            let words: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            let mut words = words.ok_or(BadToken::Scope)?;
            words.retain(|word| !word.contains(' '));
            Words(words.join(" ").into())
        }
        Some(_) => return Err(BadToken::Scope),
    }))
}

/// A token that is bound to something which cannot be checked here is not a bearer token.
fn certificate(claims: &Map<String, Value>) -> Result<Option<[u8; 32]>, BadToken> {
    let Some(confirmation) = claims.get("cnf") else {
        return Ok(None);
    };
    let members = confirmation.as_object().ok_or(BadToken::Binding)?;
    let thumbprint = members.get("x5t#S256").and_then(Value::as_str);
    let bytes = thumbprint.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    match (members.len(), bytes) {
        (1, Some(bytes)) => Ok(Some(bytes)),
        _ => Err(BadToken::Binding),
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(END_OF_CALENDAR)
}

/// The last second of the year 9999.
const END_OF_CALENDAR: i64 = 253_402_300_799;
/// No issuer names more; each takes more room than it has characters.
const MAX_AUDIENCES: usize = 64;
/// Characters of a subject (OpenID Connect Core, section 2).
const MAX_SUBJECT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn check(change: Value) -> Result<(i64, Vec<usize>), BadToken> {
        let mut claims = json!({
            "iss": "i", "sub": "s", "aud": "a", "iat": NOW - 10, "exp": NOW + 600,
        });
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            };
        }
        let expected = Expected {
            audiences: &["a".into(), "b".into()],
            leeway: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(3600),
        };
        let read = Claims::read(claims.as_object().unwrap())?;
        read.check(&expected, NOW)?;
        let claims = read.scopes.iter().chain(&read.permissions);
        Ok((
            read.expires,
            claims.map(|words| words.iter().count()).collect(),
        ))
    }

    #[test]
    fn a_good_token_is_read() {
        assert_eq!(check(json!({})), Ok((NOW + 600, vec![])));
        assert_eq!(check(json!({ "aud": ["x", "b"] })), Ok((NOW + 600, vec![])));
        assert_eq!(
            check(json!({ "scope": " crm:read  x ", "permissions": ["y"] })),
            Ok((NOW + 600, vec![2, 1]))
        );
        let spaced = json!({ "permissions": ["crm:read crm:write", "y"] });
        assert_eq!(check(spaced), Ok((NOW + 600, vec![1])));
        assert!(check(json!({ "scope": "" })).is_ok_and(|(_, words)| words == [0]));
        let in_fractions = json!({ "iat": NOW as f64 - 0.5, "exp": NOW as f64 + 600.7 });
        assert_eq!(check(in_fractions), Ok((NOW + 600, vec![])));
    }

    #[test]
    fn dates_are_seconds_within_bounds() {
        for (claim, value, bad) in [
            ("exp", json!(null), BadToken::Expiry),
            ("exp", json!("1800000600"), BadToken::Expiry),
            ("exp", json!(-0.5), BadToken::Expiry),
            ("exp", json!(1e300), BadToken::Expiry),
            ("exp", json!(-1), BadToken::Expiry),
            ("exp", json!(u64::MAX), BadToken::Expiry),
            ("exp", json!(true), BadToken::Expiry),
            ("iat", json!(null), BadToken::IssuedAt),
            ("iat", json!("now"), BadToken::IssuedAt),
            ("nbf", json!("now"), BadToken::NotYetValid),
            ("nbf", json!(NOW + 31), BadToken::NotYetValid),
            ("iat", json!(NOW + 31), BadToken::IssuedInFuture),
            ("exp", json!(NOW + 3600), BadToken::Lifetime),
            ("exp", json!(NOW - 10), BadToken::Lifetime),
        ] {
            assert_eq!(
                check(json!({ claim: value })).unwrap_err(),
                bad,
                "{claim} {value}"
            );
        }
    }

    #[test]
    fn the_leeway_holds_on_both_sides() {
        assert!(check(json!({ "iat": NOW + 30, "nbf": NOW + 30 })).is_ok());
        let expired = |ago: i64| check(json!({ "iat": NOW - 100, "exp": NOW - ago }));
        assert!(expired(29).is_ok());
        assert_eq!(expired(30), Err(BadToken::Expired));
    }

    #[test]
    fn what_is_for_somebody_else_is_refused() {
        for (claims, bad) in [
            (json!({ "aud": null }), BadToken::Audience),
            (json!({ "aud": "A" }), BadToken::Audience),
            (json!({ "aud": [] }), BadToken::Audience),
            (json!({ "aud": ["a", 1] }), BadToken::Audience),
            (json!({ "aud": vec!["a"; 65] }), BadToken::Audience),
            (json!({ "sub": null }), BadToken::Subject),
            (json!({ "sub": "" }), BadToken::Subject),
            (json!({ "sub": 7 }), BadToken::Subject),
            (json!({ "sub": "a\nb" }), BadToken::Subject),
            (json!({ "scope": 1 }), BadToken::Scope),
            (json!({ "permissions": [1] }), BadToken::Scope),
            (json!({ "cnf": { "jkt": "x" } }), BadToken::Binding),
            (json!({ "cnf": { "x5t#S256": "x" } }), BadToken::Binding),
            (json!({ "cnf": "x" }), BadToken::Binding),
        ] {
            assert_eq!(check(claims.clone()).unwrap_err(), bad, "{claims}");
        }
    }
}
