//! What a stream says of a message that it does not take.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::mcp::handler::{ID_IN_USE, NO_METHOD};

/// Why a stream takes no further call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("Too many calls on this stream are unanswered. Wait for one to finish, then try again")]
    TooMany,
    #[error("{ID_IN_USE}")]
    IdInUse,
    #[error("Invalid Request: initialize first")]
    NotInitialized,
    #[error("Invalid params: initialize needs protocolVersion, capabilities and clientInfo")]
    Handshake,
    #[error("{NO_METHOD}")]
    NoMethod,
}

impl NotTaken {
    /// What the client is told on its stream.
    pub(super) fn answer(self, id: Option<&RawValue>) -> impl Serialize {
        #[derive(Serialize)]
        struct Answer<'a> {
            jsonrpc: &'static str,
            id: Option<&'a RawValue>,
            error: Error,
        }
        #[derive(Serialize)]
        struct Error {
            code: i32,
            message: String,
        }
        let code = match self {
            Self::TooMany => 429,
            Self::IdInUse | Self::NotInitialized => -32600,
            Self::Handshake => -32602,
            Self::NoMethod => -32601,
        };
        Answer {
            jsonrpc: "2.0",
            id,
            error: Error {
                code,
                message: self.to_string(),
            },
        }
    }
}
