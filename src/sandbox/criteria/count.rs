//! What counts make of criteria that searches do not: more operators, fewer values, other words.

use serde_json::json;

use super::{MALFORMED, NOT_OPERATED, NOT_SEARCHED, TOO_WILD};
use crate::sandbox::{
    cell::Cell,
    filter::Op,
    problem::Problem,
    schema::{Field, Kind},
};

/// The operators that go with a type in counts alone.
pub(super) const fn operation(kind: Kind, operator: &str) -> Option<Op> {
    match (operator.as_bytes(), kind) {
        (b"in", Kind::Area(_)) => Some(Op::In),
        (b"starts_with", Kind::Lookup(_) | Kind::AnyLookup) => Some(Op::StartsWith),
        _ => None,
    }
}

/// Refuses values that a type cannot have, as counts tell it of each type.
pub(super) fn are_values(field: &Field, values: &[String]) -> Result<(), Problem> {
    let is_bad = |value: &&String| match field.kind {
        Kind::Phone => value.chars().any(char::is_alphabetic),
        Kind::Moment => [field.kind, Kind::Day]
            .into_iter()
            .all(|kind| Cell::read(kind, value.trim()).is_none()),
        Kind::Int => Cell::read(field.kind, value.trim()).is_none(),
        _ => false,
    };
    let Some(value) = values.iter().find(is_bad) else {
        return Ok(());
    };
    let checked = json!({"reason": NOT_CHECKED, "api_name": field.name, "value": value});
    let (code, details) = match field.kind {
        Kind::Moment => ("INVALID_DATA", checked),
        Kind::Phone => ("INVALID_QUERY", checked),
        _ => {
            let details = json!({"expected_data_type": "Integer", "reason": BAD_VALUE, "api_name": field.name});
            ("INVALID_QUERY", details)
        }
    };
    Err(Problem::bad(code, details, BAD_VALUE))
}

/// What is wrong with a criterion, as counts word it: by its reason.
pub(in crate::sandbox) fn refused(problem: Problem) -> Problem {
    if problem.message == MALFORMED {
        let details = json!({"param_name": "criteria"});
        return Problem::bad("INVALID_QUERY", details, "Invalid query formed");
    }
    let reason = problem.details.get("reason").and_then(|it| it.as_str());
    let told = [NOT_SEARCHED, NOT_OPERATED, TOO_WILD];
    let Some(reason) = told.into_iter().find(|told| reason == Some(told)) else {
        return problem;
    };
    let mut counted = Problem {
        message: reason.into(),
        ..problem
    };
    if let Some(details) = counted.details.as_object_mut()
        && reason == NOT_OPERATED
    {
        details.insert("reason".to_owned(), json!(NOT_OF_THE_TYPE));
    }
    counted
}

const NOT_CHECKED: &str = "Please check the value of the field";
const NOT_OF_THE_TYPE: &str = "The operator is not valid for the field type";
const BAD_VALUE: &str = "invalid value for search";
