//! Records that are locked: nobody changes them until the lock is gone.

use serde_json::{Value, json};

use super::{
    Done, Writer,
    check::{is_blank, missing},
    rows, summary,
};
use crate::sandbox::{
    answer::Answer,
    cell::{Cell, Id},
    crm::{Lock, Record},
    problem::Problem,
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
        let record = self.changeable(module, id, Problem::bad_parent(), denied(module))?;
        let reason = match reason(&rows(module, body)?) {
            Ok(reason) => reason,
            Err(missing) => return summary(module, vec![Err(missing)], 201),
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
            reason,
        };
        self.crm.locks.insert(id, held);
        let done = self.mark(module, record, true, "record added")?;
        summary(module, vec![Ok(Done { details, ..done })], 201)
    }

    /// `PUT /{module}/{id}/Locking_Information__s/{lock}`, with another reason.
    pub(in crate::sandbox) fn relock(
        &mut self,
        module: Module,
        id: Id,
        lock: Id,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        self.changeable(module, id, Problem::bad_parent(), denied(module))?;
        let held = self.crm.locks.get_mut(&id).filter(|held| held.id == lock);
        let held = held.ok_or_else(|| Problem::bad_id_at(3))?;
        let changed = reason(&rows(module, body)?).map(|reason| {
            held.reason = reason;
            Done {
                id,
                details: json!({"id": lock.to_string()}),
                message: "relation updated",
                upserted: None,
            }
        });
        summary(module, vec![changed], 200)
    }

    /// `DELETE /{module}/{id}/Locking_Information__s/{lock}`.
    pub(in crate::sandbox) fn unlock(
        &mut self,
        module: Module,
        id: Id,
        lock: Id,
    ) -> Result<Answer, Problem> {
        let place = |at: u8| json!({"resource_path_index": at});
        let not_unlocked = Problem {
            details: place(1),
            ..Problem::plain(403, "NO_PERMISSION", NOT_UNLOCKED)
        };
        let record = self.changeable(module, id, Problem::bad_parent(), not_unlocked)?;
        if self.crm.locks.get(&id).is_none_or(|held| held.id != lock) {
            return Err(Problem::bad("INVALID_DATA", place(3), "relation not found"));
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

/// Why a record is locked, by the first row of a body.
fn reason(rows: &[Value]) -> Result<Box<str>, Problem> {
    let given = rows.first().and_then(|row| row.get(REASON));
    let given = given.filter(|reason| !is_blank(reason));
    let given = given.ok_or_else(|| missing(REASON, 0))?;
    Ok(given.as_str().unwrap_or_default().into())
}

/// Who may not change a record may not lock it.
fn denied(module: Module) -> Problem {
    Problem::denied("Edit", module.name(), "permission denied")
}

const NOT_UNLOCKED: &str = "You do not have permission to unlock this record";
const REASON: &str = "Locked_Reason__s";
