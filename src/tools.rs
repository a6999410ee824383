//! The table of tools. A tool is one file in `tools/` and one row in [`table`].

mod activity;
pub mod cache;
mod complete_task;
mod concurrent;
mod count_records;
mod create_lead;
mod create_note;
mod create_task;
mod cursor;
mod deal_filter;
mod describe_module;
mod error;
mod get_account_360;
mod get_contact;
mod get_contact_history;
mod get_credit_usage;
mod get_dashboard_metrics;
mod get_deal_summary;
mod get_forecast;
mod get_pipeline;
mod get_revenue_report;
mod get_stale_deals;
mod hint;
pub mod idempotency;
mod input;
mod list_activities;
mod list_deals;
mod listing;
mod log_call;
mod made;
mod once;
mod period;
pub mod progress;
mod record;
mod schema;
mod search;
mod search_accounts;
mod search_contacts;
mod search_leads;
mod slice;
mod stages;
mod text;
mod update_contact;
mod update_deal_stage;
mod whoami;

use std::{
    future::Future,
    pin::Pin,
    sync::{LazyLock, OnceLock},
};

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    audit::Classes,
    auth::Caller,
    permit::{self, Effect, Grant, Permission, Policy},
    zoho::Crm,
};
pub use cache::Cache;
pub use error::ToolError;
pub use idempotency::Idempotency;
pub use progress::Progress;

/// Rows that one call returns at most, whatever a role allows.
pub const MOST_RECORDS: u32 = 200;

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
    /// Whether it replaces what was there: then a repeated call changes nothing more.
    const OVERWRITES: bool = false;
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
    /// Who calls.
    pub caller: &'a Caller,
    /// What each role may, at the moment.
    pub policy: &'a Policy,
    /// When the call began.
    pub now: jiff::Timestamp,
    /// Where a long call reports how far it is.
    pub progress: &'a Progress,
    /// What was written before under an idempotency key.
    pub idempotency: &'a Idempotency,
    /// Where a write says what came of it, for the audit log.
    pub written: &'a OnceLock<Written>,
}

/// What came of a write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The id of the record.
    pub record: Box<str>,
    /// How it came about: created now, or by an earlier call.
    pub outcome: &'static str,
}

/// What a tool answers.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// Goes into `structuredContent`.
    pub output: T,
    /// A short text for models and clients that read no structure.
    pub text: String,
    /// Records in the answer, for the audit log.
    pub records: u64,
}

/// A row of the table: a [`Tool`] with its types erased.
pub struct Row {
    /// [`Tool::NAME`]
    pub name: &'static str,
    /// [`Tool::EFFECT`]
    pub effect: Effect,
    /// [`Tool::CLASSES`]
    pub classes: Classes,
    /// Whether arguments fit the schema.
    pub fits: fn(&Map<String, Value>) -> bool,
    /// What `tools/list` shows.
    pub definition: rmcp::model::Tool,
    /// Runs the tool on arguments that may fit or not.
    pub run: Run,
}

/// [`Tool::run`] between JSON and JSON.
pub type Run = for<'a> fn(&'a Context<'a>, Map<String, Value>) -> Running<'a>;

/// A call of a tool under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Answer<Value>, ToolError>> + Send + 'a>>;

/// All tools, by name.
pub fn table() -> &'static [Row] {
    static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
        vec![
            Row::of::<complete_task::CompleteTask>(),
            Row::of::<count_records::CountRecords>(),
            Row::of::<create_lead::CreateLead>(),
            Row::of::<create_note::CreateNote>(),
            Row::of::<create_task::CreateTask>(),
            Row::of::<describe_module::DescribeModule>(),
            Row::of::<get_account_360::GetAccount360>(),
            Row::of::<get_contact::GetContact>(),
            Row::of::<get_contact_history::GetContactHistory>(),
            Row::of::<get_credit_usage::GetCreditUsage>(),
            Row::of::<get_dashboard_metrics::GetDashboardMetrics>(),
            Row::of::<get_deal_summary::GetDealSummary>(),
            Row::of::<get_forecast::GetForecast>(),
            Row::of::<get_pipeline::GetPipeline>(),
            Row::of::<get_revenue_report::GetRevenueReport>(),
            Row::of::<get_stale_deals::GetStaleDeals>(),
            Row::of::<list_activities::ListActivities>(),
            Row::of::<list_deals::ListDeals>(),
            Row::of::<log_call::LogCall>(),
            Row::of::<search_accounts::SearchAccounts>(),
            Row::of::<search_contacts::SearchContacts>(),
            Row::of::<search_leads::SearchLeads>(),
            Row::of::<update_contact::UpdateContact>(),
            Row::of::<update_deal_stage::UpdateDealStage>(),
            Row::of::<whoami::Whoami>(),
        ]
    });
    &TABLE
}

