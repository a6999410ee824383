//! `complete_task`: says that a task is done.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::digest,
    idempotency::Key,
    made::{Made, change, made},
    once::{Once, Receipt, once},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{RecordId, Values, records::Changed},
};

pub(super) struct CompleteTask;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    task_id: RecordId,
    /// New for each write; repeats of it write once (24 hours).
    #[serde(skip_serializing)]
    idempotency_key: Option<Key>,
}

impl Tool for CompleteTask {
    const NAME: &'static str = "complete_task";
    const TITLE: &'static str = "Complete a task";
    const DESCRIPTION: &'static str = "Set a task's status to Completed. A task that is completed \
        already stays as it is. Costs 2 API credits.";
    const EFFECT: Effect = Effect::Write;
    const OVERWRITES: bool = true;
    const CLASSES: Classes = &[("task_id", Class::Id), ("idempotency_key", Class::Pii)];
    type Input = Input;
    type Output = Made;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Made>, ToolError> {
        let receipt = once(call, input.idempotency_key.as_ref(), &input).await?;
        Ok(made(receipt, "Completed: task", call.now))
    }
}

impl Once for Input {
    const TOOL: &'static str = CompleteTask::NAME;
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
    const CREATES: bool = false;

    fn arguments(&self) -> [u8; 32] {
        digest(self)
    }

    async fn write(
        &self,
        call: &Context<'_>,
        since: Option<Timestamp>,
    ) -> Result<Receipt, ToolError> {
        let done = Values::default().with("Status", "Completed");
        let task = (Changed::Tasks, &self.task_id);
        let before = call.crm.before(task.0, task.1, done.names()).await?;
        change(call, task, &done, &before, since).await
    }
}
