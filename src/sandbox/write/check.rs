//! What a row of a write may hold: types, lengths, picklists, lookups that exist.

use serde_json::{Value, json};

use super::{Object, Writer};
use crate::sandbox::{
    cell::{Cell, Id, fold},
    crm::{Record, call_seconds},
    org::User,
    problem::{BAD_ID, Problem},
    render::module_id,
    schema::{Field, Kind, Module},
};

impl Writer<'_> {
    /// The cells that a row sets; names that the module lacks are passed over, as Zoho does.
    pub(super) fn cells(
        &self,
        module: Module,
        row: &Object,
        at: usize,
    ) -> Result<Vec<(&'static Field, Option<Cell>)>, Problem> {
        let writable = module.fields().filter(|field| !field.read_only);
        let given = writable.filter_map(|field| Some((field, row.get(field.name)?)));
        let (mut cells, mut problems) = (Vec::new(), Vec::new());
        for (field, value) in given {
            let path = format!("$.data[{at}].{}", field.name);
            if self.sight.hides(module, field.name) {
                if self.sight.refuses_hidden() {
                    problems.push(unknown_field(field.name, &path));
                }
                continue;
            }
            if value.is_null() || (field.kind.is_textual() && is_blank(value)) {
                cells.push((field, None));
                continue;
            }
            match self.cell(field, value, &path) {
                Ok(cell) => cells.push((field, Some(cell))),
                Err(problem) => problems.push(problem),
            }
        }
        // All types are checked before any length, all lengths before any choice, and so on.
        match problems.into_iter().min_by_key(rank) {
            Some(problem) => Err(problem),
            None => Ok(cells),
        }
    }

    /// A change takes no mandatory value away, and no record's owner.
    pub(super) fn keeps_mandatory(
        &self,
        module: Module,
        row: &Object,
        at: usize,
    ) -> Result<(), Problem> {
        let taken = module.fields().find(|field| {
            field.mandatory
                && row.get(field.name).is_some_and(is_blank)
                && !self.sight.hides(module, field.name)
        });
        if let Some(field) = taken {
            return Err(missing(field.name, at));
        }
        match row.get("Owner") {
            Some(Value::Null) => {
                let path = format!("$.data[{at}].Owner");
                Err(wrong_type("jsonobject", "Owner", &path))
            }
            _ => Ok(()),
        }
    }

    /// Zoho names the record that is there already, to whoever asks.
    pub(super) fn is_unique(
        &self,
        module: Module,
        record: &Record,
        at: usize,
    ) -> Result<(), Problem> {
        if !self.unique_email || !matches!(module, Module::Contacts | Module::Leads) {
            return Ok(());
        }
        let Some(email) = record.text("Email").map(fold) else {
            return Ok(());
        };
        let same = |other: &&Record| {
            other.id != record.id && other.text("Email").is_some_and(|it| fold(it) == email)
        };
        let known = self.crm.table(module).values().find(same);
        let Some(known) = known else { return Ok(()) };
        let owner = known.points_at("Owner").and_then(|id| self.crm.user(id));
        let details = json!({
            "api_name": "Email",
            "json_path": format!("$.data[{at}].Email"),
            "duplicate_record": {
                "id": known.id.to_string(),
                "Owner": owner.map(User::known),
                "module": {"api_name": module.name(), "id": module_id(self.crm, module)},
            },
            "id": known.id.to_string(),
            "more_records": false,
        });
        Err(Problem::bad("DUPLICATE_DATA", details, "duplicate data"))
    }

    fn cell(&self, field: &Field, value: &Value, path: &str) -> Result<Cell, Problem> {
        if let Kind::Lookup(_) | Kind::AnyLookup = field.kind {
            return self.lookup(field, value, path);
        }
        let digits = value.as_str().filter(|_| field.name == "SIC_Code");
        // The one number that Zoho takes as a text too.
        let cell = digits
            .and_then(|digits| Cell::read(field.kind, digits))
            .or_else(|| Cell::from_json(field.kind, value))
            .ok_or_else(|| wrong_type(field.kind.data_type(), field.name, path))?;
        // What stands around a line is no part of it.
        let cell = match (field.kind, cell) {
            (Kind::Text(_), Cell::Text(line)) => Cell::text(line.trim()),
            (_, cell) => cell,
        };
        if field.name == "Probability" && !cell.as_number().is_some_and(is_percent) {
            return Err(invalid(field, path));
        }
        let Some(text) = cell.as_text() else {
            return Ok(cell);
        };
        let most = field.kind.length();
        if text.chars().count() > most {
            let details =
                json!({"maximum_length": most, "api_name": field.name, "json_path": path});
            return Err(Problem::bad("INVALID_DATA", details, "invalid data"));
        }
        match field.kind {
            _ if field.name == "Call_Duration" && call_seconds(text).is_none() => {
                Err(invalid(field, path))
            }
            Kind::Email if !looks_like_email(text) => Err(wrong_type("email", field.name, path)),
            Kind::Pick(_) if field.name == "Stage" => {
                let mut offered = self.crm.stages.rows().iter().filter(|row| row.used);
                match offered.any(|row| row.actual == text) {
                    true => Ok(cell),
                    false => Err(Problem::bad(
                        "MAPPING_MISMATCH",
                        json!({"mapped_field": "Pipeline", "api_name": field.name, "json_path": path}),
                        "Pipeline doesn't contain the Stage",
                    )),
                }
            }
            Kind::Pick(values) if !values.contains(&text) => Err(invalid(field, path)),
            _ => Ok(cell),
        }
    }

    /// A lookup must point at a record that the user sees.
    fn lookup(&self, field: &Field, value: &Value, path: &str) -> Result<Cell, Problem> {
        let below = format!("{path}.id");
        let (text, path) = match (value, value.get("id")) {
            (Value::String(text), _) => (text, path),
            (_, Some(Value::String(text))) => (text, &*below),
            (_, Some(_)) => return Err(wrong_type("bigint", "id", &below)),
            (Value::Object(_), None) => return Err(not_found("id", &below)),
            _ => return Err(wrong_type("jsonobject", field.name, path)),
        };
        let id: Option<Id> = text.parse().ok();
        let found = id.and_then(|id| match field.kind {
            Kind::Lookup(module) => Some((module, self.crm.get(module, id)?)),
            _ => self
                .crm
                .find(id)
                .filter(|(module, _)| *module != Module::Users),
        });
        match found.filter(|(module, record)| self.sight.sees(self.crm, *module, record)) {
            Some((_, record)) => Ok(Cell::Ref(record.id)),
            None => Err(Problem::bad(
                "INVALID_DATA",
                json!({"api_name": "id", "json_path": path}),
                BAD_ID,
            )),
        }
    }

    /// What an activity is about is a record of the module it names, if it names one.
    pub(super) fn is_about(
        &self,
        activity: &Record,
        row: &Object,
        at: usize,
    ) -> Result<(), Problem> {
        let named = row.get("$se_module").filter(|named| !named.is_null());
        let Some((named, about)) = named.zip(activity.points_at("What_Id")) else {
            return Ok(());
        };
        let path = |name: &str| format!("$.data[{at}].{name}");
        let named = named
            .as_str()
            .ok_or_else(|| wrong_type("text", "$se_module", &path("$se_module")))?;
        let module = self.crm.find(about).map(|(module, _)| module.name());
        match module == Some(named) {
            true => Ok(()),
            false => Err(Problem::bad(
                "INVALID_DATA",
                json!({"api_name": "id", "json_path": path("What_Id.id")}),
                BAD_ID,
            )),
        }
    }

    /// An event does not end before it begins.
    pub(super) fn has_an_end(event: &Record, at: usize) -> Result<(), Problem> {
        let moment = |name| match event.get(name) {
            Some(Cell::Moment(at)) => Some(*at),
            _ => None,
        };
        let span = moment("Start_DateTime").zip(moment("End_DateTime"));
        match Module::Events.field("End_DateTime") {
            Some(end) if span.is_some_and(|(start, end)| end < start) => {
                Err(invalid(end, &format!("$.data[{at}].{}", end.name)))
            }
            _ => Ok(()),
        }
    }

    /// A note stands below a record of the module it names, if it names one.
    pub(super) fn has_parent(&self, note: &Record, row: &Object, at: usize) -> Result<(), Problem> {
        let parent = note
            .points_at("Parent_Id")
            .ok_or_else(|| missing("Parent_Id", at))?;
        let named = row
            .get("Parent_Id")
            .and_then(|parent| parent.pointer("/module/api_name"));
        let named = named
            .or_else(|| row.get("se_module"))
            .and_then(Value::as_str);
        let module = self.crm.find(parent).map(|(module, _)| module);
        let fits = match (module, named) {
            (Some(Module::Notes | Module::Users) | None, _) => false,
            (Some(module), named) => named.is_none_or(|named| named == module.name()),
        };
        let details = json!({"api_name": "id", "json_path": format!("$.data[{at}].Parent_Id.id")});
        if fits {
            Ok(())
        } else {
            Err(Problem::bad("INVALID_DATA", details, BAD_ID))
        }
    }
}

