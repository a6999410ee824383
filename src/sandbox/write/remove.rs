//! Records that are taken away, and records that are locked.

use serde_json::json;

use super::{
    Done, Writer,
    check::{locked, not_allowed},
    summary,
};
use crate::sandbox::{
    answer::Answer,
    cell::{Cell, Id},
    crm::{Happening, Record},
    problem::Problem,
    schema::Module,
};

impl Writer<'_> {
    /// `DELETE /{module}?ids=…`, or `DELETE /{module}/{id}`.
    pub(in crate::sandbox) fn delete(
        &mut self,
        module: Module,
        id: Option<Id>,
        ids: Option<&str>,
    ) -> Result<Answer, Problem> {
        let ids: Vec<Id> = match (id, ids) {
            (Some(id), _) => vec![id],
            (None, Some(ids)) => {
                let ids = ids.split(',').map(str::parse).collect::<Result<_, _>>();
                ids.map_err(|_| Problem::bad_param("ids"))?
            }
            (None, None) => return Err(Problem::missing_param("ids")),
        };
        if ids.len() > 100 {
            return Err(Problem::limit_exceeded(100, "ids"));
        }
        let results = ids
            .into_iter()
            .enumerate()
            .map(|(at, id)| self.take_away(module, at, id))
            .collect();
        Ok(summary(module, results, 200)?.costing(1))
    }

    /// `POST` or `DELETE /{module}/{id}/Locking_Information__s`.
    pub(in crate::sandbox) fn lock(
        &mut self,
        module: Module,
        id: Id,
        locked: bool,
    ) -> Result<Answer, Problem> {
        let mut record = self.changeable(module, id)?;
        record.set("Locked__s", Cell::Flag(locked));
        let (action, message) = match locked {
            true => ("record_locked", "record locked successfully"),
            false => ("record_unlocked", "record unlocked successfully"),
        };
        let done = self.commit(module, record, action, Vec::new(), message)?;
        summary(module, vec![Ok(done)], 200)
    }

    fn take_away(&mut self, module: Module, at: usize, id: Id) -> Result<Done, Problem> {
        let record = self.changeable(module, id)?;
        if record.get("Locked__s") == Some(&Cell::Flag(true)) {
            return Err(locked(at));
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
            details: json!({"id": id.to_string()}),
            message: "record deleted",
            upserted: None,
        })
    }

    fn changeable(&self, module: Module, id: Id) -> Result<Record, Problem> {
        let record = self.crm.get(module, id);
        let seen = record.filter(|record| self.sight.sees(self.crm, module, record));
        let record = seen.ok_or_else(Problem::bad_id)?;
        match self.sight.changes(self.crm, module, record) {
            true => Ok(record.clone()),
            false => Err(not_allowed(module)),
        }
    }
}
