//! The status, the text and the name of each refusal.

use axum::http::StatusCode;

use super::Refusal;

impl Refusal {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Host | Self::Origin | Self::InsufficientScope(_) => StatusCode::FORBIDDEN,
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::TokensUnavailable
            | Self::Overloaded { .. }
            | Self::AuditUnavailable
            | Self::SessionAway
            | Self::NoSessionNow { .. }
            | Self::SessionSilent
            | Self::Starting
            | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyFailures { .. }
            | Self::OverLimit(_)
            | Self::TooManyOpen
            | Self::TooManySessions { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreadable { .. }
            | Self::HeaderMismatch { .. }
            | Self::UnsupportedVersion { .. } => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::MediaType | Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound | Self::NoIssuer | Self::NoSession => StatusCode::NOT_FOUND,
            Self::OnlyPost | Self::SessionMethod | Self::OnlyGet => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The text of the body.
    pub(super) const fn text(&self) -> &'static str {
        match self {
            Self::Host => {
                "Host not allowed. Set server.public_url or server.hosts in the configuration to the name that clients use"
            }
            Self::Origin => "Origin not allowed. Add it to server.origins in the configuration",
            Self::Unauthenticated { why, .. } => why.text(),
            Self::TokensUnavailable => "Tokens cannot be checked at the moment",
            Self::InsufficientScope(_) => "Insufficient scope",
            Self::TooManyFailures { .. } => "Too many failed logins. Try again later",
            Self::TooLarge => "The request body is too large",
            Self::TooSlow => {
                "The request body took too long. After 3 s it has to come at 4 bytes a millisecond, and whole within mcp.body_timeout"
            }
            Self::MediaType => "Send the request body as content-type: application/json",
            Self::UnsupportedVersion { .. } => "Unsupported protocol version",
            Self::OverLimit(_) => "Rate limit exceeded",
            Self::Overloaded { .. } => {
                "Overloaded: more is asked for than can be answered soon. Nothing was changed. Try again after the seconds of Retry-After"
            }
            Self::NotFound => "Not found. MCP is at /mcp",
            Self::NoIssuer => "No token issuer is configured. Send an API key as X-API-Key",
            Self::OnlyPost => "This server keeps no sessions. Send each message as a POST",
            Self::SessionMethod => {
                "Send messages as a POST, listen with GET, end the session with DELETE"
            }
            Self::OnlyGet => "Only GET is answered here. MCP is at /mcp",
            Self::Encoded => "Send the request body as it is, without content-encoding",
            Self::NoSession => "No such session. Open a new one: initialize at /mcp, or GET /sse",
            Self::SessionAway => {
                "The session cannot be reached at the moment. Nothing was done. Send the message again"
            }
            Self::NoSessionNow { .. } => {
                "No session can be opened at the moment. Send initialize again after the seconds of Retry-After"
            }
            Self::SessionSilent => {
                "The session does not answer at the moment. What was asked may have been done: look before you send it again"
            }
            Self::TooManyOpen => "Too many calls or streams are open. Let some finish first",
            Self::TooManySessions { .. } => {
                "Too many sessions are open. End one with DELETE, or try again after the seconds of Retry-After, when one that nobody uses has ended"
            }
            Self::AuditUnavailable => "The service cannot take calls at the moment",
            Self::Starting => "The service is starting. Try again in a moment",
            Self::Draining => "The service is going down. Connect again",
            Self::Internal => "Internal error",
            Self::Unreadable { problem, .. } | Self::HeaderMismatch { problem, .. } => problem,
        }
    }

    /// As metrics and the operational log call it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::TokensUnavailable => "tokens_unavailable",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::Unreadable { .. } => "unreadable",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::MediaType => "media_type",
            Self::Encoded => "encoded",
            Self::HeaderMismatch { .. } => "header_mismatch",
            Self::UnsupportedVersion { .. } => "unsupported_version",
            Self::OverLimit(_) => "over_limit",
            Self::Overloaded { .. } => "overloaded",
            Self::NotFound => "not_found",
            Self::NoIssuer => "no_issuer",
            Self::OnlyPost => "only_post",
            Self::SessionMethod => "session_method",
            Self::OnlyGet => "only_get",
            Self::NoSession => "no_session",
            Self::SessionAway => "session_away",
            Self::NoSessionNow { .. } => "no_session_now",
            Self::SessionSilent => "session_silent",
            Self::TooManyOpen => "too_many_open",
            Self::TooManySessions { .. } => "too_many_sessions",
            Self::AuditUnavailable => "audit_unavailable",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Internal => "internal",
        }
    }
}
