//! What helps after a call that failed, or that did not come to its end.

use serde_json::Value;

use super::{
    super::{failure::failure, telling::session},
    Remedy, Settings, UNHEARD_OF, of_line, path,
};

pub(super) fn failed(line: &Value) -> Remedy {
    let error = of_line(line, "error");
    let reason = line["reason"].as_str();
    let (what, setting) = reason
        .and_then(|reason| because(error, reason))
        .or_else(|| ours(error))
        .or_else(|| zohos(error))
        .unwrap_or((UNHEARD_OF, None));
    Remedy {
        why: format!("the call {}", failure(line)),
        what: what.to_owned(),
        setting,
        and: Vec::new(),
    }
}

type Advice = (&'static str, Option<Vec<String>>);

/// Where the word for the failure leaves open what to do.
fn because(error: &str, reason: &str) -> Option<Advice> {
    Some(match (error, reason) {
        ("zoho_unavailable", "breaker_open") => (
            "wait: Zoho had not answered before, so the daemon did not ask. It looks again by itself, and breaker_state says when it answers",
            None,
        ),
        ("zoho_unavailable", "no_access_token") => (
            "wait: Zoho's accounts server, not its API, did not answer well. It is asked again by itself; if it stays, `zoho-mcp check --online` says more",
            path(["zoho", "data_center"]),
        ),
        ("zoho_unavailable", "too_large") => ("ask for less: fewer records, a shorter time", None),
        ("zoho_unavailable", "unreadable") => (
            "try again; if it stays, something else than Zoho answers, such as a proxy on the way",
            None,
        ),
        // More at once would make it worse.
        ("zoho_busy", "throttled_by_zoho") => (
            "Zoho itself said that it was asked too much at once: try again, let fewer requests go at once, and see what else asks Zoho",
            path(["zoho", "concurrency"]),
        ),
        ("zoho_user", "too_many_reports") => ("give the client another visibility", None),
        _ => return None,
    })
}

fn ours(error: &str) -> Option<Advice> {
    Some(match error {
        "invalid_arguments" => (
            "none: the agent has to send what the tool's schema asks for",
            None,
        ),
        "timeout" | "deadline_exceeded" => (
            "ask for less, or allow more time",
            path(["mcp", "tool_timeout"]),
        ),
        "audit_unavailable" => (
            "mend the audit log; until then calls are refused as configured",
            path(["audit", "on_failure"]),
        ),
        "duplicate" => (
            "none: there is such a record already, and nothing was written",
            None,
        ),
        "stage_changed" => (
            "none: somebody moved the deal meanwhile; the agent was told where it is now",
            None,
        ),
        "unknown_stage" => ("none: the agent was told the stages that there are", None),
        "idempotency_key_reused" => (
            "none: the agent used one idempotency_key for two writes, and has to take a new one",
            None,
        ),
        "idempotency_key_in_use" => (
            "wait for the first call with that idempotency_key, then repeat it",
            None,
        ),
        "idempotency_key_unsettled" => (
            "wait as long as the agent was told: Zoho may still write the first call with that idempotency_key, so nothing is sent a second time before",
            path(["zoho", "request_timeout"]),
        ),
        "idempotency_keys_exhausted" => (
            "the client used so many keys that no more are kept: wait, or write without a key where a second copy does no harm",
            None,
        ),
        "idempotency_keys_unavailable" => (
            "Redis did not answer, and nothing was written: `zoho-mcp check --online` says why",
            path(["redis", "url"]),
        ),
        "panic" | "internal" => (
            "a fault of the daemon: the operational log of that time has its place; report it",
            None,
        ),
        _ => return None,
    })
}

fn zohos(error: &str) -> Option<Advice> {
    Some(match error {
        "not_found" => (
            "none: there is no such record, or the caller may not see it",
            None,
        ),
        "zoho_refused_input" => ("none: the agent has to ask otherwise", None),
        "too_many_matches" => ("none: the agent has to narrow its search", None),
        "zoho_forbidden" => (
            "give the CRM user behind the credentials the permission, in Zoho",
            path(["zoho", "credentials"]),
        ),
        "zoho_conflict" => (
            "none: the record is locked or was changed meanwhile; read it again first",
            None,
        ),
        "zoho_busy" => (
            "try again, or allow more at once",
            path(["zoho", "concurrency"]),
        ),
        "overloaded" => (
            "more calls waited for Zoho than it could answer in time: allow more at once, if Zoho does, or a longer wait",
            path(["zoho", "max_wait"]),
        ),
        "zoho_credentials" => (
            "`zoho-mcp check --online` says what Zoho does not accept",
            path(["zoho", "credentials"]),
        ),
        "zoho_token_refused" => (
            "Zoho does not take the tokens that it makes: it is tried again by itself; if it stays, `zoho-mcp check --online` says more",
            path(["zoho", "credentials"]),
        ),
        "zoho_token_throttled" => (
            "wait, it passes by itself: Zoho makes ten tokens in ten minutes for one grant. If several instances run, let them share one token",
            path(["zoho", "token_key"]),
        ),
        "zoho_user" => (
            "the caller has to be an active CRM user, with credentials that Zoho accepts as theirs",
            path(["zoho", "user_credentials"]),
        ),
        "zoho_unavailable" => (
            "Zoho did not answer, and nothing was changed: try again",
            None,
        ),
        "ambiguous_write" => (
            "Zoho did not answer whether it wrote: look before it is repeated",
            None,
        ),
        _ => return None,
    })
}

pub(super) fn cancelled(line: &Value, settings: &Settings<'_>) -> Remedy {
    let reason = of_line(line, "reason");
    let (why, what, setting) = match reason {
        "cancelled" => (
            "the client cancelled the call",
            "let the client wait longer, or ask for less",
            None,
        ),
        "client_gone" => (
            "the client went away: it closed the connection of the call, or it broke",
            "let the client wait longer, or ask for less; or see what closes connections on the way",
            None,
        ),
        "drain" => (
            "the daemon was told to end, and the call had not ended in time",
            "call again, a tool that writes only after a look in Zoho; or allow calls more time at the end",
            path(["server", "drain_timeout"]),
        ),
        "deleted" => (
            "the client ended its session while the call ran",
            "let the client wait for its calls before it ends the session; after a tool that writes, look in Zoho",
            None,
        ),
        "ended" | "too_old" => (
            "the stream or session ended that the call was to be answered on",
            "open another, and read it; after a tool that writes, look in Zoho",
            None,
        ),
        // What proved the caller was taken away, or has ended.
        _ => return super::door::not_proven(line, settings),
    };
    Remedy {
        why: why.into(),
        what: what.into(),
        setting,
        and: Vec::new(),
    }
}

/// `None` for a stream that ended as streams do.
pub(super) fn stream_ended(line: &Value, settings: &Settings<'_>) -> Option<Remedy> {
    let told = |why: &str, what: &str| Remedy {
        why: why.into(),
        what: what.into(),
        setting: None,
        and: Vec::new(),
    };
    match of_line(line, "reason") {
        "disconnected" | "deleted" => None,
        "ended" => Some(told(
            &format!(
                "the daemon ended the {}: it goes down, or its reader had stalled",
                session(line)
            ),
            "open another, and read it",
        )),
        "expired" => Some(told(
            "nobody used the session for too long, it was too old, or Redis has lost it",
            "open another",
        )),
        "too_old" => Some(told(
            &format!("a {} may only be so old", session(line)),
            "open another: credentials are looked at anew then",
        )),
        _ => Some(super::door::not_proven(line, settings)),
    }
}
