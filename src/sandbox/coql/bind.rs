//! A written query tied to the schema: fields exist, operators fit their types, limits hold.

use serde_json::json;

use super::{
    bounds::{once, window, within},
    parse::{Column, Tree, Written},
};
use crate::sandbox::{
    cell::Cell,
    filter::{Filter, Hop, Op, Path, Test},
    problem::Problem,
    schema::{Kind, Module},
};

/// A query that can be run.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) module: Module,
    pub(super) columns: Vec<Selected>,
    pub(super) filter: Filter,
    pub(super) group: Vec<Path>,
    pub(super) order: Vec<(What, bool)>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// A column of the answer and its key.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) key: String,
    pub(super) what: What,
}

/// What a column shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Field(Path),
    Total(Function, Path),
}

/// The aggregates, which Zoho knows in upper case only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Sum,
    Min,
    Max,
    Avg,
    Count,
}

impl Query {
    /// Whether rows are groups of records.
    pub(super) fn aggregates(&self) -> bool {
        !self.group.is_empty()
            || self
                .columns
                .iter()
                .any(|column| matches!(column.what, What::Total(..)))
    }
}

/// Ties a query to the schema.
pub(super) fn bind(written: &Written) -> Result<Query, Problem> {
    let module = Module::parse(&written.module).ok_or_else(|| {
        Problem::bad(
            "INVALID_MODULE",
            json!({}),
            "the given module is not supported in api",
        )
    })?;
    let (limit, offset) = window(written)?;
    within(written.group.len(), 4)?;
    within(written.order.len(), 10)?;
    once("group by", written.group.iter().cloned())?;
    once(
        "order by",
        written.order.iter().map(|(column, _)| column.called()),
    )?;
    let columns = columns(module, &written.columns)?;
    let tree = written.filter.as_ref().ok_or_else(unreadable)?;
    let filter = filter(module, tree)?;
    let group = written
        .group
        .iter()
        .map(|name| path(module, name))
        .collect::<Result<Vec<_>, _>>()?;
    let order = written
        .order
        .iter()
        .map(|(column, descending)| Ok((sort_key(module, column, &columns)?, *descending)))
        .collect::<Result<Vec<_>, Problem>>()?;
    let query = Query {
        module,
        columns,
        filter,
        group,
        order,
        limit,
        offset,
    };
    groups_hold(&query)?;
    Ok(query)
}

fn columns(module: Module, written: &[Column]) -> Result<Vec<Selected>, Problem> {
    let mut selected: Vec<Selected> = Vec::new();
    for column in written {
        let what = what(module, column)?;
        if column.alias.is_none() && selected.iter().any(|other| other.what == what) {
            return Err(match &column.function {
                None => Problem::bad(
                    "DUPLICATE_DATA",
                    json!({"column_name": column.name}),
                    "duplicate select column",
                ),
                Some(function) => Problem::bad(
                    "DUPLICATE_DATA",
                    json!({"column_name": column.name, "aggregate": function}),
                    "duplicate aggregate function",
                ),
            });
        }
        alias_is_free(column, written)?;
        selected.push(Selected {
            key: column.alias.clone().unwrap_or_else(|| column.called()),
            what,
        });
    }
    within(
        selected
            .iter()
            .filter(|column| matches!(column.what, What::Total(..)))
            .count(),
        5,
    )?;
    Ok(selected)
}

fn alias_is_free(column: &Column, all: &[Column]) -> Result<(), Problem> {
    let Some(alias) = &column.alias else {
        return Ok(());
    };
    if alias.is_empty() {
        let details = json!({"column_name": column.name, "alias": ""});
        return Err(Problem::bad(
            "INVALID_ALIAS",
            details,
            "alias name cannot be an empty string",
        ));
    }
    let sharing: Vec<&str> = all
        .iter()
        .filter(|other| other.alias.as_ref() == Some(alias))
        .map(|other| other.name.as_str())
        .collect();
    if sharing.len() > 1 {
        let details = json!({"referred_columns": sharing, "alias": alias});
        return Err(Problem::bad(
            "DUPLICATE_ALIAS",
            details,
            "same alias cannot refer more than one column",
        ));
    }
    let taken = all
        .iter()
        .any(|other| other.alias.is_none() && other.function.is_none() && other.name == *alias);
    if taken {
        let details = json!({"column_name": column.name, "alias": alias});
        return Err(Problem::bad("INVALID_QUERY", details, TAKEN));
    }
    Ok(())
}

fn what(module: Module, column: &Column) -> Result<What, Problem> {
    let Some(function) = &column.function else {
        return Ok(What::Field(path(module, &column.name)?));
    };
    let function = match function.as_str() {
        "SUM" => Function::Sum,
        "MIN" => Function::Min,
        "MAX" => Function::Max,
        "AVG" => Function::Avg,
        "COUNT" => Function::Count,
        _ => {
            let reason = "unsupported aggregate function";
            let details = json!({"reason": reason, "column": column.called()});
            return Err(Problem::bad("INVALID_DATA", details, "invalid data"));
        }
    };
    let path = path(module, &column.name)?;
    let kind = path.field.kind;
    let fits = match function {
        Function::Sum | Function::Avg => matches!(kind, Kind::Int | Kind::Currency | Kind::Double),
        Function::Min | Function::Max => kind.is_ordered() && kind != Kind::Id,
        Function::Count => {
            kind.is_ordered() || matches!(kind, Kind::Pick(_) | Kind::Lookup(_) | Kind::AnyLookup)
        }
    };
    if fits {
        Ok(What::Total(function, path))
    } else {
        Err(unsupported(&column.name))
    }
}

