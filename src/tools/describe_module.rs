//! `describe_module`: the fields that a module's records have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    input::Line,
    record::SOURCE,
    text::{Text, brief, brief_or_dash, count},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{CrmText, Module, fields},
};

pub(super) struct DescribeModule;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    module: Module,
    /// Only this field, by name, with all its values.
    field: Option<Line<100>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    module: Module,
    fields: Vec<Field>,
    /// Fields that are not listed; ask for them by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_fields: Option<usize>,
    as_of: String,
    source: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Field {
    name: CrmText,
    /// Where people see another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<CrmText>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<CrmText>,
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    required: bool,
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    read_only: bool,
    #[serde(skip_serializing_if = "is_false")]
    #[schemars(default)]
    custom: bool,
    /// Module of a lookup.
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<CrmText>,
    /// What it can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    values: Vec<CrmText>,
    /// Values that are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_values: Option<usize>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Tool for DescribeModule {
    const NAME: &'static str = "describe_module";
    const TITLE: &'static str = "Describe a module";
    const DESCRIPTION: &'static str = "The fields of a module of the CRM, custom ones too: names, \
        types, and the values that lists offer. Costs 0 to 1 API credit.";
    const EFFECT: Effect = Effect::Read;
    // A field may be any text.
    const CLASSES: Classes = &[("module", Class::Public), ("field", Class::Pii)];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let known = call.crm.fields(input.module).await?;
        let (fields, values) = match &input.field {
            None => (known.iter().collect(), FEW_VALUES),
            Some(name) => (vec![find(&known, name.as_str())?], MOST_VALUES),
        };
        let others = fields.len().saturating_sub(MOST_FIELDS);
        let shown = fields.into_iter().take(MOST_FIELDS);
        let output = Output {
            module: input.module,
            fields: shown.map(|field| Field::new(field, values)).collect(),
            other_fields: (others > 0).then_some(others),
            as_of: call.now.to_string(),
            source: SOURCE,
        };
        Ok(Answer {
            text: tell(&output),
            output,
            records: 0,
        })
    }
}

/// A field by its name, as queries spell it or as people do.
pub(super) fn find<'a>(
    known: &'a [fields::Field],
    name: &str,
) -> Result<&'a fields::Field, ToolError> {
    let is = |text: &CrmText| text.as_str().eq_ignore_ascii_case(name);
    let exact = known.iter().find(|field| is(&field.name));
    let labelled = || {
        known
            .iter()
            .find(|field| field.label.as_ref().is_some_and(is))
    };
    exact.or_else(labelled).ok_or(ToolError::Argument {
        argument: "field",
        problem: "the module has no such field, or hides it from the CRM user behind this server; \
                  describe_module without `field` lists them all",
    })
}

impl Field {
    fn new(field: &fields::Field, most: usize) -> Self {
        let offered = field.choices.iter().filter(|choice| choice.is_used());
        let mut values: Vec<CrmText> = offered
            .filter_map(|choice| choice.actual_value.clone())
            .collect();
        let others = values.len().saturating_sub(most);
        values.truncate(most);
        let spelled = field.name.as_str().replace('_', " ");
        let label = field.label.clone();
        Self {
            name: field.name.clone(),
            label: label.filter(|label| label.as_str() != spelled),
            kind: field.data_type.clone(),
            required: field.required.unwrap_or(false),
            read_only: field.read_only.unwrap_or(false),
            custom: field.custom_field.unwrap_or(false),
            leads_to: field.leads_to().cloned(),
            values,
            other_values: (others > 0).then_some(others),
        }
    }
}

fn tell(output: &Output) -> String {
    let module = output.module.name();
    let fields = output.fields.len() + output.other_fields.unwrap_or(0);
    let mut text = Text::to_read(format!("{module}: {}.", count(fields as u64, "field")));
    for field in &output.fields {
        text.line(format!("- {}", field.told()));
    }
    text.finish()
}

impl Field {
    /// In one line.
    fn told(&self) -> String {
        let mut line = brief(&self.name);
        if let Some(label) = &self.label {
            line = format!("{line} ({})", brief(label));
        }
        line = format!("{line}: {}", brief_or_dash(self.kind.as_ref()));
        for (is, word) in [
            (self.required, ", required"),
            (self.read_only, ", read only"),
            (self.custom, ", custom"),
        ] {
            line.push_str(if is { word } else { "" });
        }
        if let Some(module) = &self.leads_to {
            line = format!("{line}, of {}", brief(module));
        }
        if !self.values.is_empty() {
            let values: Vec<String> = self.values.iter().take(TOLD_VALUES).map(brief).collect();
            line = format!("{line}, one of {}", values.join("; "));
        }
        let others = self.values.len().saturating_sub(TOLD_VALUES);
        match others + self.other_values.unwrap_or(0) {
            0 => line,
            others => format!("{line} and {others} more"),
        }
    }
}

/// Of one field, in the text.
const TOLD_VALUES: usize = 60;
/// More than a module of Zoho's can have for most organisations.
const MOST_FIELDS: usize = 300;
const FEW_VALUES: usize = 30;
const MOST_VALUES: usize = 1000;
