//! The `filters` of a body: `{"field":{"api_name":"Stage"},"comparator":"equal","value":"Closed Won"}`.

use serde_json::Value;

use super::{DEEPEST, operands, operation};
use crate::sandbox::{
    filter::{Filter, Op, Path, Test},
    schema::Module,
};

/// One condition, or a `group` of them under a `group_operator`; nothing where it is neither.
pub(in crate::sandbox) fn read(module: Module, written: &Value) -> Option<Filter> {
    nested(module, written, 0)
}

fn nested(module: Module, written: &Value, depth: usize) -> Option<Filter> {
    if let Some(group) = written.get("group").and_then(Value::as_array) {
        if depth >= DEEPEST {
            return None;
        }
        let parts = group.iter().map(|part| nested(module, part, depth + 1));
        let parts = parts.collect::<Option<Vec<_>>>()?;
        return match written.get("group_operator")?.as_str()? {
            word if word.eq_ignore_ascii_case("and") => Some(Filter::All(parts)),
            word if word.eq_ignore_ascii_case("or") => Some(Filter::Any(parts)),
            _ => None,
        };
    }
    let name = written.pointer("/field/api_name")?.as_str()?;
    let field = module
        .field(name)
        .filter(|field| field.kind.is_searched())?;
    let op = match written.get("comparator")?.as_str()? {
        "equal" => Op::Equal,
        "not_equal" => Op::NotEqual,
        "contains" => operation(field.kind, "equals").filter(|op| *op == Op::Holds)?,
        "not_contains" => operation(field.kind, "not_equal").filter(|op| *op == Op::HoldsNot)?,
        other => operation(field.kind, other)?,
    };
    let values = match written.get("value")? {
        Value::Array(values) => values.iter().map(plain).collect::<Option<Vec<_>>>()?,
        value => vec![plain(value)?],
    };
    Some(Filter::Is(Test {
        path: Path::direct(field),
        op,
        operands: operands(field, op, &values)?,
    }))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
