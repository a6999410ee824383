//! What the log lost, in plain words.

use std::io::{self, Write};

use serde_json::Value;

use super::{
    fate::Fate,
    page::{Page, count},
    telling::text,
};
use crate::audit::verify::counted;

/// Tells of what a line says that found no room. Where no later line tells of more and the run has no
/// closing line (`fate`), more may have been lost.
pub(super) fn tell(line: &Value, fate: Fate, out: &mut Page<impl Write>) -> io::Result<()> {
    let (least, later) = match fate {
        Fate::Closed => ("", ""),
        Fate::Unknown | Fate::CutOff => ("at least ", " or later"),
    };
    for (client, calls) in line["refusedCalls"].as_object().into_iter().flatten() {
        writeln!(
            out,
            "  refused  {least}{} of {client}",
            count(calls, "call")
        )?;
    }
    if let (Some(from), Some(until)) = (text(line, "lostFrom"), text(line, "lostUntil")) {
        writeln!(out, "  between  {from} and {until}{later}")?;
    }
    // Of the calls that were refused it is told by client.
    let lines = counted(text(line, "reason").unwrap_or_default());
    let lines = lines.filter(|(event, _)| *event != "tool_call_refused");
    let lines: Vec<_> = lines
        .map(|(event, lines)| format!("{least}{lines} of {event}"))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "  lost     lines: {}", lines.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_lost_is_told_as_the_least_until_the_log_has_told_the_rest() {
        let line = json!({ "refusedCalls": { "a": 3 }, "lostFrom": "x", "lostUntil": "y",
            "reason": "found no room: auth_failed 2, tool_call_refused 3" });
        let told = |fate| {
            let mut out = Vec::new();
            tell(&line, fate, &mut Page::new(&mut out)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let all =
            "  refused  3 calls of a\n  between  x and y\n  lost     lines: 2 of auth_failed\n";
        assert_eq!(told(Fate::Closed), all);
        let least = "  refused  at least 3 calls of a\n  between  x and y or later\n  lost     lines: at least 2 of auth_failed\n";
        assert_eq!(told(Fate::Unknown), least);
        assert_eq!(told(Fate::CutOff), least);
    }
}
