//! One event: a kind and the fields that are known, in stable names.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

/// What an event says happened. The name in the log is the variant's in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    AuthSuccess,
    AuthFailed,
    ToolAccessDenied,
    RateLimitExceeded,
    ToolCallStart,
    ToolCallSuccess,
    ToolCallError,
    ToolCallCancelled,
    SessionOpen,
    SessionClose,
    ConfigReload,
    KeysReload,
    LimiterMode,
    BreakerState,
    DrainBegin,
    DrainEnd,
}

/// How loud an event is; each [`Kind`] has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// One event before it gets its place in the chain. Absent fields are left out of the line.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the names are the documentation; docs/audit.md has the units"
)]
pub struct Event {
    pub kind: Kind,
    pub execution_id: Option<uuid::Uuid>,
    pub request_id: Option<uuid::Uuid>,
    pub client_id: Option<Arc<str>>,
    pub user_id: Option<Arc<str>>,
    pub role: Option<Arc<str>>,
    pub auth_method: Option<&'static str>,
    pub key_id: Option<Arc<str>>,
    pub ip: Option<IpAddr>,
    pub path: Option<&'static str>,
    pub transport: Option<&'static str>,
    pub tool_name: Option<Cow<'static, str>>,
    /// Already redacted; made by [`super::Redactor::redact`] only.
    pub args: Option<super::redact::Redacted>,
    pub duration_ms: Option<u64>,
    pub records_returned: Option<u64>,
    pub credits: Option<u32>,
    pub retry_after_seconds: Option<u64>,
    pub policy: Option<Cow<'static, str>>,
    pub reason: Option<Cow<'static, str>>,
    pub error: Option<Cow<'static, str>>,
}
