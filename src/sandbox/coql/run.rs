//! A bound query answered from the records.

use std::{cmp::Ordering, collections::HashMap, iter};

use serde_json::{Map, Value, json};

use super::bind::{Function, Query, What};
use crate::sandbox::{
    cell::Cell,
    crm::Record,
    filter::{Onlooker, Path},
    render::{Painter, number},
    schema::Module,
};

/// Rows, and whether there are more behind them.
pub(super) struct Rows {
    pub(super) rows: Vec<Value>,
    pub(super) more: bool,
}

/// Runs a query for someone who sees that much.
pub(super) fn run(query: &Query, by: Onlooker<'_>, painter: &Painter<'_>) -> Rows {
    let records: Vec<&Record> = by
        .crm
        .table(query.module)
        .values()
        .filter(|record| {
            by.sight.sees(by.crm, query.module, record)
                && query.filter.accepts(by, query.module, record)
        })
        .collect();
    let mut groups = if query.aggregates() {
        grouped(query, by, records)
    } else {
        records.into_iter().map(|r| vec![r]).collect()
    };
    sort(query, by, &mut groups);
    let more = groups.len() > query.offset.saturating_add(query.limit);
    let window = groups.iter().skip(query.offset).take(query.limit);
    Rows {
        rows: window.map(|group| row(query, by, group, painter)).collect(),
        more,
    }
}

impl Query {
    /// Every field that it looks at.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let columns = self.columns.iter().map(|column| &column.what);
        let order = self.order.iter().map(|(what, _)| what);
        let shown = columns.chain(order).map(|what| match what {
            What::Field(path) | What::Total(_, path) => path,
        });
        shown
            .chain(&self.group)
            .chain(self.filter.paths())
            .collect()
    }

    /// Its own module and those behind dots, but for users, who go with every record.
    pub(super) fn modules(&self) -> impl Iterator<Item = Module> {
        let dotted = self.paths().into_iter().flat_map(Path::modules);
        let dotted = dotted.filter(|module| *module != Module::Users);
        iter::once(self.module).chain(dotted)
    }
}

/// The records of one row each, in the order in which the rows first appear.
fn grouped<'a>(query: &Query, by: Onlooker<'_>, records: Vec<&'a Record>) -> Vec<Vec<&'a Record>> {
    if query.group.is_empty() {
        return vec![records];
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        let key: Vec<Option<&Cell>> = query
            .group
            .iter()
            .map(|path| path.value(by, query.module, record))
            .collect();
        let place = *places.entry(format!("{key:?}")).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

fn sort(query: &Query, by: Onlooker<'_>, groups: &mut Vec<Vec<&Record>>) {
    if query.order.is_empty() {
        return;
    }
    let keys = |group: &Vec<&Record>| -> Vec<Option<Cell>> {
        query
            .order
            .iter()
            .map(|(what, _)| value(query, by, group, what))
            .collect()
    };
    let mut keyed: Vec<(Vec<Option<Cell>>, Vec<&Record>)> = groups
        .drain(..)
        .map(|group| (keys(&group), group))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let columns = a.iter().zip(b).zip(&query.order);
        columns.fold(Ordering::Equal, |so_far, ((a, b), (_, descending))| {
            let order = compare(a.as_ref(), b.as_ref());
            so_far.then(if *descending { order.reverse() } else { order })
        })
    });
    groups.extend(keyed.into_iter().map(|(_, group)| group));
}

/// Nulls come first, as the smallest.
pub(in crate::sandbox) fn compare(a: Option<&Cell>, b: Option<&Cell>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.order(b).unwrap_or(Ordering::Equal),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn value(query: &Query, by: Onlooker<'_>, group: &[&Record], what: &What) -> Option<Cell> {
    match what {
        What::Field(path) => path.value(by, query.module, group.first()?).cloned(),
        What::Total(function, path) => total(query, by, group, *function, path),
    }
}

/// Nulls do not count.
fn total(
    query: &Query,
    by: Onlooker<'_>,
    group: &[&Record],
    function: Function,
    path: &Path,
) -> Option<Cell> {
    let cells = || {
        group
            .iter()
            .filter_map(|record| path.value(by, query.module, record))
    };
    let sum = || cells().filter_map(Cell::as_number).sum::<f64>();
    match function {
        Function::Count => Some(Cell::Int(
            i64::try_from(cells().count()).unwrap_or(i64::MAX),
        )),
        Function::Min => cells()
            .min_by(|a, b| a.order(b).unwrap_or(Ordering::Equal))
            .cloned(),
        Function::Max => cells()
            .max_by(|a, b| a.order(b).unwrap_or(Ordering::Equal))
            .cloned(),
        Function::Sum => cells().next().map(|_| Cell::Number(sum())),
        Function::Avg => {
            let count = cells().count();
            (count > 0).then(|| Cell::Number(sum() / count as f64))
        }
    }
}

fn row(query: &Query, by: Onlooker<'_>, group: &[&Record], painter: &Painter<'_>) -> Value {
    let mut row = Map::new();
    for column in &query.columns {
        let shown = match &column.what {
            What::Field(path) => group.first().map_or(Value::Null, |record| {
                let holder = path.holder(by, query.module, record);
                holder.map_or(Value::Null, |(_, holder)| painter.brief(path.field, holder))
            }),
            What::Total(..) => match value(query, by, group, &column.what) {
                Some(Cell::Int(count)) => json!(count),
                Some(Cell::Number(sum)) => number(sum),
                Some(other) => painter.plain(&other),
                None => Value::Null,
            },
        };
        row.insert(column.key.clone(), shown);
    }
    if !query.aggregates()
        && let Some(record) = group.first()
    {
        row.entry("id")
            .or_insert_with(|| json!(record.id.to_string()));
    }
    Value::Object(row)
}
