//! Lines of the log in plain words.

use std::io::{self, Write};

use serde_json::Value;

use super::{
    effect,
    failure::{failure, unasked},
    fate::Fate,
    page::{Page, count},
    reason::{because, means_of},
    shortfall,
};

/// What is known of a call besides its first line.
#[derive(Clone, Copy, Default)]
pub(super) struct Course<'a> {
    pub(super) end: Option<&'a Value>,
    /// Whether a limit that only watches has seen it.
    pub(super) over: bool,
    /// What became of its run.
    pub(super) fate: Fate,
    /// Of whom it is told, where that is one client.
    pub(super) client: Option<&'a str>,
}

/// Tells one thing that happened: a line by itself, or the first and the last line of a call.
pub(super) fn tell(line: &Value, course: Course<'_>, out: &mut Page<impl Write>) -> io::Result<()> {
    let client = text(line, "clientId").unwrap_or("somebody unknown");
    let tool = text(line, "toolName").unwrap_or("a tool that does not exist");
    let at = text(line, "timestamp").unwrap_or("at an unknown time");
    let what = match text(line, "event").unwrap_or_default() {
        "tool_call_start" => format!("{client} called {tool}"),
        "auth_success" => format!("{client} proved who it is"),
        "auth_failed" if line["clientId"].is_string() => {
            format!("{client} tried what is another caller's")
        }
        "auth_failed" => "a login was refused".into(),
        "tool_access_denied" => format!("{client} was not permitted to call {tool}"),
        "rate_limit_exceeded" if is_shadow(line) => {
            format!("{client} was over a limit that only watches, and was let through")
        }
        "rate_limit_exceeded" => over_limit(line, client),
        "tool_call_success" => format!("{tool} answered {client}"),
        "tool_call_error" => format!("{tool} failed for {client}"),
        "tool_call_cancelled" => format!("{tool} was cut off for {client}"),
        "lines_lost" => "the log had no room for a while".into(),
        "session_open" => format!("{client} opened a {}", session(line)),
        "session_close" => format!("the {} of {client} ended", session(line)),
        event => event.replace('_', " "),
    };
    writeln!(out, "{at}  {what}")?;
    who(line, out)?;
    match text(line, "event").unwrap_or_default() {
        "tool_call_start" => call(line, course, out)?,
        // Its beginning is not in the log, or was not asked for.
        "tool_call_success" | "tool_call_error" | "tool_call_cancelled" => result(line, out)?,
        "lines_lost" => shortfall::tell(line, course, out)?,
        _ => refusal(line, out)?,
    }
    writeln!(out)
}

/// What a client opens by that path.
pub(super) fn session(line: &Value) -> &'static str {
    match text(line, "path") {
        Some("/mcp") => "session",
        _ => "stream",
    }
}

/// Whether it was over a limit is not known of a caller who could not be counted.
fn over_limit(line: &Value, client: &str) -> String {
    let was = match text(line, "reason") {
        Some("store_unavailable") => "could not be counted",
        Some("share") => "was over this instance's share of a limit",
        _ => "was over a limit",
    };
    match (text(line, "toolName"), text(line, "reason")) {
        (Some(tool), Some("store_unavailable")) => {
            format!("{client} {was}, and was not let through to {tool}")
        }
        (Some(tool), _) => format!("{client} {was}, and not let through to {tool}"),
        (None, Some("store_unavailable")) => format!("{client} {was}, and was not let through"),
        (None, _) => format!("{client} {was}"),
    }
}

fn who(line: &Value, out: &mut Page<impl Write>) -> io::Result<()> {
    let mut parts = Vec::new();
    let is_nobody = line["event"] == "auth_failed" && !line["clientId"].is_string();
    let proof = if is_nobody {
        "tried with "
    } else {
        "proven by "
    };
    let named = [
        ("user ", "userId"),
        ("of ", "issuer"),
        ("role ", "role"),
        (proof, "authMethod"),
        ("key ", "keyId"),
        ("from ", "ip"),
        ("at ", "path"),
        ("session ", "sessionId"),
    ];
    for (word, name) in named {
        parts.extend(text(line, name).map(|value| format!("{word}{value}")));
    }
    if !parts.is_empty() {
        writeln!(out, "  who      {}", parts.join(", "))?;
    }
    let ids = [
        ("execution", "executionId"),
        ("request", "requestId"),
        ("instance", "instance"),
    ];
    let ids = ids.map(|(word, name)| text(line, name).map(|id| format!("{word} {id}")));
    let ids: Vec<_> = ids.into_iter().flatten().collect();
    if !ids.is_empty() {
        writeln!(out, "  ids      {}", ids.join(", "))?;
    }
    Ok(())
}

