//! The MCP handler and the two transports, both behind the same guards.

mod accept;
mod execution;
mod handler;
mod legacy_sse;
mod streamable;
mod trace;

use std::num::NonZeroUsize;

use serde::Deserialize;

use crate::{
    call,
    setting::{Size, Span},
};

pub use handler::{Desk, Handler};
pub use legacy_sse::{Sessions, in_band, open, post};
pub use streamable::Streamable;
pub use trace::guard as trace;

/// `[mcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Config {
    pub legacy_sse: bool,
    pub max_body: Size,
    pub body_memory: Size,
    pub body_timeout: Span,
    pub tool_timeout: Span,
    pub max_streams_per_client: NonZeroUsize,
    pub max_streams_per_user: NonZeroUsize,
    pub max_calls_per_stream: NonZeroUsize,
    pub max_stream_age: Span,
    pub keep_alive: Span,
}

impl Config {
    /// Whether one client's part of the room for bodies holds the largest body.
    pub fn has_room_for_a_body(&self) -> bool {
        self.body_memory.bytes() / call::SHARES >= self.max_body.bytes()
    }
}
