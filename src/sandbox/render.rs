//! Records as Zoho shows them: nulls present, lookups named, times in the reader's offset.

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{
    cell::{Cell, Id},
    clock::moment,
    crm::{Crm, Happening, Record},
    org::User,
    schema::{Field, Kind, Module},
    sight::Sight,
};

/// Shows records to one reader.
pub(super) struct Painter<'a> {
    pub(super) crm: &'a Crm,
    pub(super) zone: &'a TimeZone,
    /// Whose rights decide which fields show; all do where there is none.
    pub(super) sight: Option<&'a Sight>,
}

impl Painter<'_> {
    /// A record: the fields that were asked for and its id, or all of it.
    pub(super) fn record(
        &self,
        module: Module,
        record: &Record,
        fields: Option<&[&'static Field]>,
    ) -> Value {
        let mut shown = Map::new();
        match fields {
            Some(fields) => {
                for field in fields.iter().filter(|field| self.shows(module, field)) {
                    shown.insert(field.name.to_owned(), self.cell(field, record));
                }
                shown.insert("id".to_owned(), json!(record.id.to_string()));
            }
            None => {
                for field in module.fields().filter(|field| self.shows(module, field)) {
                    shown.insert(field.name.to_owned(), self.cell(field, record));
                }
                self.dollars(module, record, &mut shown);
            }
        }
        let asked = fields.is_none_or(|fields| fields.iter().any(|field| field.name == "What_Id"));
        if asked && matches!(module, Module::Tasks | Module::Events | Module::Calls) {
            let about = record.points_at("What_Id").and_then(|id| self.crm.find(id));
            shown.insert(
                "$se_module".to_owned(),
                json!(about.map(|(module, _)| module.name())),
            );
        }
        Value::Object(shown)
    }

    fn shows(&self, module: Module, field: &Field) -> bool {
        let sight = self.sight;
        sight.is_none_or(|sight| !sight.hides(module, field.name))
    }

    /// A field as a record shows it.
    pub(super) fn cell(&self, field: &Field, record: &Record) -> Value {
        let value = record.get(field.name);
        match (field.kind, value) {
            (Kind::Flag, None) => json!(false),
            (Kind::Nested, None) => json!([]),
            (_, None) => Value::Null,
            (Kind::Lookup(Module::Users), Some(Cell::Ref(id))) => {
                self.crm.user(*id).map_or(Value::Null, User::reference)
            }
            (Kind::AnyLookup, Some(Cell::Ref(id))) if field.name == "Parent_Id" => self.parent(*id),
            (_, Some(_)) => self.brief(field, record),
        }
    }

    /// A field as a query's row shows it.
    pub(super) fn brief(&self, field: &Field, record: &Record) -> Value {
        match (field.kind, record.get(field.name)) {
            (_, None) => Value::Null,
            (Kind::Lookup(_) | Kind::AnyLookup, Some(Cell::Ref(id))) => {
                let title = self
                    .crm
                    .follow(field, record)
                    .and_then(|(module, r)| self.crm.title(module, r));
                json!({"name": title, "id": id.to_string()})
            }
            (_, Some(cell)) => self.plain(cell),
        }
    }

    /// A value by itself.
    pub(super) fn plain(&self, cell: &Cell) -> Value {
        match cell {
            Cell::Text(text) => json!(text),
            Cell::Int(number) => json!(number),
            Cell::Number(amount) => number(*amount),
            Cell::Flag(flag) => json!(flag),
            Cell::Day(day) => json!(day.to_string()),
            Cell::Moment(at) => json!(moment(*at, self.zone)),
            Cell::Ref(id) => json!(id.to_string()),
            Cell::Nested(value) => (**value).clone(),
        }
    }

    /// A line of a timeline.
    pub(super) fn happening(&self, line: &Happening) -> Value {
        let user = self.crm.user(line.by);
        let name = self
            .crm
            .get(line.module, line.record)
            .and_then(|record| self.crm.title(line.module, record));
        let history: Vec<Value> = line
            .changes
            .iter()
            .filter(|change| self.shows(line.module, change.field))
            .map(|change| {
                let side = |cell: &Option<Cell>| {
                    cell.as_ref().map_or(Value::Null, |cell| self.plain(cell))
                };
                json!({
                    "api_name": change.field.name,
                    "field_label": change.field.label(),
                    "enable_colour_code": false,
                    "data_type": change.field.kind.data_type(),
                    "_value": {"new": side(&change.new), "old": side(&change.old)},
                    "id": field_id(self.crm, line.module, change.field),
                    "pick_list_values": [],
                })
            })
            .collect();
        json!({
            "done_by": user.map(|user| json!({
                "profile": user.profile(&self.crm.org),
                "name": user.name(),
                "id": user.id.to_string(),
                "type__s": "regular user",
            })),
            "related_record": null,
            "automation_details": null,
            "record": {"module": {"api_name": line.module.name(), "id": module_id(self.crm, line.module)}, "name": name, "id": line.record.to_string()},
            "audited_time": moment(line.at, self.zone),
            "action": line.action,
            "id": line.id.to_string(),
            "source": line.source,
            "extension": null,
            "converted_record": null,
            "type": "timeline",
            "field_history": if history.is_empty() { Value::Null } else { json!(history) },
        })
    }

    fn parent(&self, id: Id) -> Value {
        let parent = self.crm.find(id);
        let name = parent.and_then(|(module, record)| self.crm.title(module, record));
        json!({
            "module": {"api_name": parent.map(|(module, _)| module.name()), "id": parent.map(|(module, _)| module_id(self.crm, module))},
            "name": name,
            "id": id.to_string(),
        })
    }

    /// What a record read whole says about itself.
    fn dollars(&self, module: Module, record: &Record, shown: &mut Map<String, Value>) {
        let layout = layout_id(self.crm, module).to_string();
        let layout = json!({"display_label": "Standard", "name": "Standard", "id": layout});
        let review = json!({"approve": false, "reject": false, "resubmit": false});
        let approval = json!({"delegate": false, "takeover": false, "approve": false, "reject": false, "resubmit": false});
        for (name, value) in [
            ("$approved", json!(true)),
            ("$approval", approval),
            ("$approval_state", json!("approved")),
            ("$currency_symbol", json!("$")),
            ("$editable", json!(true)),
            ("$field_states", Value::Null),
            ("$in_merge", json!(false)),
            ("$layout_id", layout),
            ("$locked_for_me", json!(false)),
            ("$orchestration", json!(false)),
            ("$process_flow", json!(false)),
            ("$review", Value::Null),
            ("$review_process", review),
            ("$state", json!("save")),
            (
                "$zia_owner_assignment",
                json!("owner_recommendation_unavailable"),
            ),
        ] {
            shown.insert(name.to_owned(), value);
        }
        if module == Module::Leads {
            shown.insert("$converted".to_owned(), json!(false));
            shown.insert("$converted_detail".to_owned(), json!({}));
        }
        if module == Module::Notes {
            let parent = record
                .points_at("Parent_Id")
                .and_then(|id| self.crm.find(id));
            shown.insert(
                "$se_module".to_owned(),
                json!(parent.map(|(module, _)| module.name())),
            );
            for (name, value) in [
                ("$voice_note", json!(false)),
                ("$size", Value::Null),
                ("$is_shared_to_client", json!(false)),
                ("$attachments", Value::Null),
            ] {
                shown.insert(name.to_owned(), value);
            }
        }
    }
}

