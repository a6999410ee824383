//! Every way to say no, and the one response that each becomes. No other file knows a status code
//! for a refusal. What a caller hears here is all it hears; the reasons are in the audit log.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::value::RawValue;

/// A request that goes no further.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The `Host` is none of ours.
    Host,
    /// The `Origin` is not allowed.
    Origin,
    /// No credential was sent.
    NoCredential,
    /// The credential is bad, whatever is wrong with it.
    InvalidKey,
    /// A bearer token that is none of ours.
    InvalidToken,
    /// A client certificate that is not accepted, whatever is wrong with it.
    InvalidCertificate,
    /// Two credentials that disagree.
    CredentialsDisagree,
    /// Too many failed logins from this address.
    TooManyFailures {
        /// Until the next try counts.
        retry_after_seconds: u64,
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
    /// Over a limit.
    OverLimit(Box<OverLimit>),
    /// There is no such session for this caller.
    NoSession,
    /// The caller has too many streams or calls open.
    TooManyOpen,
    /// The audit log cannot take a line, so nothing may happen.
    AuditUnavailable,
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
    /// The status, and the text of the body.
    const fn outline(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Host => (
                StatusCode::FORBIDDEN,
                "Host not allowed. Set server.public_url or server.hosts in the configuration to the name that clients use",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "Origin not allowed. Add it to server.origins in the configuration",
            ),
            Self::NoCredential => (StatusCode::UNAUTHORIZED, "API key required"),
            Self::InvalidKey => (StatusCode::UNAUTHORIZED, "Invalid API key"),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "Invalid token"),
            Self::InvalidCertificate => (StatusCode::UNAUTHORIZED, "Invalid client certificate"),
            Self::CredentialsDisagree => (
                StatusCode::UNAUTHORIZED,
                "More than one credential was sent. Send exactly one",
            ),
            Self::TooManyFailures { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many failed logins. Try again later",
            ),
            Self::Unreadable { problem, .. } => (StatusCode::BAD_REQUEST, problem),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "The request body is too large",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "The request body took too long",
            ),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the request body as content-type: application/json",
            ),
            Self::HeaderMismatch { problem, .. } => (StatusCode::BAD_REQUEST, problem),
            Self::OverLimit(_) => (StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded"),
            Self::NoSession => (
                StatusCode::NOT_FOUND,
                "No such session. Open a new one with GET /sse",
            ),
            Self::TooManyOpen => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many calls or streams are open. Let some finish first",
            ),
            Self::AuditUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The service cannot take calls at the moment",
            ),
            Self::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is going down. Connect again",
            ),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
        }
    }

    /// Whether the body is a JSON-RPC error rather than `{"error":"…"}`, and with which code.
    /// Codes of our own are the status numbers; the others are the specification's.
    fn rpc_code(&self) -> Option<i64> {
        match self {
            Self::Unreadable { code, .. } => Some(*code),
            Self::HeaderMismatch { .. } => Some(-32020),
            Self::TooLarge
            | Self::TooSlow
            | Self::MediaType
            | Self::TooManyOpen
            | Self::AuditUnavailable
            | Self::OverLimit(_) => Some(i64::from(self.outline().0.as_u16())),
            Self::Host
            | Self::Origin
            | Self::NoCredential
            | Self::InvalidKey
            | Self::InvalidToken
            | Self::InvalidCertificate
            | Self::CredentialsDisagree
            | Self::TooManyFailures { .. }
            | Self::NoSession
            | Self::Draining
            | Self::Internal => None,
        }
    }

    fn body(&self) -> Vec<u8> {
        let (_, text) = self.outline();
        let written = match (self, self.rpc_code()) {
            (Self::OverLimit(over), _) => serde_json::to_vec(&over.rpc_error()),
            (Self::Unreadable { id, .. } | Self::HeaderMismatch { id, .. }, Some(code)) => {
                serde_json::to_vec(&RpcError::new(id.as_deref(), code, text, None))
            }
            (_, Some(code)) => serde_json::to_vec(&RpcError::new(None, code, text, None)),
            (_, None) => serde_json::to_vec(&Plain { error: text }),
        };
        written.unwrap_or_default()
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::TooManyFailures {
                retry_after_seconds,
            } => Some(*retry_after_seconds),
            Self::OverLimit(over) => Some(over.retry_after_seconds),
            Self::TooManyOpen | Self::AuditUnavailable | Self::Draining => Some(1),
            _ => None,
        }
    }
}

impl OverLimit {
    /// The JSON-RPC error of this refusal, which a stream carries as it is.
    pub fn rpc_error(&self) -> impl Serialize {
        let data = LimitData {
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
        let (status, _) = self.outline();
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"zoho-mcp\""),
            );
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::OverLimit(over) = &self {
            headers.extend(over.headers.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct RpcError<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: RpcErrorBody<'a>,
}

#[derive(Serialize)]
struct RpcErrorBody<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<LimitData<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LimitData<'a> {
    retry_after_seconds: u64,
    violated_policies: &'a [&'static str],
}

impl<'a> RpcError<'a> {
    fn new(
        id: Option<&'a RawValue>,
        code: i64,
        message: &'a str,
        data: Option<LimitData<'a>>,
    ) -> Self {
        Self {
            jsonrpc: "2.0",
            id,
            error: RpcErrorBody {
                code,
                message,
                data,
            },
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(text(&Refusal::InvalidKey), r#"{"error":"Invalid API key"}"#);
        let response = Refusal::InvalidKey.into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
