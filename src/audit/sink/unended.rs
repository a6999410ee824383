//! Calls that a run began in the log and did not end there.

use std::collections::HashSet;

use serde::Deserialize;

use super::tail::lines_of;

/// A line of a run, and what it tells of calls.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step<'a> {
    boot: &'a str,
    event: &'a str,
    execution_id: Option<&'a str>,
    /// Of a checkpoint: calls that had a start before it, and no end.
    open_calls: Option<usize>,
}

/// How many calls of the run have a start and no end, as the end of the log shows it; none where
/// that holds no line from which they could be counted.
pub(super) fn unended(parts: &[Vec<u8>], boot: &str) -> Option<usize> {
    // Calls that were open where the count begins, of which those that end then are not open.
    let mut before = None;
    let mut begun = HashSet::new();
    for line in lines_of(parts) {
        let Ok(step) = serde_json::from_slice::<Step<'_>>(line) else {
            continue;
        };
        if step.boot != boot {
            continue;
        }
        match (step.event, step.execution_id) {
            ("log_open", _) => {
                before = Some(0);
                begun.clear();
            }
            ("checkpoint", _) if step.open_calls.is_some() => {
                before = step.open_calls;
                begun.clear();
            }
            // Perhaps the start of a call whose end would be taken for that of another.
            ("lines_lost", _) => before = before.filter(|&calls| calls == 0),
            ("tool_call_start", Some(id)) => _ = begun.insert(id),
            ("tool_call_success" | "tool_call_error" | "tool_call_cancelled", Some(id))
                if !begun.remove(id) =>
            {
                before = before.map(|calls| calls.saturating_sub(1));
            }
            _ => {}
        }
    }
    before.map(|calls| calls + begun.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of the run `a`, of which each is a word and perhaps a call or a number.
    fn unended_in(text: &str) -> Option<usize> {
        let lines = text.split_whitespace().map(|word| {
            let (event, more) = word.split_once(':').unwrap_or((word, ""));
            let (event, more) = match event {
                "begin" => ("tool_call_start", format!(",\"executionId\":\"{more}\"")),
                "end" => ("tool_call_error", format!(",\"executionId\":\"{more}\"")),
                "check" if more.is_empty() => ("checkpoint", String::new()),
                "check" => ("checkpoint", format!(",\"openCalls\":{more}")),
                other => (other, String::new()),
            };
            format!("{{\"boot\":\"a\",\"event\":\"{event}\"{more}}}\n")
        });
        let other = "{\"boot\":\"b\",\"event\":\"tool_call_start\",\"executionId\":\"x\"}\n";
        let lines: String = lines.chain([other.to_owned()]).collect();
        // A file ends anywhere between two lines.
        let middle = lines.find('\n').map_or(0, |at| at + 1);
        let (first, second) = lines.split_at(middle);
        unended(&[first.into(), second.into()], "a")
    }

    #[test]
    fn they_are_counted_from_a_line_that_says_how_many_there_were() {
        for (lines, calls) in [
            ("log_open begin:1 begin:2 end:1", Some(1)),
            ("begin:9 log_open begin:1 end:1 end:7", Some(0)),
            ("begin:1 end:1 begin:2", None),
            ("end:1 check:3 begin:4 end:1 end:4 begin:5", Some(3)),
            ("log_open begin:1 check:1 begin:2 end:1", Some(1)),
            ("begin:1 check begin:2", None),
            ("log_open begin:1 check lines_lost begin:2 end:3", Some(2)),
            ("check:2 lines_lost end:3", None),
            ("check:2 lines_lost end:3 check:4 begin:5", Some(5)),
        ] {
            assert_eq!(unended_in(lines), calls, "{lines}");
        }
    }
}
