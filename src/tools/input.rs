//! Arguments: the bounded types they are made of, and what a caller is told of a wrong one.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use super::{MOST_RECORDS, ToolError, schema};

/// Reads arguments; none at all is an empty object. A refusal names the argument and what it has
/// to be, out of the schema: never a value, nor a name that the caller made up.
pub(super) fn read<T: DeserializeOwned + JsonSchema>(
    arguments: Map<String, Value>,
) -> Result<T, ToolError> {
    let arguments = Value::Object(arguments);
    // Most fit, and the way to what does not is kept at the price of reading several times.
    T::deserialize(&arguments).or_else(|_| {
        serde_path_to_error::deserialize(&arguments).map_err(|error| {
            let schema = schema::of_input::<T>();
            // Other errors of serde's hold values.
            let told = error.inner().to_string();
            let problem = PROBLEMS.iter().find(|problem| **problem == told);
            ToolError::Arguments(explain(&schema, &arguments, error.path(), problem.copied()))
        })
    })
}

/// What can be wrong with a value that meets its schema.
const PROBLEMS: &[&str] = &[
    NO_DATE,
    NO_OFFSET,
    NO_PERIOD,
    OUT_OF_CALENDAR,
    ENDS_BEFORE_IT_BEGINS,
    TOO_LONG,
];
pub(super) const NO_DATE: &str = "names a date that does not exist";
pub(super) const NO_OFFSET: &str = "has no offset: end it with Z, or with one like +02:00";
pub(super) const NO_PERIOD: &str = "names no period";
pub(super) const OUT_OF_CALENDAR: &str = "reaches outside the years 2000 to 2100";
pub(super) const ENDS_BEFORE_IT_BEGINS: &str = "ends before it begins";
pub(super) const TOO_LONG: &str = "is longer than 5 years";

/// One line of text, 1 to `MAX` characters, without control characters; trimmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Line<const MAX: usize>(String);

impl<const MAX: usize> Line<MAX> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Line<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let trimmed = text.trim();
        let fits = !trimmed.is_empty() && text.chars().count() <= MAX;
        if !fits || text.chars().any(char::is_control) {
            return Err(D::Error::custom("not a line"));
        }
        Ok(Self(trimmed.to_owned()))
    }
}

/// Text of several lines, 1 to `MAX` characters; no control characters but newline and tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Prose<const MAX: usize>(String);

impl<const MAX: usize> Prose<MAX> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Prose<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fits = !text.trim().is_empty() && text.chars().count() <= MAX;
        let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        if !fits || !text.chars().all(plain) {
            return Err(D::Error::custom("not a text"));
        }
        Ok(Self(text))
    }
}

/// Rows that a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Limit(u32);

impl Limit {
    pub(super) const MAX: u32 = MOST_RECORDS;

    pub(super) fn get(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // For JSON Schema 1.0 is an integer too.
        let rows = f64::deserialize(deserializer)?;
        let fits = rows.fract() == 0.0 && (1.0..=f64::from(Self::MAX)).contains(&rows);
        fits.then_some(Self(rows as u32))
            .ok_or_else(|| D::Error::custom("not a limit"))
    }
}

/// A sum of money to filter by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Amount(f64);

impl Amount {
    const MAX: f64 = 1e12;

    pub(super) fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = f64::deserialize(deserializer)?;
        let fits = (0.0..=Self::MAX).contains(&amount);
        fits.then_some(Self(amount))
            .ok_or_else(|| D::Error::custom("not an amount"))
    }
}

/// A day, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(super) struct Day(Date);

impl Day {
    pub(super) fn get(self) -> Date {
        self.0
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let dated = text.len() == 10 && text.starts_with(|c: char| c.is_ascii_digit());
        let problem = if dated { NO_DATE } else { "not a day" };
        day(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom(problem))
    }
}

/// Reads `YYYY-MM-DD` and nothing else that jiff would take for a date.
pub(super) fn day(text: &str) -> Option<Date> {
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    plain.then(|| text.parse().ok()).flatten()
}

/// A moment, `YYYY-MM-DDTHH:MM:SS` with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Moment(Timestamp);

impl Moment {
    pub(super) fn get(self) -> Timestamp {
        self.0
    }

    /// As Zoho takes it.
    pub(super) fn for_zoho(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = |b: u8| b.is_ascii_digit() || b"-:+TZ".contains(&b);
        let timed = (11..=25).contains(&text.len()) && text.bytes().all(plain);
        let moment = timed.then(|| text.parse().ok()).flatten();
        moment.map(Self).ok_or_else(|| {
            D::Error::custom(if timed {
                no_moment(&text)
            } else {
                "not a moment"
            })
        })
    }
}

/// What is wrong with what looks like a moment and is none.
pub(super) fn no_moment(text: &str) -> &'static str {
    let civil = text.len() > 10 && text.parse::<DateTime>().is_ok();
    if civil { NO_OFFSET } else { NO_DATE }
}

/// How long something took, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Minutes(u32);

impl Minutes {
    const MAX: u32 = 1440;

    /// As Zoho takes it: minutes and seconds.
    pub(super) fn for_zoho(self) -> String {
        format!("{:02}:00", self.0)
    }
}

impl<'de> Deserialize<'de> for Minutes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let minutes = f64::deserialize(deserializer)?;
        let fits = minutes.fract() == 0.0 && (0.0..=f64::from(Self::MAX)).contains(&minutes);
        fits.then_some(Self(minutes as u32))
            .ok_or_else(|| D::Error::custom("not a time in minutes"))
    }
}

