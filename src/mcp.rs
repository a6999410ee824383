//! The MCP handler and the two transports, both behind the same guards.

mod accept;
mod cause;
mod execution;
mod handler;
mod legacy_sse;
mod relay;
mod session;
mod streamable;
mod trace;

use std::num::NonZeroUsize;

use serde::Deserialize;

use crate::{
    call,
    setting::{Size, Span},
};

pub use handler::{Desk, Handler};
pub use legacy_sse::{Sessions, find, open, post};
pub use relay::{Relay, Walk, hand_over};
pub use session::{HttpSessions, bind, call_in_log, delete, listen};
pub use streamable::Streamable;
pub use trace::guard as trace;

/// `[mcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Config {
    pub sessions: bool,
    pub session_idle: Span,
    pub max_session_age: Span,
    pub max_sessions: NonZeroUsize,
    pub max_sessions_per_client: NonZeroUsize,
    pub max_sessions_per_user: NonZeroUsize,
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
    /// What is wrong with it beyond its types.
    ///
    /// # Errors
    /// The first key that cannot be kept to.
    pub fn check(&self) -> Result<(), BadConfig> {
        if self.tool_timeout < LEAST_TOOL_TIMEOUT {
            return Err(BadConfig::ToolTimeout);
        }
        if self.max_body.bytes() > MOST_BODY {
            return Err(BadConfig::MaxBody);
        }
        if self.session_idle < LEAST_IDLE {
            return Err(BadConfig::SessionIdle);
        }
        match self.has_room_for_a_body() {
            true => Ok(()),
            false => Err(BadConfig::BodyMemory),
        }
    }

    /// Bounds that are never reached, since a smaller one comes first.
    pub fn unreached(&self) -> impl Iterator<Item = &'static str> {
        let bounds = [
            (
                self.sessions && self.max_sessions_per_client > self.max_sessions,
                "mcp.max_sessions_per_client: more than mcp.max_sessions, which all clients share, so \
                 it is never reached; lower it, or raise max_sessions",
            ),
            (
                self.sessions && self.max_sessions_per_user > self.max_sessions_per_client,
                "mcp.max_sessions_per_user: more than mcp.max_sessions_per_client, which all people \
                 of a client share, so it is never reached; lower it, or raise max_sessions_per_client",
            ),
            (
                self.sessions && self.session_idle > self.max_session_age,
                "mcp.session_idle: longer than mcp.max_session_age, which ends every session, so it \
                 is never reached; shorten it, or lengthen max_session_age",
            ),
            (
                self.max_streams_per_user > self.max_streams_per_client,
                "mcp.max_streams_per_user: more than mcp.max_streams_per_client, which all people of \
                 a client share, so it is never reached; lower it, or raise max_streams_per_client",
            ),
        ];
        let is_wrong = |(is_wrong, hint): (bool, &'static str)| is_wrong.then_some(hint);
        bounds.into_iter().filter_map(is_wrong)
    }

    /// Whether one client's part of the room for bodies holds the largest body.
    fn has_room_for_a_body(&self) -> bool {
        self.body_memory.bytes() / call::SHARES >= self.max_body.bytes()
    }
}

/// Why `[mcp]` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BadConfig {
    #[error("mcp.tool_timeout: shorter than 1s")]
    ToolTimeout,
    #[error("mcp.max_body: too large, the most is 64MiB")]
    MaxBody,
    #[error("mcp.session_idle: shorter than 2s")]
    SessionIdle,
    #[error("mcp.body_memory: one client's quarter of it is less than mcp.max_body")]
    BodyMemory,
}

impl BadConfig {
    /// What to write instead.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ToolTimeout => "set it to 1s or more: some of it is kept for the answer",
            Self::MaxBody => "set it to 64MiB or less; a note of the greatest length needs 256KiB",
            Self::SessionIdle => "set it to 2s or more: clients pause between two messages",
            Self::BodyMemory => "set it to at least four times max_body, better to many times that",
        }
    }
}

const LEAST_IDLE: Span = Span::millis(2000);
const LEAST_TOOL_TIMEOUT: Span = Span::millis(1000);
/// Bytes.
const MOST_BODY: usize = 64 << 20;
