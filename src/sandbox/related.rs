//! What stands below a record: related lists, e-mails, and its timeline.

mod roles;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    cell::{Cell, Id},
    clock::moment,
    crm::Record,
    dice::Dice,
    problem::Problem,
    read::Reader,
    render::Columns,
    schema::Module,
    words,
};

impl<'a> Reader<'a> {
    /// `GET /{module}/{id}/{list}`.
    pub(super) fn related(&self, module: Module, id: Id, list: &str) -> Result<Answer, Problem> {
        if !lists(module).contains(&list) {
            return Err(Problem::unknown_relation());
        }
        let parent = self.record(module, id).ok_or_else(Problem::bad_related)?;
        if list == "Emails" {
            return self.emails(module, parent);
        }
        if self.asked("fields").is_none() {
            return Err(Problem::expected_param("fields"));
        }
        let mut below = self.below(module, parent, list);
        if self.modified_since.is_some() {
            below.retain(|(_, record)| !self.is_older(record));
            if below.is_empty() {
                return Ok(Answer::not_modified());
            }
        }
        let mut listed = match shows(module, list) {
            Some(child) => self.listing(child, below.into_iter().map(|(_, one)| one).collect()),
            None => self.mixed(below),
        }?;
        if list == ROLES {
            self.name_roles(parent, &mut listed);
        }
        // Of its order, and of calls and e-mails, the list of a module alone tells.
        let info = listed.body.as_mut().and_then(|body| body.get_mut("info"));
        if let Some(info) = info.and_then(Value::as_object_mut) {
            info.retain(|name, _| !["call", "email", "sort_by", "sort_order"].contains(&&**name));
        }
        Ok(listed)
    }

    /// `GET /{module}/{id}/{list}/{record}`.
    pub(super) fn one_related(
        &self,
        (module, id): (Module, Id),
        list: &str,
        one: Id,
    ) -> Result<Answer, Problem> {
        if !lists(module).contains(&list) {
            return Err(Problem::unknown_relation());
        }
        let parent = self.record(module, id).ok_or_else(Problem::bad_related)?;
        let mut below = self.below(module, parent, list).into_iter();
        let Some((child, record)) = below.find(|(_, record)| record.id == one) else {
            let unknown = self.settings.unknown_id();
            return unknown.map_or(Ok(Answer::empty()), |_| Err(Problem::bad_id_at(3)));
        };
        let mut answer = self.one(child, record.id)?;
        if list == ROLES {
            self.name_roles(parent, &mut answer);
        }
        Ok(answer)
    }

    /// The records of a list, with the module of each.
    pub(super) fn below(
        &self,
        module: Module,
        parent: &'a Record,
        list: &str,
    ) -> Vec<(Module, &'a Record)> {
        if let Some(closed) = chronological(list) {
            let all = [Module::Tasks, Module::Events, Module::Calls].into_iter();
            let all = all.flat_map(|child| self.below(module, parent, child.name()));
            return all
                .filter(|(child, record)| self.is_closed(*child, record) == closed)
                .collect();
        }
        let Some((child, link)) = link(module, list) else {
            return Vec::new();
        };
        let records: Vec<&Record> = match child {
            Module::Notes => self.crm.notes_of(parent.id).collect(),
            // A deal's contact is the one that the deal points at.
            Module::Contacts if module == Module::Deals => parent
                .points_at(link)
                .and_then(|id| self.record(child, id))
                .into_iter()
                .collect(),
            _ => self
                .visible(child)
                .filter(|record| record.points_at(link) == Some(parent.id))
                .collect(),
        };
        records.into_iter().map(|record| (child, record)).collect()
    }

