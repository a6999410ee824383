//! The compact form of a token, read strictly: three parts, and a header that hides nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::{BadToken, strict};

/// A token whose signature nobody has looked at yet.
pub struct Compact<'a> {
    /// What is signed: the first two parts with the dot between.
    pub(super) signed: &'a [u8],
    /// In base64url.
    pub(super) signature: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// In lower case and without `application/`; empty where the header has none.
    pub(super) kind: String,
    pub(super) claims: Map<String, Value>,
}

impl<'a> Compact<'a> {
    /// Reads a token of any origin.
    ///
    /// # Errors
    /// Whatever is wrong with its form or its header.
    pub fn parse(token: &'a str) -> Result<Self, BadToken> {
        if token.len() > MAX_BYTES {
            return Err(BadToken::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(BadToken::Malformed)?;
        if signature.is_empty() || claims.contains('.') {
            return Err(BadToken::Malformed);
        }
        let bytes = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| BadToken::Malformed)
        };
        bytes(signature)?;
        let header = strict::object(&bytes(header)?).ok_or(BadToken::Header)?;
        let claims = strict::object(&bytes(claims)?).ok_or(BadToken::Claims)?;
        if header.contains_key("crit") {
            return Err(BadToken::Critical);
        }
        if BRINGS_KEY.iter().any(|name| header.contains_key(*name)) {
            return Err(BadToken::BringsKey);
        }
        if ENCRYPTED.iter().any(|name| header.contains_key(*name)) {
            return Err(BadToken::Header);
        }
        Ok(Self {
            signed: signed.as_bytes(),
            signature,
            algorithm: algorithm(&header)?,
            key_id: text(&header, "kid")?,
            kind: kind(&text(&header, "typ")?.unwrap_or_default()),
            claims,
        })
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, BadToken> {
    let name = text(header, "alg")?.ok_or(BadToken::Algorithm)?;
    algorithm_named(&name).ok_or(BadToken::Algorithm)
}

/// `Ed25519` is the name by which RFC 9864 replaces `EdDSA`.
pub(super) fn algorithm_named(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => Some(Algorithm::EdDSA),
        name => name.parse().ok(),
    }
}

/// As media types are compared: in any case, `application/` understood (RFC 7515, section 4.1.9).
pub(super) fn kind(written: &str) -> String {
    let lower = written.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

fn text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, BadToken> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_TEXT => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(BadToken::Header),
    }
}

/// Header parameters that name or hold a key (RFC 7515, sections 4.1.2, 4.1.3, 4.1.5, 4.1.6). Only
/// the issuer's own keys count, so a token with one of these wants something that it may not have.
const BRINGS_KEY: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];
/// Those of an encrypted or unencoded token.
const ENCRYPTED: [&str; 5] = ["enc", "zip", "b64", "epk", "p2c"];
const MAX_BYTES: usize = 8 << 10;
const MAX_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part(claims), part("signature"))
    }

    fn read(header: &str) -> Result<(), BadToken> {
        Compact::parse(&token(header, "{}")).map(drop)
    }

    #[test]
    fn a_header_is_read_strictly() {
        assert_eq!(read(r#"{"alg":"RS256","kid":"a","typ":"JWT"}"#), Ok(()));
        for (header, bad) in [
            (r#"{"alg":"none"}"#, BadToken::Algorithm),
            (r#"{"alg":"rs256"}"#, BadToken::Algorithm),
            (r#"{"kid":"a"}"#, BadToken::Algorithm),
            (r#"{"alg":["RS256"]}"#, BadToken::Header),
            (r#"{"alg":"RS256","alg":"none"}"#, BadToken::Header),
            (r#"{"alg":"RS256","kid":1}"#, BadToken::Header),
            (r#"{"alg":"RS256","crit":["exp"]}"#, BadToken::Critical),
            (r#"{"alg":"RS256","crit":[]}"#, BadToken::Critical),
            (r#"{"alg":"RS256","jku":"https://a"}"#, BadToken::BringsKey),
            (r#"{"alg":"RS256","enc":"A128GCM"}"#, BadToken::Header),
            (r#"["RS256"]"#, BadToken::Header),
        ] {
            assert_eq!(read(header), Err(bad), "{header}");
        }
    }

    #[test]
    fn three_parts_of_unpadded_base64url_are_a_token() {
        let good = token(r#"{"alg":"RS256"}"#, "{}");
        assert!(Compact::parse(&good).is_ok());
        for bad in [
            format!("{good}="),
            format!("{good}.x"),
            format!(" {good}"),
            format!("{good}\n"),
            good.replacen('.', "..", 1),
            good.trim_end_matches(|c| c != '.').to_owned(),
            "..".into(),
            String::new(),
        ] {
            assert_eq!(
                Compact::parse(&bad).err(),
                Some(BadToken::Malformed),
                "{bad}"
            );
        }
        let long = token(
            r#"{"alg":"RS256"}"#,
            &format!("{{\"a\":\"{}\"}}", "x".repeat(8192)),
        );
        assert_eq!(Compact::parse(&long).err(), Some(BadToken::TooLong));
    }

    #[test]
    fn a_type_is_compared_as_a_media_type() {
        assert_eq!(kind("application/AT+JWT"), "at+jwt");
        assert_eq!(kind("JWT"), "jwt");
        assert_eq!(kind("application/x/y"), "application/x/y");
    }

    proptest! {
        #[test]
        fn it_never_panics(text in ".{0,300}", header in ".{0,100}", claims in ".{0,100}") {
            let _ = Compact::parse(&text);
            let _ = Compact::parse(&token(&header, &claims));
        }

        #[test]
        fn an_unknown_member_of_the_header_changes_nothing(name in "[a-z]{6,9}", value: u32) {
            let header = format!(r#"{{"alg":"ES256","{name}":{value}}}"#);
            prop_assert_eq!(read(&header), Ok(()));
        }
    }
}
