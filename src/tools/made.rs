//! What the tools that write have in common: a change that is made once, and what is answered.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Answer, Context, ToolError,
    input::Line,
    once::{Outcome, Receipt},
    record::instant,
    text::Text,
};
use crate::zoho::{
    Code, CrmText, RecordId, Values, ZohoError,
    records::{Before, Changed},
};

/// The answer of a tool that writes one record.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    record_id: RecordId,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_time: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_kept: Vec<&'static str>,
    as_of: String,
}

/// Answers with what became of the write; `what` names the record and ends with its id.
pub(super) fn made(receipt: Receipt, what: &str, now: Timestamp) -> Answer<Made> {
    let verb = match receipt.outcome {
        Outcome::Created => " created",
        Outcome::Updated => " updated",
        Outcome::Unchanged | Outcome::Replayed | Outcome::Found => "",
    };
    let remark = receipt.outcome.remark();
    let mut text = Text::new(format!("{what} {}{verb}.{remark}", receipt.id));
    if receipt.not_kept.contains(&RECORD) {
        text.line(
            "It is not attached to the record: Zoho CRM did not keep the link, or does not show it. \
             The same call again would make another one that is not attached either; have somebody \
             attach this one in the CRM.",
        );
    }
    lost(&mut text, &receipt.not_kept, receipt.is_unchecked);
    Answer {
        text: text.finish(),
        records: 1,
        output: Made {
            record_id: receipt.id,
            outcome: receipt.outcome,
            written_time: receipt.time,
            not_kept: receipt.not_kept,
            as_of: now.to_string(),
        },
    }
}

/// Says which arguments Zoho passed over, or that nobody knows.
pub(super) fn lost(text: &mut Text, not_kept: &[&str], is_unchecked: bool) {
    if is_unchecked {
        text.line(
            "Whether Zoho CRM kept all of it could not be looked up: have somebody look at it in the CRM \
             before you rely on that.",
        );
    }
    if !not_kept.is_empty() {
        text.line(format!(
            "Zoho CRM did not keep these, or does not show them to the CRM user behind this server: {}. \
             Tell the user; an operator can ask for the permission.",
            not_kept.join(", ")
        ));
    }
}

/// The argument that says what is written about.
pub(super) const RECORD: &str = "record_id";

/// Makes a record hold `fields`, unless it does already or somebody else changed it: after it was
/// read, or after an attempt of ours at `since`, which may have come through and been overwritten.
pub(super) async fn change(
    call: &Context<'_>,
    (module, id): (Changed, &RecordId),
    fields: &Values,
    before: &Before,
    since: Option<Timestamp>,
) -> Result<Receipt, ToolError> {
    let modified = before.modified_time.clone();
    if before.holds(fields) {
        return Ok(Receipt::new(id.clone(), modified, Outcome::Unchanged));
    }
    let last = instant(modified.as_deref());
    if since.is_some_and(|since| last.is_some_and(|last| last > since)) {
        let code = Code::new("ALREADY_MODIFIED");
        return Err(ZohoError::Conflict { code }.into());
    }
    let written = call.crm.change(module, id, fields, before).await?;
    Ok(Receipt::new(
        written.id,
        written.modified_time,
        Outcome::Updated,
    ))
}

/// A text without what hides or reorders it.
pub(super) fn visible(argument: &'static str, text: &str) -> Result<String, ToolError> {
    let clean = CrmText::clean(text);
    if clean.as_str().trim().is_empty() {
        return Err(ToolError::Argument {
            argument,
            problem: "nothing visible is in it",
        });
    }
    Ok(clean.as_str().to_owned())
}

/// The same of a text that may be left out.
pub(super) fn visible_if(
    argument: &'static str,
    text: Option<&str>,
) -> Result<Option<String>, ToolError> {
    text.map(|text| visible(argument, text)).transpose()
}

/// [`visible_if`] of a line.
pub(super) fn line<const MAX: usize>(
    argument: &'static str,
    line: &Option<Line<MAX>>,
) -> Result<Option<String>, ToolError> {
    visible_if(argument, line.as_ref().map(Line::as_str))
}