fn call(start: &Value, course: Course<'_>, out: &mut Page<impl Write>) -> io::Result<()> {
    let Course {
        end, over, fate, ..
    } = course;
    writeln!(out, "  asked    {}", arguments(&start["args"]))?;
    let role = text(start, "role").unwrap_or("?");
    let within = if over {
        "over a limit that only watches"
    } else {
        "within its limits"
    };
    writeln!(out, "  allowed  by role {role}, {within}")?;
    match end {
        Some(end) => result(end, out)?,
        None => writeln!(
            out,
            "  result   unknown: the log does not say how it ended; {}",
            fate.words()
        )?,
    }
    match effect::in_doubt(Some(start), end) {
        Some(doubt) => writeln!(out, "  effect   {doubt}"),
        None => Ok(()),
    }
}

fn result(end: &Value, out: &mut Page<impl Write>) -> io::Result<()> {
    for request in end["zoho"].as_array().into_iter().flatten() {
        let (method, route) = (text(request, "method"), text(request, "route"));
        let (ms, credits) = (&request["ms"], &request["credits"]);
        let came = match (&request["status"], text(request, "problem")) {
            (Value::Number(status), _) => format!("answered {status} in {ms} ms"),
            // Nobody has seen its end.
            (_, Some("no_answer")) => "was not waited for".into(),
            (_, problem) => format!("failed: {} in {ms} ms", problem.unwrap_or("?")),
        };
        let (method, route) = (method.unwrap_or("?"), route.unwrap_or("?"));
        let credits = count(credits, "credit");
        writeln!(out, "  zoho     {method} {route} {came}, {credits}")?;
    }
    let shown = end["zoho"].as_array().map_or(0, Vec::len) as u64;
    let asked = end["zohoRequests"].as_u64().unwrap_or(0);
    if asked == 0 {
        writeln!(out, "  zoho     {}", unasked(end))?;
    } else if asked > shown {
        let more = count(asked - shown, "more request");
        writeln!(out, "  zoho     and {more}")?;
    }
    if asked > 0 && end["shared"] == true {
        writeln!(
            out,
            "  zoho     answered another call at the same time, which this one shared"
        )?;
    }
    let outcome = match text(end, "event").unwrap_or_default() {
        "tool_call_success" => count(&end["recordsReturned"], "record"),
        "tool_call_cancelled" => match text(end, "reason") {
            Some("cancelled") => match text(end, "cancelledBy") {
                Some(request) => format!("cancelled by the client, with request {request}"),
                None => "cancelled by the client".into(),
            },
            Some("client_gone") => "cut off: the client went away".into(),
            Some("drain") => "cut off: the daemon went down".into(),
            Some("deleted") => "cut off: the client ended its session".into(),
            Some(reason) => match means_of(end, reason) {
                Some(means) => format!("cut off: {means}"),
                None => format!("cut off: {}", reason.replace('_', " ")),
            },
            None => "cut off".into(),
        },
        _ => failure(end),
    };
    let outcome = match written(end) {
        Some(written) if text(end, "event") == Some("tool_call_success") => written,
        Some(written) => format!("{outcome}, but {written}"),
        None => outcome,
    };
    let (ms, credits) = (&end["durationMs"], count(&end["credits"], "credit"));
    writeln!(out, "  result   {outcome}, after {ms} ms, for {credits}")?;
    advice(end, out)
}

/// What a write did.
fn written(end: &Value) -> Option<String> {
    let (outcome, record) = (text(end, "outcome")?, text(end, "recordId")?);
    Some(format!("{outcome} record {record}"))
}

/// When the caller was told to come back.
fn advice(line: &Value, out: &mut Page<impl Write>) -> io::Result<()> {
    match line["retryAfterSeconds"].as_u64() {
        Some(seconds) => {
            let seconds = count(seconds, "second");
            writeln!(out, "  told     to come back after {seconds}")
        }
        None => Ok(()),
    }
}

fn refusal(line: &Value, out: &mut Page<impl Write>) -> io::Result<()> {
    if is_shadow(line) {
        let policy = text(line, "policy").unwrap_or("?");
        return writeln!(out, "  over     the limit {policy}, but it only watches");
    }
    if let Some(policy) = text(line, "policy") {
        writeln!(out, "  refused  by the limit {policy}")?;
    }
    advice(line, out)?;
    if text(line, "previousEnd") == Some("cut_off") {
        let unended = match line["previousUnended"].as_u64() {
            Some(calls) => format!("; calls of it without an end: {calls}"),
            None => String::new(),
        };
        writeln!(
            out,
            "  before   the run before did not close its log: it was killed, or could not write its end{unended}"
        )?;
    }
    match text(line, "reason") {
        Some(reason) => writeln!(out, "  because  {}", because(line, reason)),
        None => Ok(()),
    }
}