fn sort_key(module: Module, column: &Column, selected: &[Selected]) -> Result<What, Problem> {
    let aliased = selected
        .iter()
        .find(|other| column.function.is_none() && other.key == column.name);
    match aliased {
        Some(aliased) => Ok(aliased.what.clone()),
        None => what(module, column),
    }
}

/// Beside aggregates only what the rows are grouped by can be shown or sorted.
fn groups_hold(query: &Query) -> Result<(), Problem> {
    if !query.aggregates() {
        return Ok(());
    }
    let shown = query
        .columns
        .iter()
        .map(|column| &column.what)
        .chain(query.order.iter().map(|(what, _)| what));
    for what in shown {
        if let What::Field(path) = what
            && !query.group.contains(path)
        {
            return Err(invalid(path.field.name));
        }
    }
    Ok(())
}

/// `Account_Name.Owner.last_name`, or `What_Id->Deals.Deal_Name`.
fn path(module: Module, name: &str) -> Result<Path, Problem> {
    let unknown = || invalid(name);
    let mut parts: Vec<&str> = name.split('.').collect();
    let last = parts.pop().ok_or_else(unknown)?;
    if parts.len() > 2 {
        return Err(unknown());
    }
    let (mut module, mut through) = (module, Vec::new());
    for part in parts {
        let (part, target) = part
            .split_once("->")
            .map_or((part, None), |(part, target)| (part, Some(target)));
        let field = module.field(part).ok_or_else(unknown)?;
        module = match (field.kind, target) {
            (Kind::Lookup(module), None) => module,
            (Kind::AnyLookup, Some(target)) => Module::parse(target).ok_or_else(unknown)?,
            _ => return Err(unknown()),
        };
        through.push(Hop {
            field,
            only: target.map(|_| module),
        });
    }
    let field = module.field(last);
    let field = field.filter(|field| !matches!(field.kind, Kind::Composed(_)));
    Ok(Path {
        through,
        field: field.ok_or_else(unknown)?,
    })
}

fn filter(module: Module, tree: &Tree) -> Result<Filter, Problem> {
    Ok(match tree {
        Tree::And(left, right) => Filter::All(vec![filter(module, left)?, filter(module, right)?]),
        Tree::Or(left, right) => Filter::Any(vec![filter(module, left)?, filter(module, right)?]),
        Tree::Leaf {
            name,
            operator,
            values,
            ..
        } => Filter::Is(test(module, name, operator, values)?),
    })
}

fn test(module: Module, name: &str, operator: &str, values: &[String]) -> Result<Test, Problem> {
    let path = path(module, name)?;
    let kind = path.field.kind;
    if matches!(kind, Kind::Area(_) | Kind::Nested) {
        let value = values.first();
        let details = json!({"cv_criteria": false, "column_name": name, "value": value, "operator": operator});
        return Err(Problem::bad(
            "INVALID_QUERY",
            details,
            "unsupported column in criteria",
        ));
    }
    let op = operation(kind, operator).ok_or_else(|| {
        let details =
            json!({"reason": "invalid operator found", "column_name": name, "operator": operator});
        Problem::bad("INVALID_QUERY", details, "Invalid query formed")
    })?;
    if values.len() > 100 {
        return Err(Problem::bad(
            "LIMIT_EXCEEDED",
            json!({"limit": 100, "column_name": name}),
            "limit exceeded",
        ));
    }
    let read = |value: &String| match op {
        Op::Like | Op::NotLike => Some(Cell::text(value.as_str())),
        _ => Cell::read(kind, value),
    };
    let operands = values
        .iter()
        .map(read)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            let expected = match kind {
                Kind::Lookup(_) | Kind::AnyLookup => Kind::Id.data_type(),
                kind => kind.data_type(),
            };
            let details = json!({"expected_data_type": expected, "column_name": name});
            let message = "value given seems to be invalid for the column";
            Problem::bad("INVALID_QUERY", details, message)
        })?;
    Ok(Test { path, op, operands })
}

fn operation(kind: Kind, operator: &str) -> Option<Op> {
    let textual = kind.is_textual();
    let flag = kind == Kind::Flag;
    match operator {
        "=" => Some(Op::Equal),
        "!=" | "<>" if !flag => Some(Op::NotEqual),
        "in" if !flag => Some(Op::In),
        "not in" if !flag => Some(Op::NotIn),
        "is null" if !flag => Some(Op::Null),
        "is not null" if !flag => Some(Op::NotNull),
        "like" if textual => Some(Op::Like),
        "not like" if textual => Some(Op::NotLike),
        ">" if kind.is_ordered() => Some(Op::Greater),
        ">=" if kind.is_ordered() => Some(Op::GreaterEqual),
        "<" if kind.is_ordered() => Some(Op::Less),
        "<=" if kind.is_ordered() => Some(Op::LessEqual),
        "between" if kind.is_ordered() => Some(Op::Between),
        "not between" if kind.is_ordered() => Some(Op::NotBetween),
        _ => None,
    }
}

pub(super) fn invalid(column: &str) -> Problem {
    Problem::bad(
        "INVALID_QUERY",
        json!({"column_name": column}),
        "column given seems to be invalid",
    )
}

fn unsupported(column: &str) -> Problem {
    Problem::bad(
        "INVALID_QUERY",
        json!({"column_name": column}),
        "unsupported column",
    )
}

fn unreadable() -> Problem {
    Problem::bad("INVALID_QUERY", json!({}), "Invalid query formed")
}

const TAKEN: &str = "column name or property name given in select columns without alias name cannot be an alias name for other select columns";
