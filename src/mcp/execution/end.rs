//! How a call ended: what the audit log and the agent are told of it.

use std::borrow::Cow;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};

use crate::{
    audit::Kind,
    mcp::{
        cause::{Cause, word},
        handler::failed,
    },
    permit::Effect,
    tools::{Answer, Row, ToolError, Written},
};

/// What became of a call.
pub(super) enum End {
    Answered(Answer<serde_json::Value>),
    Failed(ToolError),
    Panicked,
    TimedOut,
    CutOff,
    Cancelled,
}

impl End {
    /// The event, the word for what went wrong or who ended it, and the records in the answer.
    pub(super) fn told(&self, cause: Option<&Cause>) -> (Kind, Cow<'static, str>, u64) {
        match self {
            Self::Answered(answer) => (Kind::ToolCallSuccess, "".into(), answer.records),
            Self::Failed(error) => (Kind::ToolCallError, error.kind().into(), 0),
            Self::Panicked => (Kind::ToolCallError, "panic".into(), 0),
            Self::TimedOut => (Kind::ToolCallError, "timeout".into(), 0),
            Self::CutOff => (Kind::ToolCallCancelled, "drain".into(), 0),
            Self::Cancelled => (Kind::ToolCallCancelled, word(cause), 0),
        }
    }

    /// What the agent gets; `written` is what came of a write, where that is known.
    pub(super) fn into_result(self, row: &Row, written: Option<&Written>) -> CallToolResult {
        let is_write = row.effect == Effect::Write;
        let text = match self {
            Self::Answered(answer) => {
                // Not `structured`, which writes the output a second time, as a text.
                let mut result = CallToolResult::success(vec![ContentBlock::text(answer.text)]);
                result.structured_content = Some(answer.output);
                result.meta = Some(untrusted());
                return result;
            }
            Self::Failed(error) => return failed(error.advice_to(row.name)),
            cut => match written {
                Some(written) => return failed(cut.after(written)),
                None => cut.advice(is_write),
            },
        };
        failed(text)
    }

    /// Of a call that was cut before anything was known of a write.
    fn advice(&self, is_write: bool) -> &'static str {
        match self {
            Self::TimedOut if is_write => {
                "The call took too long, and the change may or may not have happened. Look before you repeat it, or repeat it with the same idempotency_key."
            }
            Self::CutOff if is_write => {
                "The service is going down. The change may or may not have happened: look first, and repeat it only if it is not there, with the same idempotency_key."
            }
            Self::Cancelled if is_write => {
                "The call was cancelled. The change may or may not have happened: look first, and repeat it only if it is not there, with the same idempotency_key."
            }
            Self::TimedOut => "The call took too long. Ask for less, or try again later.",
            Self::CutOff => "The service is going down. Call again in a moment.",
            Self::Cancelled => "The call was cancelled.",
            Self::Panicked | Self::Answered(_) | Self::Failed(_) => FAULT,
        }
    }

    /// Of a call that was cut after Zoho had answered its write.
    fn after(&self, written: &Written) -> String {
        let why = match self {
            Self::TimedOut => "The call took too long",
            Self::CutOff => "The service is going down",
            Self::Cancelled => "The call was cancelled",
            Self::Panicked | Self::Answered(_) | Self::Failed(_) => {
                "The tool failed for a reason of its own"
            }
        };
        let Written { record, outcome } = written;
        format!(
            "{why}, but its write is done: record {record} ({outcome}). Do not repeat the call."
        )
    }
}

/// Marks every result as text that came out of the CRM.
fn untrusted() -> MetaObject {
    let mut meta = JsonObject::new();
    meta.insert("zoho-mcp/untrusted".into(), true.into());
    MetaObject(meta)
}

const FAULT: &str = "The tool failed for a reason of its own. An operator can find it in the log.";