/// Which of several mistakes is told: the kind that Zoho looks for first.
fn rank(problem: &Problem) -> u8 {
    let has = |name: &str| problem.details.get(name).is_some();
    match problem.code {
        _ if has("expected_data_type") => 0,
        _ if has("maximum_length") => 1,
        "INVALID_DATA" if problem.message == BAD_ID => 3,
        _ => 2,
    }
}

/// A record that somebody locked.
pub(super) fn locked(at: usize) -> Problem {
    let path = format!("$.data[{at}].id");
    let details = json!({"api_name": "id", "json_path": path, "action": "record_locking"});
    let message = "Sorry, you cannot perform this operation as the record is locked.";
    Problem::bad("RECORD_LOCKED", details, message)
}

/// A note says something, in its title or below it.
pub(super) fn has_note_text(note: &Record, at: usize) -> Result<(), Problem> {
    if note.get("Note_Title").is_some() || note.get("Note_Content").is_some() {
        return Ok(());
    }
    Err(no_note_text(at))
}

/// A note says nothing, or a change of one names neither its title nor its text.
pub(super) fn no_note_text(at: usize) -> Problem {
    let field = |name: &str| json!({"api_name": name, "json_path": format!("$.data[{at}].{name}")});
    let details = json!({"expected_fields": [field("Note_Content"), field("Note_Title")]});
    let message = "should contain either content or title";
    Problem::bad("EXPECTED_FIELD_MISSING", details, message)
}

