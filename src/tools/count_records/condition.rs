//! What a record must fulfil, as an agent says it: a field of the module, a comparison and a value
//! that fits the field's type.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    audit::{Class, Classes},
    tools::{
        ToolError, describe_module,
        input::{self, Line},
    },
    zoho::{
        CrmText,
        coql::{self, Comparison, FieldName, Literal},
        fields::{Choice, Field},
    },
};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    /// Name of a field.
    field: Line<100>,
    is: Operator,
    /// A number, true, false, YYYY-MM-DD, an id for lookups, or text. Not with empty and not_empty.
    value: Option<Line<200>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Operator {
    Equal,
    NotEqual,
    StartsWith,
    Less,
    AtMost,
    AtLeast,
    Greater,
    Empty,
    NotEmpty,
}

/// What a field can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Day,
    Moment,
    Flag,
    Id,
}

impl Condition {
    /// How it is written to the audit log: a field may be any text.
    pub(super) const CLASSES: Classes = &[
        ("field", Class::Pii),
        ("is", Class::Public),
        ("value", Class::Pii),
    ];

    /// As a query has it; days begin and end in `zone`.
    pub(super) fn read(
        &self,
        fields: &[Field],
        zone: &TimeZone,
    ) -> Result<coql::Condition, ToolError> {
        let field = describe_module::find(fields, self.field.as_str())?;
        let kind = field.data_type.as_ref().map_or("", |kind| kind.as_str());
        let kind = Kind::of(kind).ok_or(UNCOUNTABLE)?;
        let name: FieldName = field.name.as_str().parse().map_err(|_| UNCOUNTABLE)?;
        let comparison = match self.is {
            Operator::Empty | Operator::NotEmpty => {
                if self.value.is_some() || kind == Kind::Flag {
                    return Err(wrong(
                        "`empty` and `not_empty` take no value, and no boolean",
                    ));
                }
                return Ok(match self.is {
                    Operator::Empty => coql::Condition::Empty(name),
                    _ => coql::Condition::NotEmpty(name),
                });
            }
            Operator::StartsWith => None,
            Operator::Equal => Some(Comparison::Equal),
            Operator::NotEqual => Some(Comparison::NotEqual),
            Operator::Less => Some(Comparison::Less),
            Operator::AtMost => Some(Comparison::AtMost),
            Operator::AtLeast => Some(Comparison::AtLeast),
            Operator::Greater => Some(Comparison::Greater),
        };
        let value = self.value.as_ref().ok_or(wrong("a value is missing"))?;
        // People see other names for some values of lists than records hold.
        let held = Choice::find(&field.choices, value.as_str()).filter(|_| comparison.is_some());
        let value = held.map_or(value.as_str(), CrmText::as_str);
        match (comparison, kind) {
            (None, Kind::Text) => begins(name, value, &field.choices),
            (None, _) => Err(wrong("only text can be compared by `starts_with`")),
            (Some(comparison), _) if !kind.takes(comparison) => Err(wrong(kind.remedy())),
            (Some(comparison), _) => {
                let (comparison, value) = kind
                    .literal(value, comparison, zone)
                    .ok_or(wrong(kind.remedy()))?;
                Ok(coql::Condition::compare(name, comparison, value))
            }
        }
    }
}

/// By the names that records hold, also those of values that are offered no more, and those that
/// people see.
fn begins(name: FieldName, start: &str, choices: &[Choice]) -> Result<coql::Condition, ToolError> {
    let literal = |held: &CrmText| Literal::Text(held.as_str().to_owned());
    let shown: Vec<_> = Choice::shown_as(choices, start).map(literal).collect();
    let shown = coql::Condition::among(&name, &shown);
    let held = coql::Condition::StartsWith(name, start.to_owned());
    match shown {
        None => Ok(held),
        // Records may hold it, and without them the number would be too small.
        Some(shown) if !shown.can_be_asked() => Err(UNASKABLE_CHOICE),
        Some(shown) => Ok(held.or(shown)),
    }
}

