//! What stands below a record: related lists, e-mails, and its timeline.

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
    schema::Module,
    words,
};

impl Reader<'_> {
    /// `GET /{module}/{id}/{list}`.
    pub(super) fn related(&self, module: Module, id: Id, list: &str) -> Result<Answer, Problem> {
        let (child, link) = link(module, list).ok_or_else(Problem::unknown_relation)?;
        let Some(parent) = self.record(module, id) else {
            return self.unknown();
        };
        let Some(child) = child else {
            return self.emails(module, parent);
        };
        let records: Vec<&Record> = match child {
            Module::Notes => self.crm.notes_of(id).collect(),
            // A deal's contact is the one that the deal points at.
            Module::Contacts if module == Module::Deals => parent
                .points_at(link)
                .and_then(|id| self.record(child, id))
                .into_iter()
                .collect(),
            _ => self
                .visible(child)
                .filter(|record| record.points_at(link) == Some(id))
                .collect(),
        };
        self.listing(child, records)
    }

    /// `GET /{module}/{id}/__timeline`.
    pub(super) fn timeline(&self, module: Module, id: Id) -> Result<Answer, Problem> {
        let size = self.number("per_page", self.settings.timeline_per_page, 200)?;
        let bound = format!("{} {}", self.path, self.query.without("page_token"));
        let start = match self.query.get("page_token") {
            Some(token) => self.cursors.open(token, self.user.id, &bound, self.now)?,
            None => 0,
        };
        if self.record(module, id).is_none() {
            return self.unknown();
        }
        let mut lines: Vec<_> = self.crm.timeline(id).iter().collect();
        lines.sort_by_key(|line| (line.at, line.id));
        if self.query.get("sort_order") != Some("asc") {
            lines.reverse();
        }
        let painter = self.painter();
        let rows: Vec<Value> = lines
            .iter()
            .skip(start)
            .take(size)
            .map(|line| painter.happening(line))
            .collect();
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        let end = start + rows.len();
        let more = end < lines.len();
        let token = |at| self.cursors.issue(at, self.user.id, &bound, self.now).0;
        let info = json!({
            "per_page": size,
            "next_page_token": more.then(|| token(end)),
            "count": rows.len(),
            "page": start / size + 1,
            "previous_page_token": (start > 0).then(|| token(start.saturating_sub(size))),
            "more_records": more,
        });
        Ok(Answer::ok(json!({"__timeline": rows, "info": info})))
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
        let start = match self.query.get("index").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(index)) => index,
            Some(Err(_)) => return Err(Problem::bad_param("index")),
        };
        let all = contact
            .map(|contact| self.letters(contact))
            .unwrap_or_default();
        let rows: Vec<&Value> = all.iter().skip(start).take(PER_CALL).collect();
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        let end = start.saturating_add(rows.len());
        let more = end < all.len();
        let info = json!({
            "per_page": PER_CALL,
            "count": rows.len(),
            "next_index": more.then(|| end.to_string()),
            "prev_index": (start > 0).then(|| start.saturating_sub(PER_CALL).to_string()),
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
                    "message_id": format!("{:016x}{:016x}{:02x}", contact.id.0, dice.roll(), at),
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
                    "editable": false,
                    "status": [{"type": if sent { "sent" } else { "received" }}],
                    "source": "crm",
                    "sentiment_info": null,
                    "intent": null,
                    "emotion": null,
                    "linked_record": null,
                    "mail_format": null,
                    "owner": owner.short(),
                }),
            ));
        }
        // What lies ahead of the clock has not been sent yet.
        letters.retain(|(time, _)| *time <= self.now);
        letters.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        letters.into_iter().map(|(_, letter)| letter).collect()
    }
}

/// The module that a related list shows and the field that ties it; no module for e-mails.
fn link(module: Module, list: &str) -> Option<(Option<Module>, &'static str)> {
    use Module::{Accounts, Calls, Contacts, Deals, Events, Leads, Notes, Tasks};
    let activity = if module == Contacts {
        "Who_Id"
    } else {
        "What_Id"
    };
    if !matches!(module, Contacts | Accounts | Deals | Leads) {
        return None;
    }
    Some(match (module, list) {
        (_, "Notes") => (Some(Notes), "Parent_Id"),
        (_, "Tasks") => (Some(Tasks), activity),
        (_, "Events") => (Some(Events), activity),
        (_, "Calls") => (Some(Calls), activity),
        (_, "Emails") => (None, ""),
        (Contacts, "Deals") => (Some(Deals), "Contact_Name"),
        (Accounts, "Deals") => (Some(Deals), "Account_Name"),
        (Accounts, "Contacts") => (Some(Contacts), "Account_Name"),
        (Deals, "Contacts") => (Some(Contacts), "Contact_Name"),
        _ => return None,
    })
}

const PER_CALL: usize = 10;
