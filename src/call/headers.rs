//! The protocol headers of revision 2026-07-28, which repeat what the body says. The body rules;
//! a header that contradicts it ends the request before anything is spent on it.
//! Source: SEP-2243, "HTTP header standardization".

use axum::http::HeaderMap;
use rmcp::model::ProtocolVersion;

use super::Call;

/// Whether the revision that the header names is one that is spoken here. One that the body
/// names as well is the protocol library's to answer.
///
/// # Errors
/// The revision that was asked for.
pub(super) fn check_version<'a>(headers: &'a HeaderMap, call: &Call) -> Result<(), &'a str> {
    let version = headers
        .get("mcp-protocol-version")
        .map(|value| value.to_str());
    match version {
        Some(Ok(version))
            if call.version.is_none()
                && &*call.method != "initialize"
                && !ProtocolVersion::KNOWN_VERSIONS
                    .iter()
                    .any(|known| known.as_str() == version) =>
        {
            Err(version)
        }
        _ => Ok(()),
    }
}

/// Checks `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` against the body.
///
/// # Errors
/// Which header contradicts the body, in words for the caller.
pub(super) fn check(headers: &HeaderMap, call: &Call) -> Result<(), &'static str> {
    let version = single(
        headers,
        "mcp-protocol-version",
        "Header mismatch: MCP-Protocol-Version is repeated or not text",
    )?;
    if let Some(body) = call.version.as_deref()
        && &*call.method != "initialize"
        && version != Some(body)
    {
        return Err("Header mismatch: MCP-Protocol-Version does not repeat the version in _meta");
    }
    let method = single(
        headers,
        "mcp-method",
        "Header mismatch: Mcp-Method is repeated or not text",
    )?;
    let name = single(
        headers,
        "mcp-name",
        "Header mismatch: Mcp-Name is repeated or not text",
    )?;
    // Whoever stands between may have decided by the header, whatever the revision.
    if method.is_some_and(|method| !call.method.is_empty() && method != &*call.method) {
        return Err("Header mismatch: Mcp-Method does not repeat the method of the body");
    }
    if let (Some(header), Some(body)) = (name, call.name.as_deref())
        && !repeats(header, body)
    {
        return Err("Header mismatch: Mcp-Name does not repeat the name of the body");
    }
    // Revisions are dates, so their order is the text's order. Older ones need no headers.
    if version.is_none_or(|version| version < ProtocolVersion::V_2026_07_28.as_str())
        || call.method.is_empty()
        || &*call.method == "initialize"
    {
        return Ok(());
    }
    match (method, name) {
        (None, _) => Err("Header mismatch: Mcp-Method is missing"),
        (_, None) if call.tool().is_some() => Err("Header mismatch: Mcp-Name is missing"),
        _ => Ok(()),
    }
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &str,
    problem: &'static str,
) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| problem),
        (Some(_), Some(_)) => Err(problem),
    }
}

/// A name that cannot stand in a header travels as `=?base64?…?=`.
fn repeats(header: &str, body: &str) -> bool {
    use base64::{Engine, prelude::BASE64_STANDARD};
    match header
        .strip_prefix("=?base64?")
        .and_then(|inner| inner.strip_suffix("?="))
    {
        Some(inner) => BASE64_STANDARD
            .decode(inner)
            .is_ok_and(|name| name == body.as_bytes()),
        None => header == body,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use bytes::Bytes;

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = list.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
    }

    fn call() -> Call {
        Call::parse(&Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_contacts"}}"#,
        ))
        .unwrap()
    }

    const MODERN: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const METHOD: (&str, &str) = ("mcp-method", "tools/call");

    #[test]
    fn headers_that_repeat_the_body_pass_plain_or_encoded() {
        for name in ["search_contacts", "=?base64?c2VhcmNoX2NvbnRhY3Rz?="] {
            let mut map = headers(&[MODERN, METHOD]);
            map.insert("mcp-name", HeaderValue::from_static(name));
            assert_eq!(check(&map, &call()), Ok(()));
        }
    }

    #[test]
    fn headers_that_contradict_the_body_are_refused() {
        for list in [
            &[MODERN, METHOD, ("mcp-name", "create_note")][..],
            &[MODERN, METHOD, ("mcp-name", "=?base64?Y3JlYXRlX25vdGU=?=")],
            &[MODERN, METHOD, ("mcp-name", "=?base64?%%?=")],
            &[MODERN, METHOD],
            &[MODERN, ("mcp-name", "search_contacts")],
            &[
                MODERN,
                ("mcp-method", "tools/list"),
                ("mcp-name", "search_contacts"),
            ],
            &[
                MODERN,
                METHOD,
                ("mcp-name", "search_contacts"),
                ("mcp-name", "search_contacts"),
            ],
            &[MODERN, MODERN, METHOD, ("mcp-name", "search_contacts")],
        ] {
            assert!(check(&headers(list), &call()).is_err(), "{list:?}");
        }
    }

    #[test]
    fn older_revisions_need_no_headers_and_may_not_contradict_either() {
        let old = ("mcp-protocol-version", "2025-11-25");
        for good in [
            &[][..],
            &[old],
            &[METHOD],
            &[old, ("mcp-name", "search_contacts")],
        ] {
            assert_eq!(check(&headers(good), &call()), Ok(()), "{good:?}");
        }
        for bad in [
            &[old, ("mcp-name", "create_note")][..],
            &[("mcp-name", "create_note")],
            &[("mcp-method", "tools/list")],
            &[METHOD, METHOD],
        ] {
            assert!(check(&headers(bad), &call()).is_err(), "{bad:?}");
        }
    }
}
