//! Writes: records are added and changed one by one, and each says how it went.

mod check;
mod lock;
mod remove;
mod rows;
mod upsert;

pub(super) use rows::is_bulk;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::{
    check::{has_note_text, is_blank, locked, missing, no_note_text, wrong_type},
    rows::{rows, too_many},
    upsert::Upserted,
};
use super::{
    answer::Answer,
    cell::{Cell, Id},
    clock::moment,
    crm::{Change, Crm, Happening, Record},
    org::User,
    problem::{BAD_ID, DENIED, Problem},
    schema::Module,
    sight::Sight,
};

/// What a write needs to know of the request it answers.
pub(super) struct Writer<'a> {
    pub(super) crm: &'a mut Crm,
    pub(super) user: Id,
    pub(super) sight: Sight,
    pub(super) unique_email: bool,
    pub(super) now: Timestamp,
    pub(super) unmodified_since: Option<Timestamp>,
}

type Object = Map<String, Value>;

impl Writer<'_> {
    /// `POST /{module}`, or `POST /{module}/{id}/Notes` with the record above.
    pub(super) fn insert(
        &mut self,
        module: Module,
        above: Option<(Module, Id)>,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        if above.is_some_and(|(module, id)| self.seen(module, id).is_none()) {
            // It is the place that is wrong, and no row.
            return Err(Problem {
                alone: true,
                ..Problem::bad_parent()
            });
        }
        let rows = rows(module, body)?;
        let results = rows
            .iter()
            .enumerate()
            .map(|(at, row)| self.add(module, above, at, row))
            .collect();
        summary(module, results, 201)
    }

    /// `PUT /{module}/{id}`, or `PUT /{module}` with the id in each row.
    pub(super) fn update(
        &mut self,
        module: Module,
        id: Option<Id>,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        let rows = rows(module, body)?;
        if id.is_some() && rows.len() > 1 {
            return Err(too_many(1));
        }
        if id.is_some_and(|id| self.seen(module, id).is_none()) {
            return Err(Problem::unknown_record());
        }
        let results = rows
            .iter()
            .enumerate()
            .map(|(at, row)| self.change(module, id, at, row))
            .collect();
        summary(module, results, 200)
    }

    fn add(
        &mut self,
        module: Module,
        above: Option<(Module, Id)>,
        at: usize,
        row: &Value,
    ) -> Result<Done, Problem> {
        let row = row
            .as_object()
            .ok_or_else(|| wrong_type("jsonobject", "data", &format!("$.data[{at}]")))?;
        for field in module.fields().filter(|field| field.mandatory) {
            if row.get(field.name).is_none_or(is_blank) {
                return Err(missing(field.name, at));
            }
        }
        let mut record = Record::new(self.crm.next_id());
        for (field, cell) in self.cells(module, row, at)? {
            record.set(field.name, cell);
        }
        if module == Module::Notes {
            has_note_text(&record, at)?;
        }
        self.is_unique(module, &record, at)?;
        self.is_about(&record, row, at)?;
        Self::has_an_end(&record, at)?;
        match above {
            Some((_, id)) => record.set("Parent_Id", Cell::Ref(id)),
            None if module == Module::Notes => self.has_parent(&record, row, at)?,
            None => {}
        }
        if record.get("Owner").is_none() {
            record.set("Owner", Cell::Ref(self.user));
        }
        for (name, value) in self.defaults(module, &record) {
            if record.get(name).is_none() {
                record.set(name, Cell::text(value));
            }
        }
        record.set("Created_By", Cell::Ref(self.user));
        record.set("Created_Time", Cell::Moment(self.now));
        self.commit(module, record, "added", Vec::new(), "record added")
    }

    fn change(
        &mut self,
        module: Module,
        id: Option<Id>,
        at: usize,
        row: &Value,
    ) -> Result<Done, Problem> {
        let row = row
            .as_object()
            .ok_or_else(|| wrong_type("jsonobject", "data", &format!("$.data[{at}]")))?;
        let given = row
            .get("id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok());
        let bad_id = || {
            Problem::bad(
                "INVALID_DATA",
                json!({"api_name": "id", "json_path": format!("$.data[{at}].id")}),
                BAD_ID,
            )
        };
        let id = match (id, row.contains_key("id")) {
            (Some(id), _) => id,
            (None, true) => given.ok_or_else(bad_id)?,
            (None, false) => return Err(missing("id", at)),
        };
        let mut record = self.seen(module, id).cloned().ok_or_else(bad_id)?;
        if !self.sight.changes(self.crm, module, &record) {
            return Err(Problem::denied("Edit", module.name(), DENIED));
        }
        if record.get("Locked__s") == Some(&Cell::Flag(true)) {
            return Err(locked(at));
        }
        self.is_unmodified(&record)?;
        self.keeps_mandatory(module, row, at)?;
        let names_text = ["Note_Title", "Note_Content"].map(|name| row.contains_key(name));
        if module == Module::Notes && !names_text.contains(&true) {
            return Err(no_note_text(at));
        }
        let mut changes = Vec::new();
        for (field, new) in self.cells(module, row, at)? {
            let old = record.get(field.name).cloned();
            if old != new {
                record.set(field.name, new.clone());
                changes.push(Change { field, old, new });
            }
        }
        if module == Module::Notes {
            has_note_text(&record, at)?;
        }
        if changes.iter().any(|change| change.field.name == "Email") {
            self.is_unique(module, &record, at)?;
        }
        self.is_about(&record, row, at)?;
        Self::has_an_end(&record, at)?;
        if changes.iter().any(|change| change.field.name == "Stage")
            && !changes
                .iter()
                .any(|change| change.field.name == "Probability")
        {
            // A new stage brings its own probability.
            record.set("Probability", None);
        }
        let done = record.text("Status") == Some("Completed");
        if module == Module::Tasks && changes.iter().any(|change| change.field.name == "Status") {
            record.set("Closed_Time", done.then_some(Cell::Moment(self.now)));
        }
        self.commit(module, record, "updated", changes, "record updated")
    }

    /// Refuses a note that does not stand below a record.
    pub(super) fn is_below(&self, module: Module, id: Id, note: Id) -> Result<(), Problem> {
        self.seen(module, id).ok_or_else(Problem::bad_related)?;
        let known = self.seen(Module::Notes, note);
        let below = known.filter(|note| note.points_at("Parent_Id") == Some(id));
        below.map(|_| ()).ok_or_else(|| Problem::bad_id_at(3))
    }

    /// What a new activity says where nothing was given.
    fn defaults(&self, module: Module, record: &Record) -> Vec<(&'static str, &'static str)> {
        match module {
            Module::Calls => vec![("Call_Status", self.call_status(record))],
            Module::Events => vec![("Check_In_Status", "PLANNED")],
            Module::Tasks => vec![("Status", "Not Started"), ("Priority", "Normal")],
            _ => Vec::new(),
        }
    }

    /// What becomes of a call of which nobody says it.
    fn call_status(&self, call: &Record) -> &'static str {
        let begins = call.get("Call_Start_Time");
        match begins {
            _ if call.text("Call_Type") == Some("Missed") => "Missed",
            Some(Cell::Moment(at)) if *at > self.now => "Scheduled",
            _ => "Completed",
        }
    }

    /// A record that the user sees.
    fn seen(&self, module: Module, id: Id) -> Option<&Record> {
        let record = self.crm.get(module, id);
        record.filter(|record| self.sight.sees(self.crm, module, record))
    }

    fn commit(
        &mut self,
        module: Module,
        mut record: Record,
        action: &'static str,
        changes: Vec<Change>,
        message: &'static str,
    ) -> Result<Done, Problem> {
        let (id, by, at) = (record.id, self.user, self.now);
        record.set("Modified_By", Cell::Ref(by));
        record.set("Modified_Time", Cell::Moment(at));
        // To be added is no activity yet.
        if action != "added" && module != Module::Notes && !module.is_activity() {
            record.set("Last_Activity_Time", Cell::Moment(at));
        }
        let line = Happening {
            id,
            at,
            by,
            action,
            source: "crm_api",
            module,
            record: id,
            changes,
        };
        self.crm
            .put(module, record, line)
            .map_err(|super::crm::Full| {
                Problem::bad(
                    "LIMIT_REACHED",
                    json!({}),
                    "the sandbox holds as many records as it can",
                )
            })?;
        Ok(Done {
            id,
            details: self.details(module, id),
            message,
            upserted: None,
        })
    }

    fn details(&self, module: Module, id: Id) -> Value {
        let record = self.crm.get(module, id);
        let mut details = record.map_or(Value::Null, |record| self.stamps(record));
        if module != Module::Notes
            && let Some(details) = details.as_object_mut()
        {
            details.insert("$approval_state".to_owned(), json!("approved"));
        }
        details
    }

    /// Who made and changed a record, and when.
    fn stamps(&self, record: &Record) -> Value {
        let user = |field| {
            let id = record.points_at(field);
            id.and_then(|id| self.crm.user(id)).map(User::short)
        };
        let zone = self
            .crm
            .user(self.user)
            .map(|user| user.zone.clone())
            .unwrap_or(jiff::tz::TimeZone::UTC);
        let time = |field| match record.get(field) {
            Some(Cell::Moment(at)) => Some(moment(*at, &zone)),
            _ => None,
        };
        json!({
            "Modified_Time": time("Modified_Time"),
            "Modified_By": user("Modified_By"),
            "Created_Time": time("Created_Time"),
            "id": record.id.to_string(),
            "Created_By": user("Created_By"),
        })
    }

    fn is_unmodified(&self, record: &Record) -> Result<(), Problem> {
        // Times are told to the second, so that is what they are held against.
        let since = self.unmodified_since.map(Timestamp::as_second);
        let modified = match record.get("Modified_Time") {
            Some(Cell::Moment(at)) => Some(at.as_second()),
            _ => None,
        };
        if since.is_some_and(|since| modified.is_some_and(|at| at > since)) {
            let message = "record updated time has already passed if-unmodified-since time";
            return Err(Problem {
                status: 412,
                ..Problem::bad("ALREADY_MODIFIED", self.stamps(record), message)
            });
        }
        Ok(())
    }
}