/// To whom a field is hidden it does not exist.
fn unknown_field(name: &str, path: &str) -> Problem {
    let details = json!({"api_name": name, "json_path": path});
    let message = "the field api name given seems to be invalid";
    Problem::bad("INVALID_DATA", details, message)
}

/// A value that is of the field's type and still none that it can have.
fn invalid(field: &Field, path: &str) -> Problem {
    let details = json!({"api_name": field.name, "json_path": path});
    let message = format!("The field value given for {} is invalid", field.label());
    Problem::bad("INVALID_DATA", details, message)
}

fn is_percent(number: f64) -> bool {
    (0.0..=100.0).contains(&number)
}

/// Whether a value says nothing, and so takes away what was there.
pub(super) fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// A mandatory value is not there.
pub(super) fn missing(name: &str, at: usize) -> Problem {
    not_found(name, &format!("$.data[{at}].{name}"))
}

fn not_found(name: &str, path: &str) -> Problem {
    let details = json!({"api_name": name, "json_path": path});
    Problem::bad("MANDATORY_NOT_FOUND", details, "required field not found")
}

/// A value is of another type.
pub(super) fn wrong_type(expected: &str, name: &str, path: &str) -> Problem {
    let details = json!({"expected_data_type": expected, "api_name": name, "json_path": path});
    Problem::bad("INVALID_DATA", details, "invalid data")
}

fn looks_like_email(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !text.contains([' ', ','])
    })
}
