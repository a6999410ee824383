//! Records that are locked: nobody changes them until the lock is gone.

use serde_json::json;

use super::{
    Done, Writer,
    check::{is_blank, missing},
    rows, summary,
};
use crate::sandbox::{
    answer::Answer,
    cell::{Cell, Id},
    crm::{Lock, Record},
    problem::{BAD_ID, Problem},
    schema::Module,
};

impl Writer<'_> {
    /// `POST /{module}/{id}/Locking_Information__s`, with the reason.
    pub(in crate::sandbox) fn lock(
        &mut self,
        module: Module,
        id: Id,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        let record = self.changeable(module, id, Problem::bad_parent())?;
        let rows = rows(body)?;
        let reason = rows.first().and_then(|row| row.get(REASON));
        let Some(reason) = reason.filter(|reason| !is_blank(reason)) else {
            return summary(module, vec![Err(missing(REASON, 0))], 201);
        };
        if self.crm.locks.contains_key(&id) {
            return Err(Problem {
                status: 403,
                ..Problem::bad(
                    "NOT_ALLOWED",
                    json!({"resource_path_index": 1}),
                    "record is already locked",
                )
            });
        }
        let lock = self.crm.next_id();
        let mut made = Record::new(lock);
        for (field, cell) in [
            ("Created_By", Cell::Ref(self.user)),
            ("Modified_By", Cell::Ref(self.user)),
            ("Created_Time", Cell::Moment(self.now)),
            ("Modified_Time", Cell::Moment(self.now)),
        ] {
            made.set(field, cell);
        }
        let details = self.stamps(&made);
        let held = Lock {
            id: lock,
            by: self.user,
            at: self.now,
            reason: reason.as_str().unwrap_or_default().into(),
        };
        self.crm.locks.insert(id, held);
        let done = self.mark(module, record, true, "record added")?;
        summary(module, vec![Ok(Done { details, ..done })], 201)
    }

    /// `DELETE /{module}/{id}/Locking_Information__s/{lock}`.
    pub(in crate::sandbox) fn unlock(
        &mut self,
        module: Module,
        id: Id,
        lock: Id,
    ) -> Result<Answer, Problem> {
        let record = self.changeable(module, id, Problem::bad_parent())?;
        if self.crm.locks.get(&id).is_none_or(|held| held.id != lock) {
            let place = json!({"resource_path_index": 3});
            return Err(Problem::bad("INVALID_DATA", place, BAD_ID));
        }
        self.crm.locks.remove(&id);
        let done = self.mark(module, record, false, "relation removed")?;
        let details = json!({"id": lock.to_string()});
        summary(module, vec![Ok(Done { details, ..done })], 200)
    }

    fn mark(
        &mut self,
        module: Module,
        mut record: Record,
        locked: bool,
        message: &'static str,
    ) -> Result<Done, Problem> {
        record.set("Locked__s", Cell::Flag(locked));
        let action = if locked {
            "record_locked"
        } else {
            "record_unlocked"
        };
        self.commit(module, record, action, Vec::new(), message)
    }
}

const REASON: &str = "Locked_Reason__s";
