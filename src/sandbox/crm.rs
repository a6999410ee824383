//! What the CRM holds: its records, its users, and what happened to each record.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use super::{
    cell::{Cell, Id},
    org::{Org, User},
    picklist,
    schema::{Field, Module},
    settings::Stages,
};

/// One record: the cells that are not null, by field name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) id: Id,
    cells: BTreeMap<&'static str, Cell>,
}

/// A value that a change replaced.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) field: &'static Field,
    pub(super) old: Option<Cell>,
    pub(super) new: Option<Cell>,
}

/// One line of a record's timeline.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Happening {
    pub(super) id: Id,
    pub(super) at: Timestamp,
    pub(super) by: Id,
    pub(super) action: &'static str,
    pub(super) source: &'static str,
    pub(super) module: Module,
    pub(super) record: Id,
    pub(super) changes: Vec<Change>,
}

/// Everything, in memory.
pub(super) struct Crm {
    pub(super) org: Org,
    pub(super) users: Vec<User>,
    pub(super) stages: Stages,
    tables: BTreeMap<Module, BTreeMap<Id, Record>>,
    notes_of: HashMap<Id, Vec<Id>>,
    /// By the record that each holds.
    pub(super) locks: HashMap<Id, Lock>,
    timelines: HashMap<Id, Vec<Happening>>,
    /// The latest last.
    deleted: VecDeque<Deleted>,
    next: u64,
}

/// What keeps a record as it is.
pub(super) struct Lock {
    pub(super) id: Id,
    pub(super) by: Id,
    pub(super) at: Timestamp,
    pub(super) reason: Box<str>,
}

/// A record in the recycle bin.
pub(super) struct Deleted {
    pub(super) module: Module,
    pub(super) record: Record,
    pub(super) at: Timestamp,
    pub(super) by: Id,
}

/// The CRM holds as many records as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Record {
    /// An empty record.
    pub(super) fn new(id: Id) -> Self {
        Self {
            id,
            cells: BTreeMap::from([("id", Cell::Ref(id))]),
        }
    }

    /// The value of a field.
    pub(super) fn get(&self, field: &str) -> Option<&Cell> {
        self.cells.get(field)
    }

    /// The text of a field.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.get(field).and_then(Cell::as_text)
    }

    /// The record that a field points at.
    pub(super) fn points_at(&self, field: &str) -> Option<Id> {
        self.get(field).and_then(Cell::as_ref)
    }

    /// Sets a field, or clears it.
    pub(super) fn set(&mut self, field: &'static str, cell: impl Into<Option<Cell>>) {
        match cell.into() {
            Some(cell) => self.cells.insert(field, cell),
            None => self.cells.remove(field),
        };
    }
}

impl Crm {
    /// A CRM without records.
    pub(super) fn new(org: Org, users: Vec<User>) -> Self {
        let mut crm = Self {
            next: org.prefix * PER_ORG + FIRST,
            org,
            users: Vec::new(),
            stages: Stages::Standard,
            tables: BTreeMap::new(),
            notes_of: HashMap::new(),
            locks: HashMap::new(),
            timelines: HashMap::new(),
            deleted: VecDeque::new(),
        };
        for user in &users {
            crm.tables
                .entry(Module::Users)
                .or_default()
                .insert(user.id, user.record());
        }
        crm.users = users;
        crm
    }

    /// The next id; all modules share one sequence.
    pub(super) fn next_id(&mut self) -> Id {
        self.next += 1;
        Id(self.next)
    }

    /// The records of a module, by ascending id.
    pub(super) fn table(&self, module: Module) -> &BTreeMap<Id, Record> {
        self.tables.get(&module).unwrap_or(&EMPTY)
    }

    /// One record.
    pub(super) fn get(&self, module: Module, id: Id) -> Option<&Record> {
        self.table(module).get(&id)
    }

    /// One record, whatever its module.
    pub(super) fn find(&self, id: Id) -> Option<(Module, &Record)> {
        self.tables
            .iter()
            .find_map(|(module, table)| Some((*module, table.get(&id)?)))
    }

