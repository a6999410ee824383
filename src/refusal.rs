//! Every way to say no, and the one response that each becomes. No other file knows a status code
//! for a refusal. What a caller hears here is all it hears; the reasons are in the audit log.

mod credential;
mod outline;
mod written;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, header},
    response::IntoResponse,
};
use rmcp::model::ProtocolVersion;
use serde::Serialize;
use serde_json::value::RawValue;

use written::{ErrorData, Plain, RpcError};

pub use credential::{InsufficientScope, Unproven};

/// A request that goes no further.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The `Host` is none of ours.
    Host,
    /// The `Origin` is not allowed.
    Origin,
    /// Nobody has proven who is calling.
    Unauthenticated {
        /// What the caller hears of it.
        why: Unproven,
        /// `WWW-Authenticate`
        challenge: HeaderValue,
    },
    /// The keys that a token is checked with could not be fetched.
    TokensUnavailable,
    /// The token's scopes do not cover the call.
    InsufficientScope(Box<InsufficientScope>),
    /// Too many failed logins from this address.
    TooManyFailures {
        /// Until the next try counts.
        retry_after_seconds: u64,
        /// `WWW-Authenticate`: clients find out by it where to get a token.
        challenge: HeaderValue,
    },
    /// The body is not one JSON-RPC message.
    Unreadable {
        /// The specification's code: parse error, invalid request or invalid params.
        code: i64,
        /// The request's id, where it could be read.
        id: Option<Box<RawValue>>,
        /// Says what is wrong, without echoing any of it.
        problem: &'static str,
    },
    /// The body is larger than `[mcp] max_body`.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The body is not declared as JSON.
    MediaType,
    /// A protocol header contradicts the body.
    HeaderMismatch {
        /// The request's id, as it was sent.
        id: Option<Box<RawValue>>,
        /// Which header, and how.
        problem: &'static str,
    },
    /// `MCP-Protocol-Version` names a revision that is not spoken here.
    UnsupportedVersion {
        /// The request's id, as it was sent.
        id: Option<Box<RawValue>>,
        /// The revision that was asked for, cut to a sane length.
        requested: Box<str>,
    },
    /// Over a limit.
    OverLimit(Box<OverLimit>),
    /// More is asked for than can be answered in time.
    Overloaded {
        /// The request's id, where it was read.
        id: Option<Box<RawValue>>,
        /// After how many seconds there may be room.
        retry_after_seconds: u64,
    },
    /// Nothing is served at this path.
    NotFound,
    /// No issuer of tokens is configured, so that there is nothing to discover.
    NoIssuer,
    /// `/mcp` takes a POST and nothing else: there are no sessions to read from or to end.
    OnlyPost,
    /// `/mcp` with sessions takes a POST, a GET and a DELETE.
    SessionMethod,
    /// Here is something to read, and nothing to send to.
    OnlyGet,
    /// The body is compressed.
    Encoded,
    /// There is no such session for this caller.
    NoSession,
    /// The session is on another instance, which cannot be asked.
    SessionAway,
    /// No session can be opened at the moment, since nobody can be asked how many there are.
    NoSessionNow {
        /// The request's id, as it was sent.
        id: Option<Box<RawValue>>,
    },
    /// A message was handed to the instance that holds its session, which has not answered in time.
    SessionSilent,
    /// The caller has too many streams or calls open.
    TooManyOpen,
    /// There are as many sessions as there may be.
    TooManySessions {
        /// The request's id, as it was sent.
        id: Option<Box<RawValue>>,
        /// After how many seconds there is room, if nobody uses what takes it.
        retry_after_seconds: u64,
    },
    /// The audit log cannot take a line, so nothing may happen.
    AuditUnavailable,
    /// Not ready yet.
    Starting,
    /// Going down.
    Draining,
    /// A guard found its predecessor's value missing, or something panicked.
    Internal,
}

/// What a caller over a limit is told.
#[derive(Clone, Debug)]
pub struct OverLimit {
    /// The request's id, as it was sent.
    pub id: Option<Box<RawValue>>,
    /// One sentence that an agent understands.
    pub message: String,
    /// After how many seconds the same call can succeed.
    pub retry_after_seconds: u64,
    /// The dimensions that refused.
    pub policies: Vec<&'static str>,
    /// `RateLimit` and `RateLimit-Policy`.
    pub headers: HeaderMap,
}

impl Refusal {
    /// Whether the body is a JSON-RPC error rather than `{"error":"…"}`, and with which code.
    /// Codes of our own are the status numbers; the others are the specification's.
    fn rpc_code(&self) -> Option<i64> {
        match self {
            Self::Unreadable { code, .. } => Some(*code),
            Self::HeaderMismatch { .. } => Some(-32020),
            Self::UnsupportedVersion { .. } => Some(-32022),
            Self::TooLarge
            | Self::TooSlow
            | Self::MediaType
            | Self::Encoded
            | Self::TooManyOpen
            | Self::TooManySessions { .. }
            | Self::NoSessionNow { .. }
            | Self::AuditUnavailable
            | Self::InsufficientScope(_)
            | Self::Overloaded { .. }
            | Self::OverLimit(_) => Some(i64::from(self.status().as_u16())),
            Self::Host
            | Self::Origin
            | Self::Unauthenticated { .. }
            | Self::TokensUnavailable
            | Self::TooManyFailures { .. }
            | Self::NotFound
            | Self::NoIssuer
            | Self::OnlyPost
            | Self::SessionMethod
            | Self::OnlyGet
            | Self::NoSession
            | Self::SessionAway
            | Self::SessionSilent
            | Self::Starting
            | Self::Draining
            | Self::Internal => None,
        }
    }

