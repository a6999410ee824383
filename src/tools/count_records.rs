//! `count_records`: how many records of a module meet conditions.

mod condition;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    record::SOURCE,
    text::{Text, count},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::Module,
};
use condition::Condition;

pub(super) struct CountRecords;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    module: Module,
    /// All have to hold. None counts every record.
    #[schemars(length(max = 10))]
    conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    module: Module,
    count: u64,
    as_of: String,
    source: &'static str,
}

impl Tool for CountRecords {
    const NAME: &'static str = "count_records";
    const TITLE: &'static str = "Count records";
    const DESCRIPTION: &'static str = "How many records of a module meet all conditions. \
        describe_module has the fields and their values. Costs 1 to 2 API credits.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("module", Class::Public),
        ("conditions", Class::Object(Condition::CLASSES)),
    ];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let conditions = input.conditions.unwrap_or_default();
        if conditions.len() > MOST_CONDITIONS {
            return Err(ToolError::Argument {
                argument: "conditions",
                problem: "there may be at most 10",
            });
        }
        let mut filter = Vec::new();
        if !conditions.is_empty() {
            let fields = call.crm.fields(input.module).await?;
            let zone = &call.crm.org().await?.time_zone;
            for condition in &conditions {
                let condition = condition.read(&fields, zone)?;
                if !condition.can_be_asked() {
                    return Err(UNASKABLE);
                }
                filter.push(condition);
            }
        }
        let number = call.crm.count_of(input.module, filter).await?;
        let output = Output {
            module: input.module,
            count: number,
            as_of: call.now.to_string(),
            source: SOURCE,
        };
        let text = Text::new(format!(
            "{} in {}.",
            count(number, "record"),
            input.module.name()
        ));
        Ok(Answer {
            text: text.finish(),
            output,
            records: 0,
        })
    }
}

const UNASKABLE: ToolError = ToolError::Argument {
    argument: "conditions",
    problem: "a value cannot stand in a query: it has a backslash, or a % where `starts_with` \
              compares; count by another value or field, or begin with less",
};
const MOST_CONDITIONS: usize = 10;
