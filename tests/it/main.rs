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
mod crm;
mod house;
mod stream;
mod wire;

mod api_keys;
mod audit;
mod cli;
mod clients;
mod demo;
mod drain;
mod health;
mod hostile;
mod legacy_sse;
mod limits;
mod mcp;
mod permissions;
mod sources;
mod tools;
mod visibility;
mod zoho_faults;