    /// A list of several modules: each row says its own.
    fn mixed(&self, mut records: Vec<(Module, &'a Record)>) -> Result<Answer, Problem> {
        let names = self.asked("fields").unwrap_or_default();
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        records.sort_by_key(|(_, record)| std::cmp::Reverse(record.id));
        let painter = self.painter();
        let paint = |(module, record): &(Module, &Record)| {
            let columns = Columns::named(*module, &names);
            let mut row = painter.record(*module, record, Some(&columns));
            if let Some(row) = row.as_object_mut() {
                row.insert("$module".to_owned(), json!(module.name()));
            }
            row
        };
        self.paged(records.len(), |start, size| {
            records.iter().skip(start).take(size).map(paint).collect()
        })
    }

    fn is_closed(&self, module: Module, record: &Record) -> bool {
        match module {
            Module::Tasks => record.text("Status") == Some("Completed"),
            Module::Calls => record.text("Call_Status") != Some("Scheduled"),
            _ => matches!(record.get("End_DateTime"), Some(Cell::Moment(end)) if *end < self.now),
        }
    }

    /// E-mails are made from the contact's id, so that they are the same in every sandbox.
    fn emails(&self, module: Module, record: &Record) -> Result<Answer, Problem> {
        let contact = match module {
            Module::Deals => record
                .points_at("Contact_Name")
                .and_then(|id| self.crm.get(Module::Contacts, id)),
            Module::Accounts => self
                .visible(Module::Contacts)
                .find(|contact| contact.points_at("Account_Name") == Some(record.id)),
            _ => Some(record),
        };
        let kind = self.asked("type");
        if kind.is_some_and(|kind| !LETTERS.contains(&kind)) {
            return Err(Problem::bad_param("type"));
        }
        let mut all = contact
            .map(|contact| self.letters(contact))
            .unwrap_or_default();
        all.retain(|letter| match kind {
            None | Some("user_emails") => true,
            Some(kind) => kind.contains("sent") && letter["sent"] == true,
        });
        // A page is asked for by its first letter.
        let name = |at: usize| all.get(at).map(|letter| letter["message_id"].clone());
        let start = match self.asked("index") {
            None | Some("0") => 0,
            Some(index) => {
                let mut letters = all.iter();
                let place = letters.position(|letter| letter["message_id"] == index);
                place.ok_or_else(|| Problem::bad_param("index"))?
            }
        };
        let rows: Vec<&Value> = all.iter().skip(start).take(PER_CALL).collect();
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        let end = start.saturating_add(rows.len());
        let more = end < all.len();
        let info = json!({
            "per_page": PER_CALL,
            "count": rows.len(),
            "next_index": name(end),
            "prev_index": match start.saturating_sub(PER_CALL) {
                0 => Some(json!("0")),
                before => name(before),
            },
            "more_records": more,
        });
        Ok(Answer::ok(json!({"Emails": rows, "info": info})))
    }

    fn letters(&self, contact: &Record) -> Vec<Value> {
        let owner = contact.points_at("Owner").and_then(|id| self.crm.user(id));
        let (Some(owner), Some(address), Some(name), Some(Cell::Moment(created))) = (
            owner,
            contact.text("Email"),
            contact.text("Full_Name"),
            contact.get("Created_Time"),
        ) else {
            return Vec::new();
        };
        let mut dice = Dice::new(contact.id.0);
        let ours = json!({"user_name": owner.name(), "email": owner.email});
        let theirs = json!({"user_name": name, "email": address});
        let count = dice.between(0, 12);
        let mut letters: Vec<(Timestamp, Value)> = Vec::new();
        for at in 0..count {
            let sent = dice.chance(50);
            let (from, to) = if sent {
                (&ours, &theirs)
            } else {
                (&theirs, &ours)
            };
            let time = created
                .checked_add(SignedDuration::from_hours(dice.between(1, 24 * 90)))
                .unwrap_or(*created);
            letters.push((
                time,
                json!({
                    "message_id": format!("{:016x}{:016x}{:064x}", contact.id.0, dice.roll(), at),
                    "subject": dice.word(words::MAIL_SUBJECTS),
                    "from": from,
                    "to": [to],
                    "cc": null,
                    "summary": dice.word(words::NOTE_MIDDLES),
                    "time": moment(time, self.zone()),
                    "sent": sent,
                    "read": true,
                    "has_attachment": false,
                    "has_thread_attachment": false,
                    "status": [self.status(sent, at, time)],
                    "source": "individual",
                    "activity_info": null,
                    "sentiment_info": null,
                    "intent": null,
                    "emotion": null,
                    "linked_record": null,
                    "related_to_record": null,
                    "owner": owner.short(),
                }),
            ));
        }
        // What lies ahead of the clock has not been sent yet.
        letters.retain(|(time, _)| *time <= self.now);
        letters.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        letters.into_iter().map(|(_, letter)| letter).collect()
    }

    /// What became of a letter: a few of those that were sent came back.
    fn status(&self, sent: bool, at: i64, time: Timestamp) -> Value {
        match (sent, at % 6) {
            (false, _) => json!({"type": "received"}),
            (true, 5) => json!({
                "type": "bounced",
                "bounced_time": moment(time, self.zone()),
                "bounced_reason": "Retries Exhausted. Host not reachable.",
                "category": "Temporarily blocked",
                "sub_category": "Temporary Domain Failure",
            }),
            (true, _) => json!({"type": "sent"}),
        }
    }
}

/// The related lists of a module, as `settings/related_lists` names them.
pub(super) fn lists(module: Module) -> &'static [&'static str] {
    match module {
        Module::Contacts => OF_CONTACTS,
        Module::Accounts => OF_ACCOUNTS,
        Module::Deals => OF_DEALS,
        Module::Leads => OF_LEADS,
        Module::Cases => OF_CASES,
        Module::Tasks | Module::Events | Module::Calls => &["Notes", "Attachments"],
        Module::Notes => &["Attachments"],
        Module::Users => &[],
    }
}

