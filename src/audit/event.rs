//! One event: a kind and the fields that are known, in stable names.

use std::{borrow::Cow, io::Write as _, net::IpAddr, sync::Arc};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use uuid::Uuid;

use super::{redact::Redacted, upstream::Requests};
use crate::telemetry::TraceId;

/// What an event says happened. The name in the log is the variant's in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "docs/audit.md says what each means")]
pub enum Kind {
    LogOpen,
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
    LinesLost,
    DrainBegin,
    DrainEnd,
    Checkpoint,
    LogHealed,
    LogClose,
}

/// One event before it gets its place in the chain. Absent fields are left out of the line.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "docs/audit.md has every field with its unit")]
pub struct Event {
    pub kind: Kind,
    pub execution_id: Option<Uuid>,
    pub request_id: Option<Uuid>,
    /// The trace that the request is part of, where traces are kept.
    pub trace_id: Option<TraceId>,
    pub session_id: Option<Arc<str>>,
    pub client_id: Option<Arc<str>>,
    pub user_id: Option<Arc<str>>,
    pub issuer: Option<Arc<str>>,
    pub role: Option<Arc<str>>,
    pub auth_method: Option<&'static str>,
    pub key_id: Option<Arc<str>>,
    pub ip: Option<IpAddr>,
    pub path: Option<&'static str>,
    pub transport: Option<&'static str>,
    pub tool_name: Option<Cow<'static, str>>,
    /// Made by [`super::Redactor::redact`] only.
    pub args: Option<Redacted>,
    pub duration_ms: Option<u64>,
    pub records_returned: Option<u64>,
    pub credits: Option<u32>,
    /// Of what a write made.
    pub record_id: Option<Box<str>>,
    pub outcome: Option<&'static str>,
    /// The answer came out of memory.
    pub cached: bool,
    /// Zoho's answer was to another call that asked the same at the same time.
    pub shared: bool,
    /// What Zoho was asked on the way.
    pub zoho: Requests,
    pub retry_after_seconds: Option<u64>,
    /// The request with which the client cancelled the call.
    pub cancelled_by: Option<Uuid>,
    /// How many events alike this one stands for.
    pub repeated: Option<u64>,
    pub policy: Option<Cow<'static, str>>,
    pub reason: Option<Cow<'static, str>>,
    pub error: Option<Cow<'static, str>>,
}

impl Event {
    /// An event of which nothing more is known yet.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            execution_id: None,
            request_id: None,
            trace_id: None,
            session_id: None,
            client_id: None,
            user_id: None,
            issuer: None,
            role: None,
            auth_method: None,
            key_id: None,
            ip: None,
            path: None,
            transport: None,
            tool_name: None,
            args: None,
            duration_ms: None,
            records_returned: None,
            credits: None,
            record_id: None,
            outcome: None,
            cached: false,
            shared: false,
            zoho: Requests::NONE,
            retry_after_seconds: None,
            cancelled_by: None,
            repeated: None,
            policy: None,
            reason: None,
            error: None,
        }
    }

    /// The line up to where its place in the chain follows: an object without its closing brace.
    pub(super) fn open_line(&self, at: Timestamp) -> Vec<u8> {
        let mut line = Line(Vec::with_capacity(1024));
        let (name, level) = self.kind.name_and_level();
        let level = if self.is_refused_reload() {
            "warn"
        } else {
            level
        };
        line.0.extend_from_slice(b"{\"timestamp\":\"");
        // It fails for no time that a clock shows.
        let _ = TIME.print_timestamp(&at, &mut line.0);
        line.0.push(b'"');
        line.word("level", level);
        line.word("event", name);
        line.id("executionId", self.execution_id);
        line.id("requestId", self.request_id);
        line.text("traceId", self.trace_id.map(|id| id.to_string()).as_deref());
        line.text("sessionId", self.session_id.as_deref());
        line.text("clientId", self.client_id.as_deref());
        line.text("userId", self.user_id.as_deref());
        line.text("issuer", self.issuer.as_deref());
        line.text("role", self.role.as_deref());
        line.text("authMethod", self.auth_method);
        line.text("keyId", self.key_id.as_deref());
        line.address("ip", self.ip);
        line.text("path", self.path);
        line.text("transport", self.transport);
        line.text("toolName", self.tool_name.as_deref());
        if let Some(args) = &self.args {
            line.name("args");
            line.0.extend_from_slice(args.json().as_bytes());
        }
        line.number("durationMs", self.duration_ms);
        line.number("recordsReturned", self.records_returned);
        line.number("credits", self.credits.map(u64::from));
        line.text("recordId", self.record_id.as_deref());
        line.text("outcome", self.outcome);
        if self.cached {
            line.0.extend_from_slice(b",\"cached\":true");
        }
        if self.shared {
            line.0.extend_from_slice(b",\"shared\":true");
        }
        self.zoho.write(&mut line.0);
        line.number("retryAfterSeconds", self.retry_after_seconds);
        line.id("cancelledBy", self.cancelled_by);
        line.number("repeated", self.repeated);
        line.text("policy", self.policy.as_deref());
        line.text("reason", self.reason.as_deref());
        line.text("error", self.error.as_deref());
        line.0
    }
}

