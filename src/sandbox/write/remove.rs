//! Records that are taken away.

use serde_json::json;

use super::{Done, Writer, summary};
use crate::sandbox::{
    answer::Answer,
    cell::{Cell, Id},
    crm::{Happening, Record},
    problem::{NOT_DELETED, Problem},
    schema::Module,
};

impl Writer<'_> {
    /// `DELETE /{module}?ids=…`, or `DELETE /{module}/{id}`. Only what is said of single records
    /// stands in `data[]`.
    pub(in crate::sandbox) fn delete(
        &mut self,
        module: Module,
        id: Option<Id>,
        ids: Option<&str>,
    ) -> Result<Answer, Problem> {
        let kept = Problem::denied("Delete", module.name(), NOT_DELETED);
        if let Some(id) = id {
            let place = json!({"resource_path_index": 1});
            let record = self.changeable(module, id, not_deleted(place), kept)?;
            let done = self.take_away(module, &record);
            return summary(module, vec![done], 200);
        }
        let ids = ids.ok_or_else(|| Problem::expected_param("ids"))?;
        let ids: Vec<&str> = ids.split(',').collect();
        if ids.len() > 100 {
            return Err(Problem::limit_exceeded(100, "ids"));
        }
        let results = ids.into_iter().map(|text| {
            let named = json!({"id": text});
            let id: Id = text.parse().map_err(|_| unreadable(named.clone()))?;
            let record = self.changeable(module, id, not_deleted(named), kept.clone())?;
            self.take_away(module, &record)
        });
        let results = results.collect();
        Ok(summary(module, results, 200)?.costing(1))
    }

    fn take_away(&mut self, module: Module, record: &Record) -> Result<Done, Problem> {
        let id = record.id;
        let details = json!({"id": id.to_string()});
        if record.get("Locked__s") == Some(&Cell::Flag(true)) {
            let details = json!({"action": "record_locking", "id": id.to_string()});
            let message = "You cannot perform this operation as the record is locked.";
            return Err(Problem::bad("RECORD_LOCKED", details, message));
        }
        let line = Happening {
            id: self.crm.next_id(),
            at: self.now,
            by: self.user,
            action: "deleted",
            source: "crm_api",
            module,
            record: id,
            changes: Vec::new(),
        };
        self.crm.remove(module, id, line);
        Ok(Done {
            id,
            details,
            message: "record deleted",
            upserted: None,
        })
    }

    /// A record that the user sees and may change.
    pub(super) fn changeable(
        &self,
        module: Module,
        id: Id,
        unknown: Problem,
        denied: Problem,
    ) -> Result<Record, Problem> {
        let record = self.seen(module, id).ok_or(unknown)?;
        match self.sight.changes(self.crm, module, record) {
            true => Ok(record.clone()),
            false => Err(denied),
        }
    }
}

fn not_deleted(details: serde_json::Value) -> Problem {
    Problem::bad("INVALID_DATA", details, "record not deleted")
}

fn unreadable(details: serde_json::Value) -> Problem {
    let message = "either the request body or parameters is in wrong format";
    Problem::bad("INVALID_DATA", details, message)
}