/// The module that all rows of a list are of, where it is one that this CRM has.
pub(super) fn shows(module: Module, list: &str) -> Option<Module> {
    link(module, list).map(|(child, _)| child)
}

/// The module that a related list shows and the field that ties it.
fn link(module: Module, list: &str) -> Option<(Module, &'static str)> {
    use Module::{Accounts, Calls, Cases, Contacts, Deals, Events, Leads, Notes, Tasks};
    let activity = if module == Contacts {
        "Who_Id"
    } else {
        "What_Id"
    };
    Some(match (module, list) {
        (_, "Notes") => (Notes, "Parent_Id"),
        (Contacts | Accounts | Deals | Leads | Cases, "Tasks") => (Tasks, activity),
        (Contacts | Accounts | Deals | Leads | Cases, "Events") => (Events, activity),
        (Contacts | Accounts | Deals | Leads | Cases, "Calls") => (Calls, activity),
        (Contacts, "Cases") => (Cases, "Related_To"),
        (Accounts, "Cases") => (Cases, "Account_Name"),
        (Contacts, "Deals") => (Deals, "Contact_Name"),
        (Accounts, "Deals") => (Deals, "Account_Name"),
        (Accounts, "Contacts") => (Contacts, "Account_Name"),
        (Deals, ROLES) => (Contacts, "Contact_Name"),
        _ => return None,
    })
}

/// Whether a list is of closed activities, if it is one of activities of every kind.
fn chronological(list: &str) -> Option<bool> {
    match list {
        "Activities_Chronological_View" => Some(false),
        "Activities_Chronological_View_History" => Some(true),
        _ => None,
    }
}

const OF_CONTACTS: &[&str] = &[
    "Notes",
    "Deals",
    "Tasks",
    "Events",
    "Calls",
    "Activities_Chronological_View",
    "Activities_Chronological_View_History",
    "Emails",
    "Attachments",
    "Campaigns",
    "Products",
    "Cases",
    "Quotes",
    "Invoices",
];
const OF_ACCOUNTS: &[&str] = &[
    "Notes",
    "Deals",
    "Contacts",
    "Tasks",
    "Events",
    "Calls",
    "Activities_Chronological_View",
    "Activities_Chronological_View_History",
    "Emails",
    "Attachments",
    "Products",
    "Cases",
    "Quotes",
    "Invoices",
];
const OF_DEALS: &[&str] = &[
    "Notes",
    ROLES,
    "Tasks",
    "Events",
    "Calls",
    "Activities_Chronological_View",
    "Activities_Chronological_View_History",
    "Emails",
    "Attachments",
    "Products",
    "Quotes",
];
const OF_LEADS: &[&str] = &[
    "Notes",
    "Tasks",
    "Events",
    "Calls",
    "Activities_Chronological_View",
    "Activities_Chronological_View_History",
    "Emails",
    "Attachments",
    "Campaigns",
    "Products",
];
const OF_CASES: &[&str] = &[
    "Notes",
    "Tasks",
    "Events",
    "Calls",
    "Activities_Chronological_View",
    "Activities_Chronological_View_History",
    "Attachments",
];
/// The contacts of a deal.
pub(super) const ROLES: &str = "Contact_Roles";
const PER_CALL: usize = 10;
/// Which letters can be asked for.
const LETTERS: &[&str] = &[
    "sent_from_crm",
    "scheduled_in_crm",
    "drafts",
    "user_emails",
    "all_contacts_sent_crm_emails",
    "all_contacts_scheduled_crm_emails",
    "all_contacts_draft_crm_emails",
];