/// The row of a tool.
pub fn find(name: &str) -> Option<&'static Row> {
    table().iter().find(|row| row.name == name)
}

/// The tools that a caller may use, by name.
pub fn permitted(policy: &Policy, caller: &Caller) -> impl Iterator<Item = &'static Row> {
    table()
        .iter()
        .filter(|row| permit::decide(policy, caller, row.permission()).is_ok())
}

/// What each tool asks of a caller.
pub fn permissions() -> Vec<Permission> {
    table().iter().map(Row::permission).collect()
}

impl Row {
    /// What the tool asks of a caller.
    pub fn permission(&self) -> Permission {
        Permission {
            tool: self.name,
            effect: self.effect,
        }
    }

    /// Erases the types of a tool.
    pub fn of<T: Tool>() -> Self {
        let reads = T::EFFECT == Effect::Read;
        // What adds a record adds another one when it is repeated without an idempotency key.
        let idempotent = Some(reads || T::OVERWRITES);
        let destructive = Some(T::OVERWRITES);
        let annotations =
            ToolAnnotations::from_raw(None, Some(reads), destructive, idempotent, Some(true));
        let input = schema::of_input::<T::Input>();
        let definition = rmcp::model::Tool::new(T::NAME, T::DESCRIPTION, input)
            .with_title(T::TITLE)
            .with_raw_output_schema(schema::of_output::<T::Output>())
            .with_annotations(annotations);
        Self {
            name: T::NAME,
            effect: T::EFFECT,
            classes: T::CLASSES,
            fits: fits::<T>,
            definition,
            run: run::<T>,
        }
    }
}

fn fits<T: Tool>(arguments: &Map<String, Value>) -> bool {
    T::Input::deserialize(arguments).is_ok()
}