/// A number without a fraction that it does not have.
pub(super) fn number(amount: f64) -> Value {
    if amount.fract() == 0.0 && amount.abs() < 9e15 {
        json!(amount as i64)
    } else {
        json!((amount * 1e4).round() / 1e4)
    }
}

/// The id of a module's metadata.
pub(super) fn module_id(crm: &Crm, module: Module) -> String {
    let tail = match module {
        Module::Leads => 2_175,
        Module::Accounts => 2_177,
        Module::Contacts => 2_179,
        Module::Deals => 2_181,
        Module::Tasks => 2_185,
        Module::Events => 2_187,
        Module::Calls => 2_189,
        Module::Cases => 2_193,
        Module::Notes => 2_197,
        Module::Users => 2_199,
    };
    crm.org.fixed(tail).to_string()
}

/// The id of a module's one layout.
pub(super) fn layout_id(crm: &Crm, module: Module) -> Id {
    crm.org.fixed(match module {
        Module::Accounts => 91_029,
        Module::Contacts => 91_033,
        Module::Deals => 91_023,
        Module::Leads => 91_055,
        _ => 91_060 + module as u64,
    })
}

/// The id of a field's metadata, which is made from its place in the table.
pub(super) fn field_id(crm: &Crm, module: Module, field: &Field) -> String {
    let place = module
        .fields()
        .position(|other| other.name == field.name)
        .unwrap_or_default();
    crm.org
        .fixed(3_001 + 200 * (module as u64) + place as u64)
        .to_string()
}