    fn body(&self) -> Vec<u8> {
        let text = self.text();
        let written = match (self, self.rpc_code()) {
            (Self::OverLimit(over), _) => serde_json::to_vec(&over.rpc_error()),
            (Self::InsufficientScope(scope), Some(code)) => {
                let id = scope.id.as_deref();
                serde_json::to_vec(&RpcError::new(id, code, &scope.message, None))
            }
            (
                Self::Unreadable { id, .. }
                | Self::HeaderMismatch { id, .. }
                | Self::NoSessionNow { id },
                Some(code),
            ) => serde_json::to_vec(&RpcError::new(id.as_deref(), code, text, None)),
            (
                Self::Overloaded {
                    id,
                    retry_after_seconds,
                }
                | Self::TooManySessions {
                    id,
                    retry_after_seconds,
                },
                Some(code),
            ) => {
                let data = ErrorData::Overload {
                    retry_after_seconds: *retry_after_seconds,
                };
                serde_json::to_vec(&RpcError::new(id.as_deref(), code, text, Some(data)))
            }
            (Self::UnsupportedVersion { id, requested }, Some(code)) => {
                let data = ErrorData::Versions {
                    requested,
                    supported: ProtocolVersion::KNOWN_VERSIONS,
                };
                serde_json::to_vec(&RpcError::new(id.as_deref(), code, text, Some(data)))
            }
            (_, Some(code)) => serde_json::to_vec(&RpcError::new(None, code, text, None)),
            (_, None) => serde_json::to_vec(&Plain { error: text }),
        };
        written.unwrap_or_default()
    }

    /// What a stream carries instead of an HTTP error that would end some clients: the JSON-RPC
    /// error. The inner `None` is for a message that nobody waits for an answer to.
    pub fn in_band(&self) -> Option<Option<Box<RawValue>>> {
        let id = match self {
            Self::OverLimit(over) => &over.id,
            Self::InsufficientScope(scope) => &scope.id,
            Self::Overloaded { id, .. } => id,
            _ => return None,
        };
        let told = || RawValue::from_string(String::from_utf8(self.body()).ok()?).ok();
        Some(id.as_ref().and_then(|_| told()))
    }

    fn challenge(&self) -> Option<&HeaderValue> {
        match self {
            Self::Unauthenticated { challenge, .. } | Self::TooManyFailures { challenge, .. } => {
                Some(challenge)
            }
            Self::InsufficientScope(scope) => Some(&scope.challenge),
            _ => None,
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::TooManyFailures {
                retry_after_seconds,
                ..
            }
            | Self::Overloaded {
                retry_after_seconds,
                ..
            }
            | Self::TooManySessions {
                retry_after_seconds,
                ..
            } => Some(*retry_after_seconds),
            Self::OverLimit(over) => Some(over.retry_after_seconds),
            Self::TooManyOpen
            | Self::AuditUnavailable
            | Self::TokensUnavailable
            | Self::Starting
            | Self::SessionAway
            | Self::NoSessionNow { .. }
            | Self::SessionSilent
            | Self::Draining => Some(1),
            _ => None,
        }
    }
}

impl OverLimit {
    fn rpc_error(&self) -> impl Serialize {
        let data = ErrorData::Limit {
            retry_after_seconds: self.retry_after_seconds,
            violated_policies: &self.policies,
        };
        RpcError::new(self.id.as_deref(), 429, &self.message, Some(data))
    }
}

/// The refusal itself rides along in the response's extensions, for a transport that has to say
/// it on a stream instead.
impl IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::OverLimit(over) = &self {
            headers.extend(over.headers.clone());
        }
        let allowed = match self {
            Self::OnlyPost => Some("POST"),
            Self::SessionMethod => Some("GET,POST,DELETE"),
            Self::OnlyGet => Some("GET,HEAD"),
            _ => None,
        };
        if let Some(allowed) = allowed {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn text(refusal: &Refusal) -> String {
        String::from_utf8(refusal.body()).unwrap()
    }

    #[test]
    fn a_limit_is_told_as_a_json_rpc_error_with_the_id_of_the_request() {
        let over = Refusal::OverLimit(Box::new(OverLimit {
            id: Some(RawValue::from_string("\"a\"".into()).unwrap()),
            message: "Rate limit exceeded (client, 60 per 1m). Retry after 7 seconds.".into(),
            retry_after_seconds: 7,
            policies: vec!["client"],
            headers: HeaderMap::new(),
        }));
        assert_eq!(
            text(&over),
            r#"{"jsonrpc":"2.0","id":"a","error":{"code":429,"message":"Rate limit exceeded (client, 60 per 1m). Retry after 7 seconds.","data":{"retryAfterSeconds":7,"violatedPolicies":["client"]}}}"#
        );
        let response = over.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }

    #[test]
    fn every_bad_key_hears_the_same_text_and_a_challenge() {
        let refusal = Refusal::Unauthenticated {
            why: Unproven::InvalidKey,
            challenge: HeaderValue::from_static("Bearer"),
        };
        assert_eq!(text(&refusal), r#"{"error":"Invalid API key"}"#);
        let response = refusal.into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
