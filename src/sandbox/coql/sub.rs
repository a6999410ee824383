//! Queries inside a condition: they are run first, and what they find takes their place.

use serde_json::{Value, json};

use super::{
    bind,
    parse::{Tree, Written},
    run,
};
use crate::sandbox::{
    filter::Onlooker, problem::Problem, render::Painter, scope, settings::Settings, sight::Sight,
};

/// Whoever asks, and what they see.
pub(super) struct Asker<'a> {
    pub(super) painter: &'a Painter<'a>,
    pub(super) sight: &'a Sight,
    pub(super) settings: &'a Settings,
}

impl Asker<'_> {
    /// Puts values in the place of all inner queries; `sequence` counts them.
    pub(super) fn resolve(&self, tree: &mut Tree, sequence: &mut usize) -> Result<(), Problem> {
        match tree {
            Tree::And(left, right) | Tree::Or(left, right) => {
                self.resolve(left, sequence)?;
                self.resolve(right, sequence)
            }
            Tree::Leaf {
                operator,
                values,
                inner,
                ..
            } => {
                if let Some(inner) = inner.take() {
                    *values = self.values(&inner, operator, *sequence)?;
                    *sequence += 1;
                }
                Ok(())
            }
        }
    }

    fn values(
        &self,
        written: &Written,
        operator: &str,
        sequence: usize,
    ) -> Result<Vec<String>, Problem> {
        let refused = |details: Value, message: &'static str| {
            Err(Problem::bad("INVALID_QUERY", details, message))
        };
        let [column] = written.columns.as_slice() else {
            let names: Vec<&str> = written.columns.iter().map(|it| it.name.as_str()).collect();
            let details = json!({"sub_query_sequence": sequence, "column_name": names});
            return refused(details, ONE_COLUMN);
        };
        let query = bind::bind(written)?;
        scope::check_query(query.modules(), false, &self.settings.scopes)?;
        if let Some(name) = self
            .sight
            .hidden_in(query.module, query.paths().into_iter())
        {
            return Err(bind::invalid(name));
        }
        let key = query.columns.first().map(|column| column.key.clone());
        let key = key.unwrap_or_else(|| column.name.clone());
        let by = Onlooker {
            crm: self.painter.crm,
            sight: self.sight,
        };
        let found = run::run(&query, by, self.painter);
        let values: Vec<String> = found
            .rows
            .iter()
            .filter_map(|row| text(row.get(&key)?))
            .collect();
        if values.len() > 1 && !matches!(operator, "in" | "not in") {
            let details = json!({"sub_query_sequence": sequence, "operator": operator});
            return refused(details, MANY_VALUES);
        }
        Ok(values)
    }
}

/// A value as a query would write it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        // A lookup is compared by the id that it points at.
        Value::Object(lookup) => lookup.get("id")?.as_str().map(str::to_owned),
        _ => None,
    }
}

const ONE_COLUMN: &str = "subquery should contains only one column";
const MANY_VALUES: &str =
    "subquery return more than one values which is incompatible for the operator";
