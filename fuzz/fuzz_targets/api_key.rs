//! A presented key, and the document that keys are looked up in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zoho_mcp::auth::api_key::{ApiKey, KeyDocument};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = ApiKey::parse(text)
    {
        assert!(text.contains(key.id()));
    }
    if let Ok(document) = KeyDocument::parse(bytes) {
        let written = document.to_json().expect("what was read can be written");
        assert!(KeyDocument::parse(&written).is_ok());
    }
});
