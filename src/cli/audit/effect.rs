//! Whether a call that did not come to its end may have changed the CRM, and how to find out.

use serde_json::Value;

use super::telling::text;
use crate::{permit::Effect, tools};

/// Says so of a tool that writes. `start` has its arguments, `end` what it asked Zoho.
pub(super) fn in_doubt(start: Option<&Value>, end: Option<&Value>) -> Option<String> {
    let name = start.or(end).and_then(|line| text(line, "toolName"))?;
    let tool = tools::table().iter().find(|tool| tool.name == name)?;
    if tool.effect == Effect::Read || end.is_some_and(is_certain) {
        return None;
    }
    let arguments = start.map(|start| &start["args"]);
    let record = ["record_id", "contact_id", "deal_id", "task_id"]
        .iter()
        .find_map(|id| text(arguments?, id));
    let place = record.map_or_else(String::new, |record| format!(" at record {record}"));
    let has_key = arguments.is_some_and(|args| !args["idempotency_key"].is_null());
    // Which of both it was, no line says.
    let again = if has_key {
        "; if it is not, repeat it. Its idempotency_key does not make up for looking: with Redis it is remembered for 24 hours, without it is forgotten when the process ends"
    } else {
        " before it is repeated"
    };
    Some(format!(
        "it may have taken effect: look first in Zoho{place} whether what it writes is there{again}"
    ))
}

/// Whether a call that ended so has written, or has not, for certain.
fn is_certain(end: &Value) -> bool {
    let is_cut_off = matches!(
        text(end, "error"),
        Some("ambiguous_write" | "timeout" | "deadline_exceeded" | "panic" | "internal")
    );
    let is_open = is_cut_off || end["event"] == "tool_call_cancelled";
    // Zoho's answer came before the call was cut.
    let is_told = text(end, "recordId").is_some();
    is_told || !(is_open && may_have_written(end))
}

/// Whether Zoho was asked for more than to be read. Of many requests the line has the first ones.
fn may_have_written(end: &Value) -> bool {
    let asked = end["zohoRequests"].as_u64().unwrap_or_default();
    let listed = end["zoho"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let is_read = |request: &Value| text(request, "method") == Some("GET");
    asked > listed.iter().filter(|request| is_read(request)).count() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start(tool: &str) -> Value {
        json!({ "event": "tool_call_start", "toolName": tool, "args": { "record_id": "7" } })
    }

    #[test]
    fn a_write_that_was_cut_off_may_have_taken_effect() {
        let start = start("create_note");
        for end in [
            json!({ "event": "tool_call_cancelled", "reason": "drain", "zohoRequests": 1 }),
            json!({ "event": "tool_call_error", "error": "timeout", "zohoRequests": 2 }),
            json!({ "event": "tool_call_error", "error": "ambiguous_write", "zohoRequests": 1 }),
        ] {
            let told = in_doubt(Some(&start), Some(&end)).unwrap();
            assert!(told.contains("may have taken effect") && told.contains("at record 7"));
        }
        assert!(in_doubt(Some(&start), None).is_some(), "it was killed");
    }

    #[test]
    fn nobody_is_told_to_rely_on_a_key_that_may_be_forgotten() {
        let mut start = start("create_note");
        start["args"]["idempotency_key"] = json!("hmac:0");
        let drained =
            json!({ "event": "tool_call_cancelled", "reason": "drain", "zohoRequests": 1 });
        for end in [None, Some(&drained)] {
            let told = in_doubt(Some(&start), end).unwrap();
            for part in ["look first", "for 24 hours", "without it is forgotten"] {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
    }

    #[test]
    fn what_is_certain_is_not_put_in_doubt() {
        let write = start("create_note");
        for end in [
            json!({ "event": "tool_call_success", "zohoRequests": 1 }),
            json!({ "event": "tool_call_error", "error": "not_found", "zohoRequests": 1 }),
            json!({ "event": "tool_call_error", "error": "timeout" }),
            json!({ "event": "tool_call_cancelled", "zohoRequests": 1, "recordId": "57", "outcome": "created" }),
            json!({ "event": "tool_call_cancelled", "zohoRequests": 1, "zoho": [{ "method": "GET" }] }),
        ] {
            assert_eq!(in_doubt(Some(&write), Some(&end)), None);
        }
        assert_eq!(in_doubt(Some(&start("search_contacts")), None), None);
        assert_eq!(in_doubt(Some(&start("a_tool_of_later")), None), None);
    }
}