impl Kind {
    fn of(data_type: &str) -> Option<Self> {
        Some(match data_type {
            "text"
            | "email"
            | "phone"
            | "website"
            | "picklist"
            | "multiselectpicklist"
            | "autonumber" => Self::Text,
            "integer" | "double" | "currency" | "percent" => Self::Number,
            "date" => Self::Day,
            "datetime" => Self::Moment,
            "boolean" => Self::Flag,
            "lookup" | "ownerlookup" | "userlookup" | "bigint" => Self::Id,
            _ => return None,
        })
    }

    fn takes(self, comparison: Comparison) -> bool {
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        match self {
            Self::Number | Self::Day => true,
            Self::Moment => !equality,
            Self::Text | Self::Id => equality,
            Self::Flag => comparison == Comparison::Equal,
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Text => "text takes `equal`, `not_equal` and `starts_with`",
            Self::Number => "the field takes a number",
            Self::Day => "the field takes a day as YYYY-MM-DD",
            Self::Moment => {
                "a time takes `less`, `at_most`, `at_least` and `greater` with a day as YYYY-MM-DD"
            }
            Self::Flag => "a boolean takes `equal` with true or false",
            Self::Id => "a lookup takes `equal` and `not_equal` with a record's id",
        }
    }

    /// The value; a day stands for all its moments.
    fn literal(
        self,
        text: &str,
        comparison: Comparison,
        zone: &TimeZone,
    ) -> Option<(Comparison, Literal)> {
        let same = |literal| Some((comparison, literal));
        match self {
            Self::Text => same(Literal::Text(text.to_owned())),
            Self::Number => {
                let number: f64 = text.parse().ok()?;
                same(Literal::Number(Some(number).filter(|it| it.is_finite())?))
            }
            Self::Day => same(Literal::Day(input::day(text)?)),
            Self::Flag => same(Literal::Flag(text.parse().ok()?)),
            Self::Id => same(Literal::Id(text.parse().ok()?)),
            Self::Moment => {
                let day = input::day(text)?;
                let (comparison, day) = match comparison {
                    Comparison::AtMost => (Comparison::Less, day.tomorrow().ok()?),
                    Comparison::Greater => (Comparison::AtLeast, day.tomorrow().ok()?),
                    other => (other, day),
                };
                let moment = day.to_zoned(zone.clone()).ok()?;
                Some((comparison, Literal::Moment(moment)))
            }
        }
    }
}

const fn wrong(problem: &'static str) -> ToolError {
    ToolError::Argument {
        argument: "conditions",
        problem,
    }
}

const UNASKABLE_CHOICE: ToolError = wrong(
    "a value of the list that begins so has a backslash in the name that records hold, which cannot \
     stand in a query; begin with more, or count other values by `equal`",
);
const UNCOUNTABLE: ToolError =
    wrong("long texts, files and lists of records cannot be compared; use another field");

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A list whose values people know as `Shown …` and records hold under these names.
    fn begins_so(held: impl Iterator<Item = String>) -> Result<coql::Condition, ToolError> {
        let values: Vec<Value> = held
            .enumerate()
            .map(|(n, held)| json!({"actual_value": held, "display_value": format!("Shown {n}")}))
            .collect();
        let fields = json!([{"api_name": "Stage", "data_type": "picklist",
            "pick_list_values": values}]);
        let fields: Vec<Field> = serde_json::from_value(fields).unwrap();
        let condition = json!({"field": "Stage", "is": "starts_with", "value": "Shown"});
        let condition: Condition = serde_json::from_value(condition).unwrap();
        condition.read(&fields, &TimeZone::UTC)
    }

    #[test]
    fn more_values_than_one_list_takes_are_asked_for_in_several() {
        let many = begins_so((0..250).map(|n| format!("Held {n}"))).unwrap();
        assert!(many.can_be_asked());
        let one = begins_so((0..1).map(|n| format!("Held {n}"))).unwrap();
        assert!(one.can_be_asked());
    }

    #[test]
    fn a_value_that_no_query_holds_is_said_to_be_one_of_the_list() {
        let held = ["Held".to_owned(), r"Held\Odd".to_owned()];
        let refused = begins_so(held.into_iter()).unwrap_err().to_string();
        assert!(refused.contains("of the list"), "{refused}");
    }
}
