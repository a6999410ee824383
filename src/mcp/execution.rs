//! One call of one tool: announced in the audit log, run within its deadline, and always ended
//! there with a line, whether it succeeds, fails, panics or is cancelled.

mod end;

use std::{
    borrow::Cow,
    future::pending,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::FutureExt;
use rmcp::model::{CallToolResult, JsonObject, MetaObject};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    cause::{Cause, is_cut, word},
    handler::{Desk, Ticket, failed},
};
use crate::{
    audit::{Audit, Event, Kind, OnFailure, Requests, Room},
    limit::{Scarce, Shortage},
    permit::{Effect, Grant},
    telemetry::Trace,
    tools::{
        Context, Progress, Row, Written,
        cache::{Asker, Question},
    },
    zoho::{Crm, Spender, Tally},
};
use end::End;

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
        arguments: &JsonObject,
    ) -> Result<Self, Unrecorded> {
        let deadline = Instant::now() + desk.tool_timeout.duration();
        let lenient = desk.audit.on_failure() == OnFailure::Continue;
        let room = desk.audit.reserve().await.ok();
        if room.is_none() && !lenient {
            desk.audit.refused(&ticket.caller.client);
            return Err(Unrecorded);
        }
        let mut record = Record::new(desk, ticket, row, room);
        let mut start = record.event(Kind::ToolCallStart);
        let valid = (row.fits)(arguments);
        start.args = Some(desk.redactor.redact(row.classes, arguments, valid));
        let first = row.effect == Effect::Write || desk.audit.on_failure() == OnFailure::RefuseAll;
        if !record.begin(&start, first).await && !lenient {
            // The line may be written yet, and a line that begins a call wants one that ends it.
            record
                .finish(Kind::ToolCallError, "audit_unavailable", 0)
                .await;
            return Err(Unrecorded);
        }
        // Zoho's answer has to leave time for ours.
        let crm = desk.zoho.view(grant.scope(), deadline - MARGIN);
        let crm = crm.within(ticket.trace.clone()).spent_by(Spender {
            client: Arc::clone(&ticket.caller.client),
            write: row.effect == Effect::Write,
        });
        record.tally = Some(crm.tally());
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
        arguments: JsonObject,
        progress: Progress,
        cancelled: Option<&CancellationToken>,
    ) -> CallToolResult {
        let written = Arc::clone(&self.record.written);
        let policy = self.desk.policy.load();
        let context = Context {
            caller: &self.ticket.caller,
            policy: &policy,
            grant: self.grant,
            crm: &self.crm,
            client: &self.ticket.caller.client,
            now: whole_second(jiff::Timestamp::now()),
            progress: &progress,
            idempotency: &self.desk.idempotency,
            written: &written,
        };
        let question = self.question(&arguments);
        let known = question.and_then(|question| self.desk.cache.get(&question, Instant::now()));
        self.record.cached = known.is_some();
        let running = async {
            match known {
                Some(answer) => Ok(answer),
                None => (self.row.run)(&context, arguments).await,
            }
        };
        let running = AssertUnwindSafe(running).catch_unwind();
        let end = tokio::select! {
            biased;
            end = timeout_at(self.deadline, running) => match end {
                Ok(Ok(Ok(answer))) => End::Answered(answer),
                Ok(Ok(Err(error))) => End::Failed(error),
                Ok(Err(_panic)) => End::Panicked,
                Err(_) => End::TimedOut,
            },
            () = self.desk.drain.cut().cancelled() => End::CutOff,
            () = is_cancelled(cancelled) => End::Cancelled,
            () = is_cut(self.ticket.cause.as_ref(), self.row.effect) => End::Cancelled,
        };
        if let (Some(question), End::Answered(answer)) = (&question, &end)
            && !self.record.cached
            && self.crm.tally().is_whole()
        {
            self.desk.cache.keep(question, answer, Instant::now());
        }
        if let End::Failed(error) = &end {
            self.record.reason = error.reason();
            self.record.retry_after_seconds = error.retry_after_seconds();
        }
        let (kind, error, records) = end.told(self.ticket.cause.as_ref());
        self.record.finish(kind, error, records).await;
        if let End::Failed(error) = &end
            && let Some((of, seconds)) = error.shortage()
        {
            return self
                .short_of(of, &error.advice_to(self.row.name), seconds)
                .await;
        }
        with_wait(
            end.into_result(self.row, written.get()),
            self.record.retry_after_seconds,
        )
    }
}

impl Execution<'_> {
    /// What is asked, where the answer may be kept. It begins with the call: what is written while
    /// the tool runs makes the answer old.
    fn question(&self, arguments: &JsonObject) -> Option<Question> {
        let caller = &self.ticket.caller;
        let user = caller.user.as_ref();
        let asker = Asker {
            client: &caller.client,
            user: user.map(|user| (&*user.issuer, &*user.subject)),
            epoch: self.crm.epoch(),
        };
        self.desk.cache.question(asker, self.grant, arguments)
    }

    /// Answers as every limit does.
    async fn short_of(&self, of: Scarce, advice: &str, seconds: u64) -> CallToolResult {
        let policy = of.policy();
        let message = match of {
            Scarce::Credits => format!("Rate limit exceeded ({policy}). {advice}"),
            Scarce::Places => advice.to_owned(),
        };
        if let Some(slip) = &self.ticket.slip {
            slip.note(Shortage {
                of,
                message: message.clone(),
                retry_after_seconds: seconds,
            });
        }
        let event = Event {
            policy: Some(policy.into()),
            reason: self.record.reason.map(Into::into),
            retry_after_seconds: Some(seconds),
            ..self.record.event(Kind::RateLimitExceeded)
        };
        self.desk.audit.record(event).await;
        with_wait(failed(message), Some(seconds))
    }
}

