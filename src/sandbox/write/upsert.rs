//! `POST /{module}/upsert`: changes the record that a row is a duplicate of, or adds one.

use serde_json::{Value, json};

use super::{Done, Writer, rows, summary};
use crate::sandbox::{
    answer::Answer,
    cell::{Id, fold},
    problem::Problem,
    schema::Module,
};

/// What became of a row.
pub(super) struct Upserted {
    pub(super) action: &'static str,
    pub(super) field: Option<String>,
}

impl Writer<'_> {
    /// Each row by itself; 200 also where all were added.
    pub(in crate::sandbox) fn upsert(
        &mut self,
        module: Module,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        let rows = rows(module, body)?;
        let whole: Value = serde_json::from_slice(body).map_err(|_| Problem::bad_body())?;
        let asked = whole
            .get("duplicate_check_fields")
            .and_then(Value::as_array);
        let names: Vec<String> = asked
            .into_iter()
            .flatten()
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .chain(unique(module).map(str::to_owned))
            .collect();
        let results = rows
            .iter()
            .enumerate()
            .map(|(at, row)| self.add_or_change(module, &names, at, row))
            .collect();
        summary(module, results, 200)
    }

    fn add_or_change(
        &mut self,
        module: Module,
        names: &[String],
        at: usize,
        row: &Value,
    ) -> Result<Done, Problem> {
        let found = names.iter().find_map(|name| {
            let id = self.same(module, name, row.get(name)?.as_str()?)?;
            Some((id, name.clone()))
        });
        let (mut done, action, field) = match found {
            // A row that names its record is looked for nowhere else.
            _ if row.get("id").is_some() => (self.change(module, None, at, row)?, "update", None),
            Some((id, field)) => {
                let done = self.change(module, Some(id), at, row);
                let done = done.map_err(|problem| naming(problem, id))?;
                (done, "update", Some(field))
            }
            None => (self.add(module, None, at, row)?, "insert", None),
        };
        // Only what is new may have to be approved.
        if let Some(details) = done.details.as_object_mut().filter(|_| action == "update") {
            details.remove("$approval_state");
        }
        let upserted = Some(Upserted { action, field });
        Ok(Done { upserted, ..done })
    }

    fn same(&self, module: Module, name: &str, value: &str) -> Option<Id> {
        let value = fold(value);
        let mut seen = self
            .crm
            .table(module)
            .values()
            .filter(|record| self.sight.sees(self.crm, module, record));
        let same = seen.find(|record| record.text(name).map(fold).as_ref() == Some(&value));
        same.map(|record| record.id)
    }
}

/// The record that was found is named where a mandatory value would be taken away from it.
fn naming(mut problem: Problem, id: Id) -> Problem {
    let details = problem.details.as_object_mut();
    if let Some(details) = details.filter(|_| problem.code == "MANDATORY_NOT_FOUND") {
        details.insert("id".to_owned(), json!(id.to_string()));
    }
    problem
}

/// What Zoho itself takes for the sign of a duplicate.
fn unique(module: Module) -> Option<&'static str> {
    match module {
        Module::Contacts | Module::Leads => Some("Email"),
        Module::Accounts => Some("Account_Name"),
        Module::Deals => Some("Deal_Name"),
        _ => None,
    }
}
