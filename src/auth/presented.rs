//! The credentials in a request's headers.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use super::proof::{Proof, Way};

/// What a request presents: a key, a token, both or nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Presented<'a> {
    /// From `X-API-Key`, or a bearer that begins as our keys do.
    pub key: Option<&'a str>,
    /// A bearer that is no key of ours.
    pub token: Option<&'a str>,
}

/// Never shows a credential.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("key", &self.key.is_some())
            .field("token", &self.token.is_some())
            .finish()
    }
}

/// Headers that present nothing usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Two keys that differ, or one header twice: which of them another layer looked at cannot be
    /// known.
    #[error("two credentials that disagree")]
    Conflict,
    /// Bytes that no key has.
    #[error("bytes that no key has")]
    Key,
    /// Bytes that no token has.
    #[error("bytes that no token has")]
    Token,
}

/// Finds the credentials. `Authorization` of another scheme is none of ours.
///
/// # Errors
/// Headers of which it cannot be said what they present.
pub fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Unusable> {
    let key = only(headers, &API_KEY)?.map(HeaderValue::as_bytes);
    let bearer = only(headers, &AUTHORIZATION)?.and_then(bearer);
    let key = match key {
        Some(key) => Some(readable(key).ok_or(Unusable::Key)?),
        None => None,
    };
    let Some(bearer) = bearer else {
        return Ok(Presented { key, token: None });
    };
    if bearer.starts_with(b"zmcp_") {
        let bearer = readable(bearer).ok_or(Unusable::Key)?;
        return match key {
            Some(key) if key != bearer => Err(Unusable::Conflict),
            _ => Ok(Presented {
                key: Some(bearer),
                token: None,
            }),
        };
    }
    let token = Some(readable(bearer).ok_or(Unusable::Token)?);
    Ok(Presented { key, token })
}

/// Every text that stands where a key may stand, also where what they present is unusable.
pub(super) fn keys(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(bearer);
    let keys = headers.get_all(&API_KEY).iter().map(HeaderValue::as_bytes);
    keys.chain(bearers).filter_map(readable)
}

/// The ways that the headers try, also where what they present is unusable.
pub(super) fn ways(headers: &HeaderMap) -> Proof {
    let keys = headers.get_all(&API_KEY).iter().map(|_| Way::ApiKey);
    let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(bearer);
    let bearers = bearers.map(|bearer| match bearer.starts_with(b"zmcp_") {
        true => Way::ApiKey,
        false => Way::Jwt,
    });
    keys.chain(bearers).fold(Proof::default(), Proof::and)
}

fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Unusable> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Unusable::Conflict),
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

fn readable(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.is_ascii())
}

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn from(pairs: &[(&'static str, &[u8])]) -> Result<(String, String), Unusable> {
        let headers = headers(pairs);
        let found = presented(&headers)?;
        let text = |found: Option<&str>| found.unwrap_or("-").to_owned();
        Ok((text(found.key), text(found.token)))
    }

    fn found(key: &str, token: &str) -> Result<(String, String), Unusable> {
        Ok((key.to_owned(), token.to_owned()))
    }

    #[test]
    fn a_key_stands_in_either_header() {
        assert_eq!(from(&[]), found("-", "-"));
        assert_eq!(from(&[("x-api-key", b"zmcp_a")]), found("zmcp_a", "-"));
        for value in ["Bearer zmcp_a", "bearer zmcp_a", "BEARER   zmcp_a "] {
            let bearer = from(&[("authorization", value.as_bytes())]);
            assert_eq!(bearer, found("zmcp_a", "-"));
        }
        let both: [(&str, &[u8]); 2] = [
            ("x-api-key", b"zmcp_a"),
            ("authorization", b"Bearer zmcp_a"),
        ];
        assert_eq!(from(&both), found("zmcp_a", "-"));
    }

    #[test]
    fn keys_that_disagree_are_a_conflict_and_so_is_a_header_that_comes_twice() {
        for pairs in [
            [
                ("x-api-key", &b"zmcp_a"[..]),
                ("authorization", b"Bearer zmcp_b"),
            ],
            [("x-api-key", b"zmcp_a"), ("x-api-key", b"zmcp_a")],
            [("x-api-key", b"zmcp_a"), ("x-api-key", b"zmcp_b")],
            [
                ("authorization", b"Bearer zmcp_a"),
                ("authorization", b"Basic eDp5"),
            ],
            [
                ("authorization", b"Bearer a.b.c"),
                ("authorization", b"Bearer a.b.c"),
            ],
        ] {
            assert_eq!(from(&pairs), Err(Unusable::Conflict));
        }
    }

    #[test]
    fn what_was_tried_is_known_of_headers_that_are_unusable_too() {
        let tried = |pairs: &[(&'static str, &[u8])]| ways(&headers(pairs)).name();
        assert_eq!(tried(&[("authorization", b"Basic eDp5")]), "none");
        assert_eq!(tried(&[("authorization", b"Bearer zmcp_\xff")]), "api_key");
        let both: [(&str, &[u8]); 3] = [
            ("x-api-key", b"zmcp_a"),
            ("authorization", b"Bearer a.b.c"),
            ("authorization", b"Bearer a.b.c"),
        ];
        assert_eq!(tried(&both), "api_key+jwt");
    }

    #[test]
    fn a_key_and_a_token_may_come_together() {
        let both: [(&str, &[u8]); 2] = [
            ("x-api-key", b"zmcp_a"),
            ("authorization", b"Bearer eyJ.x.y"),
        ];
        assert_eq!(from(&both), found("zmcp_a", "eyJ.x.y"));
    }

    #[test]
    fn another_scheme_is_no_credential_of_ours() {
        assert_eq!(from(&[("authorization", b"Basic eDp5")]), found("-", "-"));
        assert_eq!(from(&[("authorization", b"Bearerzmcp_a")]), found("-", "-"));
        let both: [(&str, &[u8]); 2] = [("x-api-key", b"zmcp_a"), ("authorization", b"Basic eDp5")];
        assert_eq!(from(&both), found("zmcp_a", "-"));
    }

    #[test]
    fn another_bearer_is_a_token_even_an_empty_one() {
        assert_eq!(
            from(&[("authorization", b"Bearer ey.x.y")]),
            found("-", "ey.x.y")
        );
        assert_eq!(from(&[("authorization", b"Bearer")]), found("-", ""));
    }

    #[test]
    fn bytes_beyond_ascii_are_unusable() {
        assert_eq!(from(&[("x-api-key", b"zmcp_\xff")]), Err(Unusable::Key));
        let bearer = |value: &'static [u8]| from(&[("authorization", value)]);
        assert_eq!(bearer(b"Bearer zmcp_\xc3\xa9"), Err(Unusable::Key));
        assert_eq!(bearer(b"Bearer ey\xc3\xa9"), Err(Unusable::Token));
    }

    #[test]
    fn a_credential_is_never_printed() {
        let headers = headers(&[
            ("x-api-key", b"zmcp_a"),
            ("authorization", b"Bearer secret"),
        ]);
        let printed = format!("{:?}", presented(&headers).unwrap());
        assert!(
            !printed.contains("zmcp") && !printed.contains("secret"),
            "{printed}"
        );
    }

    proptest! {
        #[test]
        fn it_never_panics(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                if let Ok(found) = presented(&headers) {
                    prop_assert!(found.key.is_none() || found.token.is_none());
                }
            }
        }
    }
}
