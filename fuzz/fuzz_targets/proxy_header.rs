//! The PROXY protocol's header, which is read before anything else of a connection.

#![no_main]

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use libfuzzer_sys::fuzz_target;
use zoho_mcp::listen::proxy;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let read = pin!(proxy::read(&mut rest)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(read) = read else {
        panic!("a slice never waits");
    };
    if read.is_ok() {
        let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
        assert_eq!(rest, &bytes[16 + length..], "what follows is left alone");
    }
});
