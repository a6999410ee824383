//! Every event that is recorded is counted as well: one place, and the labels are words of ours or
//! names from the configuration, never a caller's text.

use std::borrow::Cow;

use metrics::{SharedString, counter, gauge, histogram};

use super::{Event, Kind};
use crate::telemetry::{self, limiter_mode};

/// Counts an event.
pub(super) fn count(event: &Event) {
    let reason = || label(event.reason.as_ref());
    match event.kind {
        Kind::AuthSuccess => {
            counter!("zoho_mcp_logins_total", "outcome" => "success", "reason" => "").increment(1)
        }
        Kind::AuthFailed => {
            // A line may stand for many that have none of their own.
            counter!("zoho_mcp_logins_total", "outcome" => "failed", "reason" => reason())
                .increment(event.repeated.unwrap_or(1))
        }
        Kind::ToolAccessDenied => {
            counter!("zoho_mcp_denied_total", "reason" => reason()).increment(1)
        }
        Kind::RateLimitExceeded => {
            let mode = if event.reason.as_deref() == Some("shadow") {
                "shadow"
            } else {
                "enforce"
            };
            counter!("zoho_mcp_limited_total", "dimension" => dimension(event), "mode" => mode)
                .increment(1);
        }
        Kind::LimiterMode => limiter_mode(event.reason.as_deref().unwrap_or_default()),
        Kind::ToolCallStart => gauge!("zoho_mcp_calls_in_flight").increment(1),
        Kind::ToolCallSuccess => ended(event, "success"),
        Kind::ToolCallError => {
            let error = label(event.error.as_ref());
            counter!("zoho_mcp_tool_errors_total", "tool" => tool(event), "error" => error)
                .increment(1);
            ended(event, "error");
        }
        Kind::ToolCallCancelled => ended(event, "cancelled"),
        Kind::SessionOpen => gauge!("zoho_mcp_sessions_open").increment(1),
        Kind::SessionClose => gauge!("zoho_mcp_sessions_open").decrement(1),
        Kind::ConfigReload | Kind::KeysReload => {
            counter!("zoho_mcp_reloads_total", "event" => event.kind.name(), "outcome" => reason())
                .increment(1);
        }
        Kind::LogOpen
        | Kind::BreakerState
        | Kind::LinesLost
        | Kind::DrainBegin
        | Kind::DrainEnd
        | Kind::Checkpoint
        | Kind::LogHealed
        | Kind::LogClose => {}
    }
}

/// A line found no room.
pub(super) fn lost() {
    counter!("zoho_mcp_audit_lines_lost_total").increment(1);
}

/// A call was not made, since its lines would have found none.
pub(super) fn refused(client: &std::sync::Arc<str>) {
    let client = SharedString::from_shared(client.clone());
    counter!("zoho_mcp_audit_calls_refused_total", "client" => client).increment(1);
}

fn ended(event: &Event, outcome: &'static str) {
    telemetry::ended(telemetry::Ended {
        tool: event.tool_name.as_deref().unwrap_or_default(),
        outcome,
        millis: event.duration_ms.unwrap_or(0),
        records: event.records_returned.unwrap_or(0),
        credits: event.credits.unwrap_or(0),
    });
    let tool = tool(event);
    gauge!("zoho_mcp_calls_in_flight").decrement(1);
    counter!("zoho_mcp_tool_calls_total", "tool" => tool.clone(), "outcome" => outcome)
        .increment(1);
    if let Some(millis) = event.duration_ms {
        let seconds = std::time::Duration::from_millis(millis).as_secs_f64();
        histogram!("zoho_mcp_tool_call_duration_seconds", "tool" => tool.clone(), "outcome" => outcome)
            .record(seconds);
    }
    if event.cached {
        counter!("zoho_mcp_cached_answers_total", "tool" => tool.clone()).increment(1);
    }
    if let Some(records) = event.records_returned {
        counter!("zoho_mcp_records_returned_total", "tool" => tool.clone()).increment(records);
    }
    if let (Some(credits), Some(client)) = (event.credits, &event.client_id) {
        let client = SharedString::from_shared(client.clone());
        counter!("zoho_mcp_credits_total", "client" => client, "tool" => tool)
            .increment(credits.into());
    }
}

fn tool(event: &Event) -> SharedString {
    label(event.tool_name.as_ref())
}

/// `client, 60 per 1m; global, 500 per 1m` is about `client` before all.
fn dimension(event: &Event) -> SharedString {
    let policy = event.policy.as_deref().unwrap_or_default();
    let end = policy.find([',', ';']).unwrap_or(policy.len());
    policy.get(..end).unwrap_or_default().to_owned().into()
}

fn label(text: Option<&Cow<'static, str>>) -> SharedString {
    match text {
        Some(Cow::Borrowed(text)) => SharedString::const_str(text),
        Some(Cow::Owned(text)) => text.clone().into(),
        None => SharedString::const_str(""),
    }
}