/// The audit lines of one call. Dropped without an end, it records a cancellation.
struct Record {
    audit: Audit,
    /// For two lines; none when the log is full and calls go on without it.
    room: Option<Room>,
    base: Event,
    began: Instant,
    trace: Trace,
    tally: Option<Tally>,
    /// Known as soon as Zoho has said so, though the call goes on and may be dropped.
    written: Arc<OnceLock<Written>>,
    cached: bool,
    /// Why it failed, beside the word for that; and when another try may go well.
    reason: Option<&'static str>,
    retry_after_seconds: Option<u64>,
    /// Why it is cancelled, if it is.
    cause: Option<Cause>,
    pending: bool,
}

impl Record {
    fn new(desk: &Desk, ticket: &Ticket, row: &Row, room: Option<Room>) -> Self {
        let mut base = ticket
            .caller
            .sign(ticket.peer.sign(Event::new(Kind::ToolCallStart)));
        base.execution_id = Some(desk.audit.execution_id());
        base.tool_name = Some(row.name.into());
        if ticket.trace.id().is_some() {
            let id = base.execution_id.unwrap_or_default().to_string();
            ticket.trace.note("zoho_mcp.execution_id", id);
        }
        Self {
            audit: desk.audit.clone(),
            room,
            base,
            began: Instant::now(),
            trace: ticket.trace.clone(),
            tally: None,
            written: Arc::default(),
            cached: false,
            reason: None,
            retry_after_seconds: None,
            cause: ticket.cause.clone(),
            pending: false,
        }
    }

    fn event(&self, kind: Kind) -> Event {
        Event {
            kind,
            ..self.base.clone()
        }
    }

    /// Records the start; if `first`, the call waits until the log has taken it. From here on,
    /// being dropped means that the call was cut off.
    async fn begin(&mut self, start: &Event, first: bool) -> bool {
        self.pending = true;
        match &mut self.room {
            Some(room) if first => self.audit.accept_in(room, start).await.is_ok(),
            Some(room) => {
                self.audit.record_in(room, start);
                true
            }
            // The call has waited for room once, and goes on without it.
            None => {
                self.audit.record_at_once(start);
                false
            }
        }
    }

    async fn finish(&mut self, kind: Kind, word: impl Into<Cow<'static, str>>, records: u64) {
        let mut event = self.ended(kind);
        let word = Some(word.into()).filter(|word| !word.is_empty());
        if let Some(word) = &word {
            self.trace.note("zoho_mcp.error", word.to_string());
        }
        match kind {
            Kind::ToolCallCancelled => event.reason = word,
            _ => event.error = word,
        }
        event.records_returned = (kind == Kind::ToolCallSuccess).then_some(records);
        self.pending = false;
        match &mut self.room {
            // Whoever is told of a change finds it in the log, also if we are killed right after.
            Some(room) if event.record_id.is_some() => {
                let _ = timeout(ENOUGH, self.audit.accept_in(room, &event)).await;
            }
            Some(room) => self.audit.record_in(room, &event),
            None => self.audit.record_at_once(&event),
        }
    }

    fn ended(&self, kind: Kind) -> Event {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (tally, written) = (self.tally.as_ref(), self.written.get());
        Event {
            duration_ms: Some(elapsed),
            credits: Some(tally.map_or(0, Tally::credits)),
            zoho: tally.map_or(Requests::NONE, Tally::requests),
            record_id: written.map(|it| it.record.clone()),
            outcome: written.map(|it| it.outcome),
            cached: self.cached,
            shared: tally.is_some_and(Tally::is_shared),
            reason: self.reason.map(Into::into),
            retry_after_seconds: self.retry_after_seconds,
            cancelled_by: (kind == Kind::ToolCallCancelled)
                .then(|| self.cause.as_ref()?.canceller())
                .flatten(),
            ..self.event(kind)
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.pending {
            return;
        }
        self.trace.fail("cancelled", "nobody waits for the answer");
        let audit = self.audit.clone();
        let event = Event {
            reason: Some(word(self.cause.as_ref())),
            ..self.ended(Kind::ToolCallCancelled)
        };
        match &mut self.room {
            Some(room) => audit.record_in(room, &event),
            None => audit.record_at_once(&event),
        }
    }
}

/// Returns once the client has cancelled the call, where it can.
async fn is_cancelled(cancelled: Option<&CancellationToken>) {
    match cancelled {
        Some(cancelled) => cancelled.cancelled().await,
        None => pending().await,
    }
}

/// Answers carry it, and nobody needs it finer.
fn whole_second(now: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Says beside the text when another try may go well. Not in the structured content: clients hold that
/// against the schema of what a call that went well returns.
fn with_wait(mut result: CallToolResult, seconds: Option<u64>) -> CallToolResult {
    if let Some(seconds) = seconds {
        let mut meta = JsonObject::new();
        meta.insert("zoho-mcp/retryAfterSeconds".into(), seconds.into());
        result.meta = Some(MetaObject(meta));
    }
    result
}

const MARGIN: Duration = Duration::from_millis(250);
/// A log that takes lines has taken one by then.
const ENOUGH: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
