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
mod insights;
mod log;
mod stream;

mod api_keys;
mod audit;
mod cli;
mod clients;
mod cloudwatch;
mod demo;
mod drain;
mod evidence;
mod health;
mod hostile;
mod legacy_sse;
mod limits;
mod mcp;
mod metrics;
mod outage;
mod permissions;
mod record;
mod tools;
mod zoho_faults;
