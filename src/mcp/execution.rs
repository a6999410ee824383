//! One call of one tool: announced in the audit log, run within its deadline, and always ended
//! there with a line, whether it succeeds, fails, panics or is cancelled.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::handler::{Desk, Ticket, failed};
use crate::{
    audit::{Audit, Event, Kind, OnFailure},
    listen::Drain,
    permit::{Effect, Grant},
    tools::{Answer, Context, Progress, Row, ToolError},
    zoho::Crm,
};

/// A call that the audit log knows of.
pub(super) struct Execution<'a> {
    desk: &'a Desk,
    ticket: &'a Ticket,
    row: &'static Row,
    grant: &'a Grant,
    crm: Crm,
    deadline: Instant,
    record: Record,
}

/// The audit log cannot take the line without which the call may not happen.
#[derive(Debug, thiserror::Error)]
#[error("The service cannot record this call at the moment, so it was not made. Try again later.")]
pub(super) struct Unrecorded;

impl<'a> Execution<'a> {
    /// Records the start. A write's start is in the log before Zoho can hear of it.
    pub(super) async fn begin(
        desk: &'a Desk,
        ticket: &'a Ticket,
        row: &'static Row,
        grant: &'a Grant,
    ) -> Result<Self, Unrecorded> {
        let deadline = Instant::now() + desk.tool_timeout.duration();
        let record = Record::new(desk, ticket, row);
        let mut start = record.event(Kind::ToolCallStart);
        let arguments = ticket.call.raw_arguments();
        let valid = (row.fits)(arguments);
        start.args = Some(desk.redactor.redact(row.classes, arguments, valid));
        let recorded = match (row.effect, desk.audit.on_failure()) {
            (_, OnFailure::RefuseAll) | (Effect::Write, OnFailure::RefuseWrites) => {
                desk.audit.accept(start).await.is_ok()
            }
            (Effect::Write, OnFailure::Continue) if desk.audit.is_writable() => {
                let _ = desk.audit.accept(start).await;
                true
            }
            // Its line waits for the log, and the call does not.
            (Effect::Read, _) | (Effect::Write, OnFailure::Continue) => {
                desk.audit.record(start).await;
                true
            }
        };
        if !recorded {
            record.refused();
            return Err(Unrecorded);
        }
        // Zoho's answer has to leave time for ours.
        let crm = desk.zoho.view(grant.scope(), deadline - MARGIN);
        Ok(Self {
            desk,
            ticket,
            row,
            grant,
            crm,
            deadline,
            record,
        })
    }

    /// Runs the tool to an answer that the agent can use, whatever happens.
    pub(super) async fn run(
        mut self,
        arguments: Option<JsonObject>,
        progress: Progress,
        cancelled: &CancellationToken,
    ) -> CallToolResult {
        self.record.ends_as_cancelled();
        let context = Context {
            grant: self.grant,
            crm: &self.crm,
            client: &self.ticket.caller.client,
            now: jiff::Timestamp::now(),
            progress: &progress,
            idempotency: &self.desk.idempotency,
        };
        let running = AssertUnwindSafe((self.row.run)(&context, arguments)).catch_unwind();
        let end = tokio::select! {
            biased;
            end = tokio::time::timeout_at(self.deadline, running) => match end {
                Ok(Ok(Ok(answer))) => End::Answered(answer),
                Ok(Ok(Err(error))) => End::Failed(error),
                Ok(Err(_panic)) => End::Panicked,
                Err(_) => End::TimedOut,
            },
            () = self.desk.drain.cut().cancelled() => End::CutOff,
            () = cancelled.cancelled() => End::Cancelled,
        };
        self.record.credits = self.crm.credits();
        self.record.finish(&end).await;
        end.into_result(self.row)
    }
}

enum End {
    Answered(Answer<serde_json::Value>),
    Failed(ToolError),
    Panicked,
    TimedOut,
    CutOff,
    Cancelled,
}

impl End {
    fn into_result(self, row: &Row) -> CallToolResult {
        match self {
            Self::Answered(answer) => {
                // Not `structured`, which writes the output a second time, as a text.
                let mut result = CallToolResult::success(vec![ContentBlock::text(answer.text)]);
                result.structured_content = Some(answer.output);
                result.meta = Some(untrusted());
                result
            }
            Self::Failed(error) => failed(error.advice()),
            Self::Panicked => failed(
                "The tool failed for a reason of its own. An operator can find it in the log.",
            ),
            Self::TimedOut if row.effect == Effect::Write => failed(
                "The call took too long, and the change may or may not have happened. Look before you repeat it, or repeat it with the same idempotency_key.",
            ),
            Self::TimedOut => failed("The call took too long. Ask for less, or try again later."),
            Self::CutOff if row.effect == Effect::Write => failed(
                "The service is going down. The change may or may not have happened: look before you repeat it, or repeat it with the same idempotency_key.",
            ),
            Self::CutOff => failed("The service is going down. Call again in a moment."),
            Self::Cancelled => failed("The call was cancelled."),
        }
    }
}

/// The audit lines of one call. Dropped without an end, it records a cancellation.
struct Record {
    audit: Audit,
    drain: Drain,
    base: Event,
    began: Instant,
    credits: u32,
    pending: bool,
}

impl Record {
    fn new(desk: &Desk, ticket: &Ticket, row: &Row) -> Self {
        let mut base = ticket
            .caller
            .sign(ticket.peer.sign(Event::new(Kind::ToolCallStart)));
        base.execution_id = Some(Uuid::now_v7());
        base.tool_name = Some(row.name.into());
        Self {
            audit: desk.audit.clone(),
            drain: desk.drain.clone(),
            base,
            began: Instant::now(),
            credits: 0,
            pending: false,
        }
    }

    fn event(&self, kind: Kind) -> Event {
        Event {
            kind,
            ..self.base.clone()
        }
    }

    /// The start may still come into the log once it takes lines again, and then needs an end. Not
    /// waited for: the log is what the caller has just waited for.
    fn refused(&self) {
        let (audit, event) = (self.audit.clone(), self.error("audit_unavailable"));
        tokio::spawn(async move { audit.record(event).await });
    }

    /// From here on, being dropped means that the call was cut off.
    fn ends_as_cancelled(&mut self) {
        self.pending = true;
    }

    async fn finish(&mut self, end: &End) {
        let event = match end {
            End::Answered(answer) => Event {
                records_returned: Some(answer.records),
                ..self.ended(Kind::ToolCallSuccess)
            },
            End::Failed(error) => self.error(error.kind()),
            End::Panicked => self.error("panic"),
            End::TimedOut => self.error("timeout"),
            End::CutOff | End::Cancelled => self.ended(Kind::ToolCallCancelled),
        };
        self.audit.record(event).await;
        self.pending = false;
    }

    fn error(&self, kind: &'static str) -> Event {
        Event {
            error: Some(kind.into()),
            ..self.ended(Kind::ToolCallError)
        }
    }

    fn ended(&self, kind: Kind) -> Event {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Event {
            duration_ms: Some(elapsed),
            credits: Some(self.credits),
            ..self.event(kind)
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.pending {
            let (audit, event) = (self.audit.clone(), self.ended(Kind::ToolCallCancelled));
            self.drain.see_off(async move { audit.record(event).await });
        }
    }
}

/// Marks every result as text that came out of the CRM.
fn untrusted() -> MetaObject {
    let mut meta = JsonObject::new();
    meta.insert("zoho-mcp/untrusted".into(), true.into());
    MetaObject(meta)
}

const MARGIN: Duration = Duration::from_millis(250);
