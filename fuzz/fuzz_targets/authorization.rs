//! `Authorization` and `X-API-Key`: whatever stands in them, one answer and no panic; and what is
//! taken for a token is read by the strict reader of tokens.

#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use zoho_mcp::auth::{jwt::Compact, presented::presented};

fuzz_target!(|input: (Vec<Vec<u8>>, Option<Vec<u8>>)| {
    let (authorizations, key) = input;
    let mut headers = HeaderMap::new();
    for value in authorizations.iter().take(3) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(header::AUTHORIZATION, value);
        }
    }
    if let Some(Ok(value)) = key.as_deref().map(HeaderValue::from_bytes) {
        headers.insert("x-api-key", value);
    }
    if let Ok(presented) = presented(&headers)
        && let Some(token) = presented.token
    {
        let _ = Compact::parse(token);
    }
});
