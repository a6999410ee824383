//! How the targets read their input.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers out of lines such as `authorization: Bearer …`. Lines with another name are passed over,
/// and so are values that no header can have.
pub fn headers(bytes: &[u8], names: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let said = names.iter().find_map(|name| {
            let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b": ")?;
            Some((*name, HeaderValue::from_bytes(value).ok()?))
        });
        if let Some((name, value)) = said {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}
