//! The credential in a request's headers.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

/// What a request presents as its credential.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// In `X-API-Key`, or a bearer that begins as our keys do.
    Key(&'a str),
    /// A bearer that is no key of ours.
    Token(&'a str),
    /// Bytes that no credential has.
    Malformed,
}

/// Never shows the credential.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(..)",
            Self::Token(_) => "Token(..)",
            Self::Malformed => "Malformed",
        })
    }
}

/// Two credentials that disagree, or one header twice: which of them another layer looked at
/// cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two credentials that disagree")]
pub struct Conflict;

/// Finds the credential. `Authorization` of another scheme is none of ours.
pub fn presented(headers: &HeaderMap) -> Result<Option<Presented<'_>>, Conflict> {
    let key = only(headers, &API_KEY)?.map(HeaderValue::as_bytes);
    let bearer = only(headers, &AUTHORIZATION)?.and_then(bearer);
    match (key, bearer) {
        (None, None) => Ok(None),
        (Some(key), None) => Ok(Some(
            readable(key).map_or(Presented::Malformed, Presented::Key),
        )),
        (None, Some(bearer)) => Ok(Some(
            readable(bearer).map_or(Presented::Malformed, classify),
        )),
        (Some(key), Some(bearer)) if key == bearer => Ok(Some(
            readable(key).map_or(Presented::Malformed, Presented::Key),
        )),
        (Some(_), Some(_)) => Err(Conflict),
    }
}

fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Conflict> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Conflict),
    }
}

/// What follows the scheme `Bearer`, in whatever case it is written.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let bytes = value.as_bytes();
    let end = bytes
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at(end);
    scheme
        .eq_ignore_ascii_case(b"bearer")
        .then(|| rest.trim_ascii())
}

fn classify(bearer: &str) -> Presented<'_> {
    match bearer.starts_with("zmcp_") {
        true => Presented::Key(bearer),
        false => Presented::Token(bearer),
    }
}

fn readable(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.is_ascii())
}

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&'static str, &[u8])]) -> Result<Option<&'static str>, Conflict> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        presented(&headers).map(|found| {
            found.map(|found| match found {
                Presented::Key("zmcp_a") => "key a",
                Presented::Key(_) => "another key",
                Presented::Token(_) => "token",
                Presented::Malformed => "malformed",
            })
        })
    }

    #[test]
    fn a_key_stands_in_either_header() {
        assert_eq!(from(&[]), Ok(None));
        assert_eq!(from(&[("x-api-key", b"zmcp_a")]), Ok(Some("key a")));
        for value in ["Bearer zmcp_a", "bearer zmcp_a", "BEARER   zmcp_a "] {
            assert_eq!(
                from(&[("authorization", value.as_bytes())]),
                Ok(Some("key a"))
            );
        }
        let both: [(&str, &[u8]); 2] = [
            ("x-api-key", b"zmcp_a"),
            ("authorization", b"Bearer zmcp_a"),
        ];
        assert_eq!(from(&both), Ok(Some("key a")));
    }

    #[test]
    fn credentials_that_disagree_are_a_conflict() {
        for pairs in [
            [
                ("x-api-key", &b"zmcp_a"[..]),
                ("authorization", b"Bearer zmcp_b"),
            ],
            [("x-api-key", b"zmcp_a"), ("authorization", b"Bearer ")],
            [("x-api-key", b"zmcp_a"), ("x-api-key", b"zmcp_a")],
            [("x-api-key", b"zmcp_a"), ("x-api-key", b"zmcp_b")],
            [
                ("authorization", b"Bearer zmcp_a"),
                ("authorization", b"Basic eDp5"),
            ],
        ] {
            assert_eq!(from(&pairs), Err(Conflict));
        }
    }

    #[test]
    fn another_scheme_is_no_credential_of_ours() {
        assert_eq!(from(&[("authorization", b"Basic eDp5")]), Ok(None));
        assert_eq!(from(&[("authorization", b"Bearerzmcp_a")]), Ok(None));
        let both: [(&str, &[u8]); 2] = [("x-api-key", b"zmcp_a"), ("authorization", b"Basic eDp5")];
        assert_eq!(from(&both), Ok(Some("key a")));
    }

    #[test]
    fn another_bearer_is_a_token() {
        assert_eq!(
            from(&[("authorization", b"Bearer eyJhbGciOi.x.y")]),
            Ok(Some("token"))
        );
        assert_eq!(from(&[("authorization", b"Bearer")]), Ok(Some("token")));
    }

    #[test]
    fn bytes_beyond_ascii_are_malformed() {
        assert_eq!(from(&[("x-api-key", b"zmcp_\xff")]), Ok(Some("malformed")));
        assert_eq!(
            from(&[("authorization", b"Bearer zmcp_\xc3\xa9")]),
            Ok(Some("malformed"))
        );
    }

    #[test]
    fn a_credential_is_never_printed() {
        assert_eq!(format!("{:?}", Presented::Key("zmcp_a")), "Key(..)");
        assert_eq!(format!("{:?}", Presented::Token("secret")), "Token(..)");
    }
}
