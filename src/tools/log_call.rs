//! `log_call`: writes down a call that was made, once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    activity::{Activity, DESCRIPTION},
    cursor::digest,
    idempotency::Key,
    input::{Line, Minutes, Moment, Prose},
    made::{Made, made, visible, visible_if},
    once::once,
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{RecordId, Values, notes::NoteParent},
};

pub(super) struct LogCall;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Whom or what the call was about.
    record_id: RecordId,
    /// The record's module, by default Contacts.
    module: Option<NoteParent>,
    subject: Line<255>,
    direction: Direction,
    /// When it began.
    start_time: Moment,
    duration_minutes: Minutes,
    /// A choice of the CRM's Call Result.
    result: Option<Line<120>>,
    description: Option<Prose<32_000>>,
    /// New for each write; repeats of it write once (24 hours).
    #[serde(skip_serializing)]
    idempotency_key: Option<Key>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
enum Direction {
    Outbound,
    Inbound,
}

impl Tool for LogCall {
    const NAME: &'static str = "log_call";
    const TITLE: &'static str = "Log a call";
    const DESCRIPTION: &'static str = "Write down a phone call that took place with or about a \
        contact, account, lead or deal; nobody is called. Get record_id from a search first. Pass \
        an idempotency_key. Costs 1 to 4 API credits, rarely more.";
    const EFFECT: Effect = Effect::Write;
    const CLASSES: Classes = &[
        ("record_id", Class::Id),
        ("module", Class::Public),
        ("subject", Class::FreeText),
        ("direction", Class::Public),
        ("start_time", Class::Public),
        ("duration_minutes", Class::Public),
        // Any text may come as a result.
        ("result", Class::Pii),
        ("description", Class::FreeText),
        ("idempotency_key", Class::Pii),
    ];
    type Input = Input;
    type Output = Made;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Made>, ToolError> {
        if input.start_time.get() > call.now {
            return Err(ToolError::Argument {
                argument: "start_time",
                problem: "it is in the future; log a call after it began",
            });
        }
        let logged = input.call()?;
        let receipt = once(call, input.idempotency_key.as_ref(), &logged).await?;
        Ok(made(receipt, "Call", call.now))
    }
}

impl Input {
    fn call(&self) -> Result<Activity<LogCall>, ToolError> {
        let result = self.result.as_ref().map(Line::as_str);
        let description = self.description.as_ref().map(Prose::as_str);
        let direction = serde_json::json!(self.direction);
        let fields = Values::default()
            .with("Subject", visible("subject", self.subject.as_str())?)
            .with("Call_Type", direction)
            .with("Call_Start_Time", self.start_time.for_zoho())
            .with("Call_Duration", self.duration_minutes.for_zoho())
            .with_some("Call_Result", visible_if("result", result)?)
            .with_some(DESCRIPTION, visible_if("description", description)?);
        let about = (self.module.unwrap_or_default(), self.record_id.clone());
        Ok(Activity::new("Calls", about, fields, digest(self)))
    }
}