fn arguments(args: &Value) -> String {
    let Some(args) = args.as_object().filter(|args| !args.is_empty()) else {
        return "without arguments".into();
    };
    let shown = args.iter().map(|(name, value)| match value {
        value if name == "unknownArgs" => {
            format!("{} that the tool does not have", count(value, "argument"))
        }
        Value::String(text) if text.starts_with("hmac:") => format!("{name} (personal: {text})"),
        Value::String(text) => format!("{name} {text}"),
        Value::Object(of) if of.contains_key("chars") => {
            format!("{name} ({})", count(&of["chars"], "character"))
        }
        value => format!("{name} {value}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Whether a limit would have refused, were it enforced.
pub(super) fn is_shadow(line: &Value) -> bool {
    line["event"] == "rate_limit_exceeded" && line["reason"] == "shadow"
}

pub(super) fn text<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line[name].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(line: &Value, end: Option<&Value>, over: bool) -> String {
        let mut out = Vec::new();
        let course = Course {
            end,
            over,
            ..Course::default()
        };
        tell(line, course, &mut Page::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_call_is_told_to_have_been_within_its_limits_only_if_it_was() {
        let start = json!({ "event": "tool_call_start", "role": "r" });
        assert!(told(&start, None, false).contains("within its limits"));
        let over = told(&start, None, true);
        assert!(over.contains("over a limit that only watches") && !over.contains("within"));
        let line = json!({ "event": "rate_limit_exceeded", "reason": "shadow", "policy": "client",
            "retryAfterSeconds": 3 });
        let shadow = told(&line, None, false);
        assert!(
            !shadow.contains("refused") && !shadow.contains("come back"),
            "{shadow}"
        );
    }

    #[test]
    fn who_ended_a_call_is_told_as_it_was() {
        let start = json!({ "event": "tool_call_start" });
        for (reason, wanted) in [
            ("cancelled", "cancelled by the client"),
            ("client_gone", "cut off: the client went away"),
            ("drain", "cut off: the daemon went down"),
            ("deleted", "cut off: the client ended its session"),
            ("key_revoked", "cut off: the key was revoked"),
        ] {
            let end = json!({ "event": "tool_call_cancelled", "reason": reason });
            assert!(told(&start, Some(&end), false).contains(wanted), "{reason}");
        }
        let by =
            json!({ "event": "tool_call_cancelled", "reason": "cancelled", "cancelledBy": "r" });
        let wanted = "cancelled by the client, with request r, after";
        assert!(told(&start, Some(&by), false).contains(wanted));
    }

    #[test]
    fn what_would_draw_on_the_screen_is_escaped() {
        let line = json!({ "event": "auth_success", "clientId": "a\u{202e}b\n\u{1b}[2J" });
        let told = told(&line, None, false);
        assert!(told.contains("a\\u202eb\\u000a\\u001b[2J proved"), "{told}");
    }

    #[test]
    fn a_line_says_who_did_what_with_which_tool() {
        for (line, wanted) in [
            (
                json!({ "event": "rate_limit_exceeded", "clientId": "a", "toolName": "t", "policy": "client" }),
                "a was over a limit, and not let through to t",
            ),
            (
                json!({ "event": "rate_limit_exceeded", "clientId": "a", "toolName": "t", "reason": "store_unavailable" }),
                "a could not be counted, and was not let through to t",
            ),
            (
                json!({ "event": "rate_limit_exceeded", "clientId": "a", "toolName": "t", "reason": "share" }),
                "a was over this instance's share of a limit, and not let through to t",
            ),
            (
                json!({ "event": "tool_call_success", "cached": true }),
                "zoho     was not asked: the answer is one that [cache] kept",
            ),
            (
                json!({ "event": "tool_call_success", "shared": true }),
                "zoho     was asked by another call at the same time, whose answer this one got too",
            ),
            (
                json!({ "event": "auth_failed", "authMethod": "jwt", "reason": "token_expired" }),
                "who      tried with jwt",
            ),
            (
                json!({ "event": "auth_failed", "clientId": "a", "authMethod": "jwt", "reason": "foreign_session" }),
                "a tried what is another caller's\n  who      proven by jwt",
            ),
            (
                json!({ "event": "tool_call_error", "clientId": "a", "toolName": "t", "error": "timeout", "durationMs": 3 }),
                "t failed for a\n  zoho     was not asked\n  result   failed: timeout",
            ),
        ] {
            let told = told(&line, None, false);
            assert!(told.contains(wanted), "{told}");
        }
    }
}