impl Event {
    /// Whether something new could not be used, so that what was there goes on.
    fn is_refused_reload(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        matches!(self.kind, Kind::ConfigReload | Kind::KeysReload)
            && reason.contains("last_good_keeps_serving")
    }
}

impl Kind {
    /// As the log has it.
    pub const fn name(self) -> &'static str {
        self.name_and_level().0
    }

    const fn name_and_level(self) -> (&'static str, &'static str) {
        match self {
            Self::LogOpen => ("log_open", "info"),
            Self::AuthSuccess => ("auth_success", "info"),
            Self::AuthFailed => ("auth_failed", "warn"),
            Self::ToolAccessDenied => ("tool_access_denied", "warn"),
            Self::RateLimitExceeded => ("rate_limit_exceeded", "warn"),
            Self::ToolCallStart => ("tool_call_start", "info"),
            Self::ToolCallSuccess => ("tool_call_success", "info"),
            Self::ToolCallError => ("tool_call_error", "error"),
            Self::ToolCallCancelled => ("tool_call_cancelled", "warn"),
            Self::SessionOpen => ("session_open", "info"),
            Self::SessionClose => ("session_close", "info"),
            Self::ConfigReload => ("config_reload", "info"),
            Self::KeysReload => ("keys_reload", "info"),
            Self::LimiterMode => ("limiter_mode", "warn"),
            Self::BreakerState => ("breaker_state", "warn"),
            Self::LinesLost => ("lines_lost", "error"),
            Self::DrainBegin => ("drain_begin", "info"),
            Self::DrainEnd => ("drain_end", "info"),
            Self::Checkpoint => ("checkpoint", "info"),
            Self::LogHealed => ("log_healed", "warn"),
            Self::LogClose => ("log_close", "info"),
        }
    }
}

struct Line(Vec<u8>);

impl Line {
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn id(&mut self, name: &str, id: Option<Uuid>) {
        if let Some(id) = id {
            let mut text = Uuid::encode_buffer();
            self.word(name, id.as_hyphenated().encode_lower(&mut text));
        }
    }

    fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.name(name);
            number(&mut self.0, value);
        }
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.name(name);
            string(&mut self.0, text, MAX_TEXT);
        }
    }

    fn address(&mut self, name: &str, ip: Option<IpAddr>) {
        if let Some(ip) = ip {
            self.name(name);
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut self.0, &ip);
        }
    }

    /// Of ours, without a character that JSON would escape.
    fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
    }
}

/// To the millisecond, as every time in the log.
const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
/// Characters of one text field.
const MAX_TEXT: usize = 500;

/// What a reader would take for a line end, for a command, or not see at all: controls, separators
/// and marks that change the direction of a text.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// A number in digits: what the formatting machinery would do at several times the price.
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, &value);
}

/// A JSON string of at most `max` characters. What a terminal or a log reader could take for a
/// line end or a command is escaped, not only what JSON demands.
pub(super) fn string(out: &mut Vec<u8>, text: &str, max: usize) {
    out.push(b'"');
    if text.len() <= max && text.bytes().all(is_plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(out, text, max);
    }
    out.push(b'"');
}

/// Visible ASCII that stands for itself: nearly every text that we write.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn escaped(out: &mut Vec<u8>, text: &str, max: usize) {
    let mut units = [0_u16; 2];
    for c in text.chars().take(max) {
        let hidden = is_hidden(c);
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            _ if hidden => {
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if text.chars().nth(max).is_some() {
        out.extend_from_slice("…".as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_and_addresses_stand_as_they_are_shown(
            millis in -1_000_000_000_000_i64..10_000_000_000_000,
            micros in 0_i64..1000,
            ip: IpAddr,
        ) {
            let at = Timestamp::from_microsecond(millis * 1000 + micros).unwrap();
            let event = Event { ip: Some(ip), ..Event::new(Kind::AuthFailed) };
            let expected = format!(
                "{{\"timestamp\":\"{at:.3}\",\"level\":\"warn\",\"event\":\"auth_failed\",\"ip\":\"{ip}\""
            );
            prop_assert_eq!(String::from_utf8(event.open_line(at)).unwrap(), expected);
        }
    }
}
