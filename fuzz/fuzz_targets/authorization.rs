//! `Authorization` and `X-API-Key`: whatever stands in them, one answer and no panic; and what is
//! taken for a token is read by the strict reader of tokens.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zoho_mcp::auth::{jwt::Compact, presented::presented};
use zoho_mcp_fuzz::headers;

fuzz_target!(|bytes: &[u8]| {
    let headers = headers(bytes, &["authorization", "x-api-key"]);
    let Ok(presented) = presented(&headers) else {
        return;
    };
    assert!(headers.len() <= 2, "a header that came twice was taken");
    if let Some(token) = presented.token {
        let _ = Compact::parse(token);
    }
});