fn run<'a, T: Tool>(call: &'a Context<'a>, arguments: Map<String, Value>) -> Running<'a> {
    Box::pin(async move {
        let input = input::read::<T::Input>(arguments)?;
        let answer = T::run(call, input).await?;
        Ok(Answer {
            output: serde_json::to_value(answer.output).map_err(|_| ToolError::Unwritable)?,
            text: answer.text,
            records: answer.records,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Class;

    /// What a definition says of another tool: where ids and names come from, or which tool fits
    /// better. Nothing else does, since a client may have one tool and lack the other.
    const POINTERS: [(&str, &str); 6] = [
        ("count_records", "describe_module"),
        ("get_contact", "get_contact_history"),
        ("get_contact_history", "search_contacts"),
        ("get_dashboard_metrics", "get_revenue_report"),
        ("list_deals", "get_deal_summary"),
        ("list_deals", "get_pipeline"),
    ];

    #[test]
    fn no_definition_needs_another_one_to_be_understood() {
        for row in table() {
            let definition = serde_json::to_string(&row.definition).unwrap();
            let words = definition.split(|c: char| !c.is_ascii_lowercase() && c != '_');
            for word in words.filter(|word| *word != row.name && find(word).is_some()) {
                assert!(POINTERS.contains(&(row.name, word)), "{}: {word}", row.name);
            }
            let input = serde_json::to_string(&row.definition.input_schema).unwrap();
            assert!(!input.contains(r"\n"), "{}: a line breaks", row.name);
        }
    }

    #[test]
    fn the_table_is_sorted_by_name() {
        assert!(table().is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(find("create_note").unwrap().effect, Effect::Write);
        assert!(find("delete_everything").is_none());
    }

    #[test]
    fn every_argument_has_a_class_and_every_class_an_argument() {
        for row in table() {
            let properties = row.definition.input_schema["properties"]
                .as_object()
                .unwrap();
            for name in properties.keys() {
                let class = row.classes.iter().find(|(known, _)| known == name);
                assert!(class.is_some(), "{}: {name} has no class", row.name);
            }
            for (name, _) in row.classes {
                assert!(properties.contains_key(*name), "{}: {name}", row.name);
            }
        }
        let class = |tool: &str, argument: &str| {
            let classes = find(tool).unwrap().classes;
            classes
                .iter()
                .find(|(name, _)| *name == argument)
                .unwrap()
                .1
        };
        assert_eq!(class("search_contacts", "email"), Class::Pii);
        assert_eq!(class("create_note", "content"), Class::FreeText);
    }

    #[test]
    fn every_definition_says_what_it_does_to_the_crm() {
        for row in table() {
            let hints = row.definition.annotations.as_ref().unwrap();
            let reads = row.effect == Effect::Read;
            assert_eq!(hints.read_only_hint, Some(reads), "{}", row.name);
            let overwrites =
                ["complete_task", "update_contact", "update_deal_stage"].contains(&row.name);
            let idempotent = Some(reads || overwrites);
            assert_eq!(hints.idempotent_hint, idempotent, "{}", row.name);
            assert_eq!(hints.destructive_hint, Some(overwrites), "{}", row.name);
            assert_eq!(hints.open_world_hint, Some(true), "{}", row.name);
        }
    }

    /// A model has to read all of them before it can do anything: about four characters are a token,
    /// and some clients hand them on with a space after each comma and colon. A tenth is left.
    #[test]
    fn all_definitions_together_stay_under_12_000_tokens() {
        let sizes: Vec<_> = table()
            .iter()
            .map(|row| {
                let text = serde_json::to_string(&row.definition).unwrap();
                let spaces = ["\":", ",\"", ",{"].map(|at| text.matches(at).count());
                let spaces = spaces.iter().sum::<usize>();
                (row.name, text.chars().count() + spaces)
            })
            .collect();
        let tokens = sizes.iter().map(|(_, size)| size).sum::<usize>() / 4;
        assert!(tokens <= 10_950, "{tokens} tokens: {sizes:?}");
    }

    #[test]
    fn every_schema_is_valid_and_stands_alone() {
        for row in table() {
            let output = row.definition.output_schema.as_ref().unwrap();
            for schema in [&row.definition.input_schema, output] {
                let schema = Value::Object(schema.as_ref().clone());
                assert!(jsonschema::meta::is_valid(&schema), "{}", row.name);
                assert!(!schema.to_string().contains("$ref"), "{}", row.name);
                assert_eq!(schema["type"], "object", "{}", row.name);
            }
        }
    }

    #[test]
    fn every_string_is_bounded_and_every_number_ranged() {
        fn walk(schema: &Value, path: &str) {
            let has = |key: &str| !schema[key].is_null();
            match schema["type"].as_str() {
                Some("string") => {
                    assert!(has("maxLength") || has("enum") || has("pattern"), "{path}");
                }
                Some("integer" | "number") => assert!(has("minimum") && has("maximum"), "{path}"),
                Some("array") => {
                    assert!(has("maxItems"), "{path}");
                    walk(&schema["items"], path);
                }
                Some("object") => {
                    assert_eq!(schema["additionalProperties"], false, "{path}");
                    for (name, property) in schema["properties"].as_object().unwrap() {
                        walk(property, &format!("{path}.{name}"));
                    }
                }
                other => panic!("{path}: {other:?}"),
            }
        }
        for row in table() {
            walk(
                &Value::Object(row.definition.input_schema.as_ref().clone()),
                row.name,
            );
        }
    }
}
