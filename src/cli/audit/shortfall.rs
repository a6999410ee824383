//! What the log lost, in plain words.

use std::io::{self, Write};

use serde_json::Value;

use super::{
    fate::Fate,
    page::{Page, count},
    telling::{Course, text},
};
use crate::audit::{MOST_CLIENTS, verify::counted};

/// Tells of what a line says that found no room. Where no later line tells of more and the run has no
/// closing line (`fate`), more may have been lost.
pub(super) fn tell(line: &Value, course: Course<'_>, out: &mut Page<impl Write>) -> io::Result<()> {
    let (least, later) = match course.fate {
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
    writeln!(out, "  lost     lines: {}", lines.join(", "))?;
    let Some(client) = course.client else {
        return Ok(());
    };
    let clients = line["lostLines"].as_object();
    let own = clients.and_then(|clients| clients.get(client)?.as_u64());
    match own {
        None if clients.is_some_and(|clients| clients.len() >= MOST_CLIENTS) => writeln!(
            out,
            "  lost     of {client} an unknown number: the line does not name all clients"
        ),
        own => writeln!(
            out,
            "  lost     of {client} {least}{}",
            count(own.unwrap_or(0), "line")
        ),
    }
}

/// Whether the line names all clients whose lines and calls it tells of: with fewer than it may name,
/// it does.
pub(super) fn names_all(line: &Value) -> bool {
    let named = |name: &str| line[name].as_object().map(serde_json::Map::len);
    let (lines, calls) = (named("lostLines"), named("refusedCalls"));
    let is_full = lines.max(calls).is_some_and(|most| most >= MOST_CLIENTS);
    let mut lost = counted(text(line, "reason").unwrap_or_default());
    let calls_alone = calls.is_some() && lost.all(|(event, _)| event == "tool_call_refused");
    !is_full && (lines.is_some() || calls_alone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(line: &Value, course: Course<'_>) -> String {
        let mut out = Vec::new();
        tell(line, course, &mut Page::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_names_all_clients_where_it_names_fewer_than_it_may() {
        let many: Value = (0..MOST_CLIENTS)
            .map(|n| (format!("c{n}"), json!(1)))
            .collect();
        let few = json!({ "a": 1 });
        let (calls, both) = ("tool_call_refused 1", "auth_failed 1, tool_call_refused 1");
        for (reason, lines, refused, wanted) in [
            (both, Some(&few), Some(&few), true),
            (both, Some(&few), None, true),
            (both, Some(&few), Some(&many), false),
            (both, Some(&many), Some(&few), false),
            (both, None, Some(&few), false),
            (calls, None, Some(&few), true),
            (calls, None, Some(&many), false),
            (both, None, None, false),
        ] {
            let mut line = json!({ "reason": format!("found no room: {reason}") });
            for (name, clients) in [("lostLines", lines), ("refusedCalls", refused)] {
                if let Some(clients) = clients {
                    line[name] = clients.clone();
                }
            }
            assert_eq!(names_all(&line), wanted, "{line}");
        }
    }

    #[test]
    fn a_client_is_told_how_many_of_the_lost_lines_were_its_own() {
        let mut line =
            json!({ "reason": "found no room: auth_success 9", "lostLines": { "a": 7 } });
        let of = |line: &Value, client| {
            let course = Course {
                client: Some(client),
                fate: Fate::Closed,
                ..Course::default()
            };
            told(line, course).split_off("  lost     lines: 9 of auth_success\n".len())
        };
        assert_eq!(of(&line, "a"), "  lost     of a 7 lines\n");
        assert_eq!(of(&line, "b"), "  lost     of b 0 lines\n");
        let many = (0..MOST_CLIENTS).map(|n| (format!("c{n}"), json!(1)));
        line["lostLines"] = Value::Object(many.collect());
        assert!(of(&line, "b").contains("of b an unknown number"));
        assert_eq!(of(&line, "c1"), "  lost     of c1 1 line\n");
    }

    #[test]
    fn what_was_lost_is_told_as_the_least_until_the_log_has_told_the_rest() {
        let line = json!({ "refusedCalls": { "a": 3 }, "lostFrom": "x", "lostUntil": "y",
            "reason": "found no room: auth_failed 2, tool_call_refused 3" });
        let told = |fate| {
            let course = Course {
                fate,
                ..Course::default()
            };
            told(&line, course)
        };
        let all =
            "  refused  3 calls of a\n  between  x and y\n  lost     lines: 2 of auth_failed\n";
        assert_eq!(told(Fate::Closed), all);
        let least = "  refused  at least 3 calls of a\n  between  x and y or later\n  lost     lines: at least 2 of auth_failed\n";
        assert_eq!(told(Fate::Unknown), least);
        assert_eq!(told(Fate::CutOff), least);
    }
}
