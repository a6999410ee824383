//! How much a query may ask for.

use std::collections::HashSet;

use serde_json::json;

use super::parse::Written;
use crate::sandbox::problem::Problem;

/// How many rows, and after how many.
pub(super) fn window(written: &Written) -> Result<(usize, usize), Problem> {
    let number = |name: &str, text: &Option<String>, default| match text {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| {
            let message = format!("{name} given seems to be invalid");
            Problem::bad("INVALID_QUERY", json!({name: text}), message)
        }),
    };
    let limit = number("limit", &written.limit, DEFAULT_LIMIT)?;
    let offset = number("offset", &written.offset, 0)?;
    if limit == 0 {
        return Err(Problem::bad(
            "INVALID_DATA",
            json!({}),
            "limit should be greater than 0",
        ));
    }
    within(limit, MOST_ROWS)?;
    if offset.saturating_add(limit) > FURTHEST {
        let details = json!({"limit": FURTHEST});
        let message = "max records limit exceeded";
        return Err(Problem::bad("LIMIT_EXCEEDED", details, message));
    }
    Ok((limit, offset))
}

pub(super) fn within(asked: usize, most: usize) -> Result<(), Problem> {
    if asked <= most {
        return Ok(());
    }
    Err(Problem::bad(
        "LIMIT_EXCEEDED",
        json!({"limit": most}),
        "limit exceeded",
    ))
}

/// Nothing is grouped or sorted by twice.
pub(super) fn once(clause: &str, names: impl Iterator<Item = String>) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for name in names {
        if seen.contains(&name) {
            let message = format!("duplicate {clause} column");
            let details = json!({"column_name": name});
            return Err(Problem::bad("DUPLICATE_DATA", details, message));
        }
        seen.insert(name);
    }
    Ok(())
}

const DEFAULT_LIMIT: usize = 200;
const MOST_ROWS: usize = 2_000;
const FURTHEST: usize = 100_000;
