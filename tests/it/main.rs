//! Everything through the front door: a daemon and a sandbox as processes of their own, real
//! sockets, real files. One harness ([`house`]), one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod agent;
mod house;
mod pair;
mod redis;
mod stream;

mod api_keys;
mod audit;
mod cli;
mod clients;
mod demo;
mod drain;
mod health;
mod hostile;
mod legacy_sse;
mod limit_script;
mod limits;
mod mcp;
mod permissions;
mod redis_kinds;
mod redis_outages;
mod shared_limits;
mod tools;
mod zoho_faults;
