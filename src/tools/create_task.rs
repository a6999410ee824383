//! `create_task`: puts a task on a record, once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    activity::{Activity, DESCRIPTION},
    cursor::digest,
    idempotency::Key,
    input::{Day, Line, Prose},
    made::{Made, made, visible, visible_if},
    once::once,
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{RecordId, Values, notes::NoteParent},
};

pub(super) struct CreateTask;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// What the task is about.
    record_id: RecordId,
    /// The record's module, by default Contacts.
    module: Option<NoteParent>,
    subject: Line<255>,
    due_date: Option<Day>,
    priority: Option<Priority>,
    description: Option<Prose<32_000>>,
    /// New for each write; repeats of it write once (24 hours).
    #[serde(skip_serializing)]
    idempotency_key: Option<Key>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
enum Priority {
    Highest,
    High,
    Normal,
    Low,
    Lowest,
}

impl Tool for CreateTask {
    const NAME: &'static str = "create_task";
    const TITLE: &'static str = "Create a task";
    const DESCRIPTION: &'static str = "Add an open task about a contact, account, lead or deal. \
        Get record_id from a search first. Pass an idempotency_key. Costs 1 to 4 API \
        credits, rarely more.";
    const EFFECT: Effect = Effect::Write;
    const CLASSES: Classes = &[
        ("record_id", Class::Id),
        ("module", Class::Public),
        ("subject", Class::FreeText),
        ("due_date", Class::Public),
        ("priority", Class::Public),
        ("description", Class::FreeText),
        ("idempotency_key", Class::Pii),
    ];
    type Input = Input;
    type Output = Made;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Made>, ToolError> {
        let task = input.task()?;
        let receipt = once(call, input.idempotency_key.as_ref(), &task).await?;
        Ok(made(receipt, "Task", call.now))
    }
}

impl Input {
    fn task(&self) -> Result<Activity<CreateTask>, ToolError> {
        let description = self.description.as_ref().map(Prose::as_str);
        let due = self.due_date.map(|day| day.get().to_string());
        let priority = self.priority.map(|priority| serde_json::json!(priority));
        let fields = Values::default()
            .with("Subject", visible("subject", self.subject.as_str())?)
            .with_some("Priority", priority)
            .with_some("Due_Date", due)
            .with_some(DESCRIPTION, visible_if("description", description)?);
        let about = (self.module.unwrap_or_default(), self.record_id.clone());
        Ok(Activity::new("Tasks", about, fields, digest(self)))
    }
}
