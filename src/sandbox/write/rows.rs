//! The body of a write: its rows, and what it wants applied to them.

use serde_json::{Value, json};

use super::{Object, check::wrong_type};
use crate::sandbox::{problem::Problem, schema::Module};

/// Whether a body has more rows than Zoho writes beside each other without a limit of their own.
pub(in crate::sandbox) fn is_bulk(body: &[u8]) -> bool {
    // The module makes no difference to how many there are.
    rows(Module::Contacts, body).is_ok_and(|rows| rows.len() > FEW_ROWS)
}

/// The rows of a body.
pub(super) fn rows(module: Module, body: &[u8]) -> Result<Vec<Value>, Problem> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Problem::bad_body())?;
    let object = body.as_object().ok_or_else(Problem::bad_body)?;
    let details = json!({"api_name": "data", "json_path": "$.data"});
    let data = object.get("data").ok_or(Problem::bad(
        "MANDATORY_NOT_FOUND",
        details,
        "required field not found",
    ))?;
    let rows = data.as_array().filter(|rows| !rows.is_empty());
    let rows = rows.ok_or_else(|| wrong_type("jsonarray", "data", "$.data"))?;
    if rows.len() > MOST_ROWS {
        return Err(match module {
            Module::Notes => too_many_notes(),
            _ => too_many(MOST_ROWS),
        });
    }
    applies(object)?;
    Ok(rows.clone())
}

/// What a body wants applied to its rows is something that there is.
fn applies(body: &Object) -> Result<(), Problem> {
    let asked = body
        .get("apply_feature_execution")
        .and_then(Value::as_array);
    let is_unknown = |asked: &&Value| {
        let name = asked.get("name").and_then(Value::as_str);
        name.is_none_or(|name| !FEATURES.contains(&name))
    };
    let unknown = asked.and_then(|asked| asked.iter().position(|one| is_unknown(&one)));
    unknown.map_or(Ok(()), |at| {
        let details = json!({
            "api_name": "name",
            "json_path": format!("$.apply_feature_execution[{at}].name"),
            "supported_values": FEATURES,
        });
        Err(Problem::bad("INVALID_DATA", details, "invalid data"))
    })
}

/// A body has more rows than are taken.
pub(super) fn too_many(most: usize) -> Problem {
    let details = json!({"maximum_length": most, "api_name": "data"});
    let message = "count of records in your request exceeds the limit";
    Problem::bad("LIMIT_EXCEEDED", details, message)
}

/// The same, as notes word it.
fn too_many_notes() -> Problem {
    let details = json!({"maximum_length": MOST_ROWS, "api_name": "data", "json_path": "$.data"});
    Problem {
        alone: true,
        ..Problem::bad("INVALID_DATA", details, "invalid data")
    }
}

const FEATURES: &[&str] = &[
    "layout_rules",
    "range_validation",
    "assignment_rules",
    "function_validation_rule",
    "criteria_validation_rule",
    "global_map_dependency",
    "territory_subordinates",
];
const FEW_ROWS: usize = 10;
const MOST_ROWS: usize = 100;
