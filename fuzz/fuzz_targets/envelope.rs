//! The JSON-RPC envelope: what it accepts is what a plain parser of JSON sees as well.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use zoho_mcp::call::Call;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(call) = Call::parse(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(call.tool().is_some(), &*call.method == "tools/call");
    }
});