/// A record that was written.
struct Done {
    id: Id,
    details: Value,
    message: &'static str,
    upserted: Option<Upserted>,
}

impl Done {
    fn body(&self) -> Value {
        let mut body = json!({
            "code": "SUCCESS",
            "details": self.details,
            "message": self.message,
            "status": "success",
        });
        if let (Some(upserted), Some(body)) = (&self.upserted, body.as_object_mut()) {
            body.insert("action".to_owned(), json!(upserted.action));
            body.insert("duplicate_field".to_owned(), json!(upserted.field));
        }
        body
    }
}

/// One answer for all rows: the status of success, 207 for a mix, or the first problem's. Of one
/// row that the user may not change the problem is all there is to say; among several it stands in
/// its place, below a status that goes with `data[]`.
fn summary(
    module: Module,
    results: Vec<Result<Done, Problem>>,
    success: u16,
) -> Result<Answer, Problem> {
    if let [Err(problem)] = results.as_slice()
        && !problem.is_of_rows()
    {
        return Err(problem.clone());
    }
    let committed: Vec<_> = results
        .iter()
        .flatten()
        .map(|done| (module, done.id))
        .collect();
    let failed = results.iter().find_map(|result| result.as_ref().err());
    let status = match failed {
        None => success,
        Some(problem) if committed.is_empty() && problem.is_of_rows() => problem.status,
        Some(_) if committed.is_empty() => 400,
        Some(_) => 207,
    };
    let credits = u32::try_from(results.len().div_ceil(10)).unwrap_or(1);
    let data: Vec<Value> = results
        .iter()
        .map(|result| match result {
            Ok(done) => done.body(),
            Err(problem) => problem.body(),
        })
        .collect();
    Ok(Answer {
        status,
        body: Some(json!({"data": data})),
        credits,
        committed,
    })
}
