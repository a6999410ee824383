//! The table of tools. A tool is one file in `tools/` and one row in [`table`].

pub mod idempotency;
pub mod progress;

use std::{future::Future, pin::Pin, sync::LazyLock};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    audit::Classes,
    permit::{Effect, Grant},
    zoho::{Crm, ZohoError},
};
pub use idempotency::Idempotency;
pub use progress::Progress;

/// One thing that an agent can do with the CRM.
pub trait Tool: 'static {
    /// `[a-z_]+`, what a role's list of tools names.
    const NAME: &'static str;
    /// For people.
    const TITLE: &'static str;
    /// For the model: when to use it, what it costs.
    const DESCRIPTION: &'static str;
    /// Whether it changes the CRM.
    const EFFECT: Effect;
    /// How each argument is written to the audit log; every field of `Input` has a class.
    const CLASSES: Classes;
    /// The arguments, with their limits in the schema. `deny_unknown_fields`.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// The structured result.
    type Output: Serialize + JsonSchema + Send;

    /// Checks what the types cannot, asks Zoho, shapes the answer.
    fn run(
        call: &Context<'_>,
        input: Self::Input,
    ) -> impl Future<Output = Result<Answer<Self::Output>, ToolError>> + Send;
}

/// What a tool works with during one call.
pub struct Context<'a> {
    /// The right to this call, with its ceiling of records.
    pub grant: &'a Grant,
    /// The CRM as the caller may see it; knows the deadline.
    pub crm: &'a Crm,
    /// The client's name: idempotency keys are its own.
    pub client: &'a str,
    /// When the call began.
    pub now: jiff::Timestamp,
    /// Where a long call reports how far it is.
    pub progress: &'a Progress,
    /// What was written before under an idempotency key.
    pub idempotency: &'a Idempotency,
}

/// What a tool answers.
pub struct Answer<T> {
    /// Goes into `structuredContent`.
    pub output: T,
    /// A short text for models and clients that read no structure.
    pub text: String,
    /// Records in the answer, for the audit log.
    pub records: u64,
}

/// Why a call failed, in terms an agent can act on.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// An argument is wrong: which one, and what would be right.
    #[error("argument `{argument}`: {problem}")]
    Argument {
        argument: &'static str,
        problem: &'static str,
    },
    /// The arguments do not fit the schema; the text is ours, without values.
    #[error("{0}")]
    Arguments(String),
    /// The idempotency key was used before with other arguments.
    #[error("this idempotency_key was used before with other arguments")]
    KeyReused,
    /// A call with this idempotency key is still running.
    #[error("a call with this idempotency_key is still running")]
    KeyInUse,
    #[error(transparent)]
    Zoho(#[from] ZohoError),
}

/// A row of the table: a [`Tool`] with its types erased.
pub struct Row {
    pub name: &'static str,
    pub effect: Effect,
    pub classes: Classes,
    /// What `tools/list` shows.
    pub definition: rmcp::model::Tool,
    /// Runs the tool on raw arguments.
    pub run: Run,
}

/// [`Tool::run`] between JSON and JSON.
pub type Run = for<'a> fn(
    &'a Context<'a>,
    Option<serde_json::Map<String, serde_json::Value>>,
) -> Pin<
    Box<dyn Future<Output = Result<Answer<serde_json::Value>, ToolError>> + Send + 'a>,
>;

/// All tools, by name.
pub fn table() -> &'static [Row] {
    static TABLE: LazyLock<Vec<Row>> = LazyLock::new(Vec::new);
    &TABLE
}

/// The row of a tool.
pub fn find(name: &str) -> Option<&'static Row> {
    table().iter().find(|row| row.name == name)
}