    /// The record that `field` of `record` points at.
    pub(super) fn follow(&self, field: &Field, record: &Record) -> Option<(Module, &Record)> {
        use super::schema::Kind;
        let id = record.points_at(field.name)?;
        match field.kind {
            Kind::Lookup(module) => Some((module, self.get(module, id)?)),
            _ => self.find(id),
        }
    }

    /// What a lookup shows beside the id.
    pub(super) fn title(&self, module: Module, record: &Record) -> Option<String> {
        debug_assert!(module.field(module.title()).is_some());
        record.text(module.title()).map(str::to_owned)
    }

    /// A user.
    pub(super) fn user(&self, id: Id) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The notes below a record, oldest first.
    pub(super) fn notes_of(&self, parent: Id) -> impl Iterator<Item = &Record> {
        let notes = self
            .notes_of
            .get(&parent)
            .map(Vec::as_slice)
            .unwrap_or_default();
        notes.iter().filter_map(|id| self.get(Module::Notes, *id))
    }

    /// What happened to a record, oldest first.
    pub(super) fn timeline(&self, record: Id) -> &[Happening] {
        self.timelines
            .get(&record)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// How many records the routed modules hold together.
    pub(super) fn len(&self) -> usize {
        self.tables.values().map(BTreeMap::len).sum()
    }

    /// Takes a record away; its line stays in the timelines above it.
    pub(super) fn remove(&mut self, module: Module, id: Id, line: Happening) {
        let table = self.tables.get_mut(&module);
        let Some(record) = table.and_then(|table| table.remove(&id)) else {
            return;
        };
        self.timelines.remove(&id);
        let (at, by) = (line.at, line.by);
        if let Some(parent) = record.points_at("Parent_Id") {
            self.timelines.entry(parent).or_default().push(line);
        }
        if self.deleted.len() >= MOST_DELETED {
            self.deleted.pop_front();
        }
        self.deleted.push_back(Deleted {
            module,
            record,
            at,
            by,
        });
    }

    /// Takes away what Zoho computes, as in its own sample records; the next change computes it again.
    pub(super) fn uncompute(&mut self, module: Module, id: Id, field: &'static str) {
        let table = self.tables.get_mut(&module);
        if let Some(record) = table.and_then(|table| table.get_mut(&id)) {
            record.set(field, None);
        }
    }

    /// Gives deals the stages of an organisation: each one of those that stand for what it had.
    pub(super) fn arrange(&mut self, stages: Stages) {
        if self.stages == stages {
            return;
        }
        self.stages = stages;
        for (id, deal) in self.tables.entry(Module::Deals).or_default() {
            let Some(had) = deal.text("Stage").and_then(picklist::stage) else {
                continue;
            };
            let rows = stages.rows().iter();
            let rows: Vec<_> = rows.filter(|row| row.standard == had.standard).collect();
            let which = id.0 as usize % rows.len().max(1);
            if let Some(row) = rows.get(which) {
                deal.set("Stage", Cell::text(row.actual));
            }
        }
    }

    /// The records of a module that were taken away, the latest first.
    pub(super) fn deleted(&self, module: Module) -> impl Iterator<Item = &Deleted> {
        let gone = self.deleted.iter().rev();
        gone.filter(move |gone| gone.module == module)
    }

    /// Adds or replaces a record and writes its line into the timeline.
    pub(super) fn put(
        &mut self,
        module: Module,
        mut record: Record,
        mut line: Happening,
    ) -> Result<(), Full> {
        let known = self.get(module, record.id).is_some();
        if !known && self.len() >= MOST_RECORDS {
            return Err(Full);
        }
        derive(module, &mut record);
        let parent = ["Parent_Id", "What_Id", "Who_Id"]
            .into_iter()
            .find_map(|f| record.points_at(f));
        if module == Module::Notes
            && !known
            && let Some(parent) = parent
        {
            self.notes_of.entry(parent).or_default().push(record.id);
        }
        line.id = self.next_id();
        if let Some((module, parent)) = parent
            .and_then(|parent| self.find(parent))
            .filter(|(above, _)| !known && !above.is_activity())
            && let (module, parent) = (module, parent.id)
            && let Some(above) = self
                .tables
                .get_mut(&module)
                .and_then(|table| table.get_mut(&parent))
        {
            // Whatever is added below a record is activity of that record.
            let latest = Cell::Moment(line.at);
            if above
                .get("Last_Activity_Time")
                .and_then(|last| last.order(&latest))
                .is_none_or(|order| order.is_lt())
            {
                above.set("Last_Activity_Time", latest);
            }
        }
        for place in [Some(record.id), parent].into_iter().flatten() {
            let timeline = self.timelines.entry(place).or_default();
            if timeline.len() >= LONGEST_TIMELINE {
                timeline.remove(0);
            }
            timeline.push(line.clone());
        }
        self.tables
            .entry(module)
            .or_default()
            .insert(record.id, record);
        Ok(())
    }
}

/// The fields that Zoho computes from others.
fn derive(module: Module, record: &mut Record) {
    match module {
        Module::Contacts | Module::Leads => {
            // A lead's full name shows the salutation, a contact's does not.
            let salutation = (module == Module::Leads).then_some("Salutation");
            let parts = salutation.into_iter().chain(["First_Name", "Last_Name"]);
            let name: Vec<&str> = parts.filter_map(|part| record.text(part)).collect();
            let name = Cell::text(name.join(" "));
            record.set("Full_Name", name);
        }
        Module::Deals => {
            let number = |field| record.get(field).and_then(Cell::as_number);
            let stage = record.text("Stage").and_then(picklist::stage);
            let probability = number("Probability").or(stage.map(|row| row.probability as f64));
            let expected = number("Amount")
                .zip(probability)
                .map(|(a, p)| (a * p).round() / 100.0);
            record.set("Probability", probability.map(|p| Cell::Int(p as i64)));
            record.set("Expected_Revenue", expected.map(Cell::Number));
            let days = sales_days(record).map(Cell::Int);
            record.set("Sales_Cycle_Duration", days.clone());
            record.set("Overall_Sales_Duration", days);
        }
        Module::Calls => {
            let seconds = record.text("Call_Duration").and_then(call_seconds);
            record.set("Call_Duration_in_seconds", seconds.map(Cell::Int));
        }
        _ => {}
    }
}

/// How many days a deal takes from its beginning to the day on which it closes, or is to close.
fn sales_days(deal: &Record) -> Option<i64> {
    let (Some(Cell::Moment(created)), Some(Cell::Day(closing))) =
        (deal.get("Created_Time"), deal.get("Closing_Date"))
    else {
        return None;
    };
    let begun = created.to_zoned(jiff::tz::TimeZone::UTC).date();
    let days = begun.until(*closing).ok()?.get_days();
    Some(i64::from(days.max(0)))
}

/// The seconds of `mm:ss`, or of bare minutes.
pub(super) fn call_seconds(text: &str) -> Option<i64> {
    let (minutes, seconds) = text.split_once(':').unwrap_or((text, "0"));
    let minutes: u32 = minutes.parse().ok().filter(|m| *m < 10_000)?;
    let seconds: u32 = seconds.parse().ok().filter(|s| *s < 60)?;
    Some(i64::from(minutes) * 60 + i64::from(seconds))
}

static EMPTY: BTreeMap<Id, Record> = BTreeMap::new();

/// An id is the org's prefix and twelve digits.
const PER_ORG: u64 = 1_000_000_000_000;

/// The first records of an org come after what Zoho itself put there.
const FIRST: u64 = 1_001_000;

const MOST_RECORDS: usize = 250_000;

const MOST_DELETED: usize = 10_000;

const LONGEST_TIMELINE: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calls_duration_is_counted_in_seconds() {
        assert_eq!(call_seconds("00:15"), Some(15));
        assert_eq!(call_seconds("12"), Some(720));
        assert_eq!(call_seconds("1:75"), None);
        assert_eq!(call_seconds("99999999999:00"), None);
    }

    #[test]
    fn expected_revenue_follows_amount_and_stage() {
        let mut deal = Record::new(Id(1));
        deal.set("Stage", Cell::text("Needs Analysis"));
        deal.set("Amount", Cell::Number(70_000.0));
        derive(Module::Deals, &mut deal);
        assert_eq!(deal.get("Probability"), Some(&Cell::Int(20)));
        assert_eq!(deal.get("Expected_Revenue"), Some(&Cell::Number(14_000.0)));
    }
}