/// Those of all kinds that a caller names, in the order of all; none where one is named twice, or no
/// one is.
pub(super) fn each_once<T: Copy + PartialEq>(all: &[T], named: &[T]) -> Option<Vec<T>> {
    let in_order = all.iter().copied().filter(|kind| named.contains(kind));
    let in_order: Vec<T> = in_order.collect();
    (!in_order.is_empty() && in_order.len() == named.len()).then_some(in_order)
}

/// Implements [`JsonSchema`] for an argument type by a schema that stands where it is used.
macro_rules! inline_schema {
    ([$($generics:tt)*] $type:ty, $name:literal, $schema:tt) => {
        impl<$($generics)*> schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}
pub(super) use inline_schema;

inline_schema!([const MAX: usize] Line<MAX>, "Line", { "type": "string", "minLength": 1, "maxLength": MAX });
inline_schema!([const MAX: usize] Prose<MAX>, "Prose", { "type": "string", "minLength": 1, "maxLength": MAX });
inline_schema!([] Limit, "Limit", { "type": "integer", "minimum": 1, "maximum": Limit::MAX });
inline_schema!([] Amount, "Amount", { "type": "number", "minimum": 0, "maximum": 1_000_000_000_000_u64 });
inline_schema!([] Moment, "Moment", { "type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(Z|[+-]\\d{2}:\\d{2})$" });
inline_schema!([] Minutes, "Minutes", { "type": "integer", "minimum": 0, "maximum": Minutes::MAX });
inline_schema!([] Day, "Day", { "type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$" });

/// Says what is wrong at `path`, by the schema alone.
fn explain(schema: &JsonObject, arguments: &Value, path: &Path, problem: Option<&str>) -> String {
    let mut node = schema;
    let mut value = arguments;
    let mut name = String::new();
    for segment in path.iter() {
        let next = match segment {
            Segment::Map { key } => child(node, "properties").and_then(|known| child(known, key)),
            Segment::Seq { .. } => child(node, "items"),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(next) = next else { break };
        node = next;
        value = match segment {
            Segment::Map { key } => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(key);
                value.get(key).unwrap_or(&Value::Null)
            }
            Segment::Seq { index } => {
                name.push_str(&format!("[{index}]"));
                value.get(index).unwrap_or(&Value::Null)
            }
            Segment::Enum { .. } | Segment::Unknown => value,
        };
    }
    match (child(node, "properties"), value) {
        (Some(known), Value::Object(given)) => about_object(node, known, given, &name),
        _ => match problem {
            Some(problem) => format!("Argument `{name}` {problem}{}", described(node)),
            None => format!("Argument `{name}` must be {}", remedy(node)),
        },
    }
}

fn child<'a>(node: &'a JsonObject, key: &str) -> Option<&'a JsonObject> {
    node.get(key).and_then(Value::as_object)
}

fn about_object(
    node: &JsonObject,
    known: &JsonObject,
    given: &Map<String, Value>,
    name: &str,
) -> String {
    let inside = if name.is_empty() {
        String::new()
    } else {
        format!(" in `{name}`")
    };
    let required = node.get("required").and_then(Value::as_array);
    let missing = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|key| given.get(*key).is_none_or(Value::is_null));
    if let Some(missing) = missing {
        let remedy = child(known, missing).map(remedy).unwrap_or_default();
        return format!("Argument `{missing}`{inside} is missing; it must be {remedy}");
    }
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    match &names[..] {
        [] => format!("There is an unknown argument{inside}; there are no known ones"),
        names => format!(
            "There is an unknown argument{inside}; known are: {}",
            names.join(", ")
        ),
    }
}

/// What a value has to be.
fn remedy(node: &JsonObject) -> String {
    let text = |key: &str| node.get(key).map(Value::to_string).unwrap_or_default();
    let mut remedy = if let Some(Value::Array(variants)) = node.get("enum") {
        let names: Vec<&str> = variants.iter().filter_map(Value::as_str).collect();
        format!("one of {}", names.join(", "))
    } else {
        match node.get("type").and_then(Value::as_str) {
            Some("string") if node.contains_key("maxLength") => {
                let least = node.get("minLength").and_then(Value::as_u64).unwrap_or(1);
                let most = text("maxLength");
                format!("text of {least} to {most} characters without control characters")
            }
            Some("string") => {
                let pattern = node.get("pattern").and_then(Value::as_str);
                format!("text of the form {}", pattern.unwrap_or_default())
            }
            Some("integer") => format!(
                "a whole number from {} to {}",
                text("minimum"),
                text("maximum")
            ),
            Some("number") => format!("a number from {} to {}", text("minimum"), text("maximum")),
            Some("array") => {
                let item = child(node, "items").map(self::remedy).unwrap_or_default();
                format!("a list of at most {}, each {item}", text("maxItems"))
            }
            _ => "an object".to_owned(),
        }
    };
    remedy.push_str(&described(node));
    remedy
}

/// The argument's description, in brackets.
fn described(node: &JsonObject) -> String {
    let description = node.get("description").and_then(Value::as_str);
    description.map_or(String::new(), |text| {
        format!(" ({})", text.trim_end_matches('.'))
    })
}

#[cfg(test)]
mod tests;
