//! Records as Zoho shows them: nulls present, lookups named, times in the reader's offset.

pub(super) mod own;

use jiff::{Timestamp, tz::TimeZone};
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

/// What of a record is shown.
pub(super) struct Columns {
    fields: Vec<&'static Field>,
    own: Vec<&'static str>,
}

impl Columns {
    /// Those of that name; names that the module lacks are passed over, as Zoho does.
    pub(super) fn named(module: Module, names: &[&str]) -> Self {
        let fields = names.iter().filter_map(|name| module.field(name)).collect();
        // What an activity is about is told with its module.
        let is_named = |own: &&str| {
            names.contains(own)
                || (module.is_activity() && *own == "$se_module" && names.contains(&"What_Id"))
        };
        let own = own::names(module).filter(is_named).collect();
        Self { fields, own }
    }

    fn has(&self, name: &str) -> bool {
        self.own.contains(&name)
    }
}

impl Painter<'_> {
    /// A record: what was asked for and its id, or all of it.
    pub(super) fn record(
        &self,
        module: Module,
        record: &Record,
        columns: Option<&Columns>,
    ) -> Value {
        let mut shown = Map::new();
        let mut show = |field: &Field| {
            if self.shows(module, field.name) {
                shown.insert(field.name.to_owned(), self.cell(module, field, record));
            }
        };
        match columns {
            Some(columns) => columns.fields.iter().for_each(|field| show(field)),
            None => module.fields().for_each(show),
        }
        shown.insert("id".to_owned(), json!(record.id.to_string()));
        for name in own::names(module).filter(|name| columns.is_none_or(|it| it.has(name))) {
            shown.insert(name.to_owned(), self.own(module, record, name));
        }
        Value::Object(shown)
    }

    fn shows(&self, module: Module, field: &str) -> bool {
        let sight = self.sight;
        sight.is_none_or(|sight| !sight.hides(module, field))
    }

    /// A field as a record shows it.
    fn cell(&self, module: Module, field: &Field, record: &Record) -> Value {
        let value = record.get(field.name);
        match (field.kind, value) {
            (Kind::Composed(parts), _) => json!(self.address(module, record, parts)),
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

    /// A street, a line with town, state and code, and a country, as far as they are seen.
    fn address(&self, module: Module, record: &Record, parts: &[&str]) -> String {
        let part = |at: usize| {
            let name = parts.get(at).filter(|name| self.shows(module, name))?;
            record.text(name).map(str::to_owned)
        };
        let line = |parts: [Option<String>; 2], between: &str| {
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(between))
        };
        let town = line([part(1), line([part(2), part(3)], " ")], ", ");
        let lines = [part(0), town, part(4)].into_iter().flatten();
        lines.collect::<Vec<_>>().join("\n")
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
            (_, Some(Cell::Moment(at))) if is_of_a_day(field, record) => {
                json!(self.whole_day(*at, field.name == END))
            }
            (_, Some(cell)) => self.plain(cell),
        }
    }

    /// An end of a meeting that lasts all day: of no time zone.
    fn whole_day(&self, at: Timestamp, is_end: bool) -> String {
        let day = at.to_zoned(self.zone.clone()).date();
        let time = if is_end { "23:59:59" } else { "00:00:00" };
        format!("{day}T{time}+00:00")
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
            .filter(|change| self.shows(line.module, change.field.name))
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

fn is_of_a_day(field: &Field, record: &Record) -> bool {
    [BEGIN, END].contains(&field.name) && record.get("All_day") == Some(&Cell::Flag(true))
}

const BEGIN: &str = "Start_DateTime";
const END: &str = "End_DateTime";
