//! One thing that happened around a contact, of whatever kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    tools::{
        record::cents,
        text::{brief, brief_or_dash, passage},
    },
    zoho::{
        CrmText, Reference,
        activities::{Call, Email, Event, Task},
        deals::Deal,
        notes::Note,
    },
};

// A list of a contact.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Notes,
    Deals,
    Tasks,
    Calls,
    Events,
    Emails,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) id: String,
    /// When it was written, done, held or sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
    /// When it was made, where it is not shown when it took place.
    #[serde(skip)]
    pub(super) made: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<CrmText>,
    /// The text is longer in the CRM.
    #[serde(skip_serializing_if = "is_false")]
    clipped: bool,
    /// A deal's stage, a task's status, a call's result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<f64>,
    /// Due, closing or end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<CrmText>,
    /// Owner or sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<CrmText>,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Notes,
        Self::Deals,
        Self::Tasks,
        Self::Calls,
        Self::Events,
        Self::Emails,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Notes => "notes",
            Self::Deals => "deals",
            Self::Tasks => "tasks",
            Self::Calls => "calls",
            Self::Events => "events",
            Self::Emails => "emails",
        }
    }

    /// It happens at another time than it is made, and Zoho lists it by when it was made.
    pub(super) fn is_planned(self) -> bool {
        matches!(self, Self::Tasks | Self::Calls | Self::Events)
    }

    /// Zoho's name of what says when.
    pub(super) fn time(self) -> &'static str {
        match self {
            Self::Notes | Self::Deals => "Created_Time",
            Self::Tasks => "Closed_Time or Created_Time",
            Self::Calls => "Call_Start_Time",
            Self::Events => "Start_DateTime",
            Self::Emails => "time",
        }
    }

    /// One of them.
    pub(super) fn one(self) -> &'static str {
        self.as_str().trim_end_matches('s')
    }
}

impl Entry {
    fn new(kind: Kind, id: &str, time: Option<String>, title: Option<CrmText>) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            time,
            made: None,
            title,
            text: None,
            clipped: false,
            status: None,
            amount: None,
            until: None,
            direction: None,
            by: None,
        }
    }

    /// In one line.
    pub(super) fn told(&self) -> String {
        let day = self.time.as_deref().and_then(|time| time.get(..10));
        let mut line = format!(
            "{} {} {}: {}",
            day.unwrap_or("-"),
            self.kind.one(),
            self.id,
            brief_or_dash(self.title.as_ref()),
        );
        if let Some(status) = &self.status {
            line = format!("{line} [{}]", brief(status));
        }
        if let Some(amount) = self.amount {
            line = format!("{line}, {amount}");
        }
        if let Some(until) = &self.until {
            line = format!("{line}, until {until}");
        }
        for (word, value) in [("", &self.direction), ("by ", &self.by)] {
            if let Some(value) = value {
                line = format!("{line}, {word}{}", brief(value));
            }
        }
        match &self.text {
            Some(text) => format!("{line}: {}", passage(text.as_str())),
            None => line,
        }
    }

    fn with_text(mut self, text: Option<CrmText>) -> Self {
        let end = text
            .as_ref()
            .and_then(|text| text.as_str().char_indices().nth(LONGEST));
        self.clipped = end.is_some();
        self.text = match (text, end) {
            (Some(text), Some((at, _))) => text.as_str().get(..at).map(CrmText::clean),
            (text, _) => text,
        };
        self
    }

    fn by(mut self, owner: Option<Reference>) -> Self {
        self.by = owner.and_then(|owner| owner.name);
        self
    }
}

impl From<Note> for Entry {
    fn from(note: Note) -> Self {
        Self::new(Kind::Notes, note.id.as_str(), note.created_time, note.title)
            .with_text(note.content)
            .by(note.owner)
    }
}

impl From<Deal> for Entry {
    fn from(deal: Deal) -> Self {
        Self {
            status: deal.stage,
            amount: deal.amount.map(cents),
            until: deal.closing_date,
            ..Self::new(Kind::Deals, deal.id.as_str(), deal.created_time, deal.name)
                .with_text(deal.next_step)
                .by(deal.owner)
        }
    }
}

impl From<Task> for Entry {
    fn from(task: Task) -> Self {
        let is_done = task.status.as_ref().map(CrmText::as_str) == Some("Completed");
        let (time, made) = match task.closed_time {
            None if is_done => (None, task.created_time),
            None => (task.created_time, None),
            closed => (closed, None),
        };
        Self {
            made,
            status: task.status,
            until: task.due_date,
            ..Self::new(Kind::Tasks, task.id.as_str(), time, task.subject)
                .with_text(task.description)
                .by(task.owner)
        }
    }
}

impl From<Call> for Entry {
    fn from(call: Call) -> Self {
        Self {
            made: call.created_time,
            status: call.result,
            direction: call.direction,
            ..Self::new(Kind::Calls, call.id.as_str(), call.start_time, call.subject)
                .with_text(call.description)
                .by(call.owner)
        }
    }
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self {
            made: event.created_time,
            until: event.end_time,
            ..Self::new(
                Kind::Events,
                event.id.as_str(),
                event.start_time,
                event.title,
            )
            .with_text(event.description)
            .by(event.owner)
        }
    }
}

impl From<Email> for Entry {
    fn from(email: Email) -> Self {
        let direction = email
            .sent
            .map(|sent| CrmText::clean(if sent { "sent" } else { "received" }));
        Self {
            direction,
            by: email.from,
            ..Self::new(Kind::Emails, email.id.as_str(), email.time, email.subject)
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Characters of a text that are shown.
const LONGEST: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::record::tests::{id, link, text};

    fn note(content: &str) -> Entry {
        Entry::from(Note {
            id: id(1),
            title: text("T"),
            content: text(content),
            owner: link(2, "Ann"),
            created_time: None,
            modified_time: None,
        })
    }

    #[test]
    fn a_long_text_is_clipped_and_says_so() {
        let entry = note(&"é".repeat(LONGEST + 1));
        assert!(entry.clipped);
        assert_eq!(
            entry.text.as_ref().unwrap().as_str().chars().count(),
            LONGEST
        );
        assert!(entry.told().chars().count() < 700, "{}", entry.told());
        let entry = note("They agreed\nto everything.");
        let told = "- note 1: T, by Ann: They agreed to everything.";
        assert_eq!(entry.told(), told);
        let entry = note(&"é".repeat(LONGEST));
        assert!(!entry.clipped);
        assert_eq!(entry.by, text("Ann"));
    }

    #[test]
    fn a_done_task_stands_where_it_was_done() {
        let task = Task {
            id: id(1),
            subject: text("Call"),
            status: text("Completed"),
            priority: None,
            due_date: Some("2026-01-05".to_owned()),
            closed_time: Some("2026-01-04T00:00:00Z".to_owned()),
            description: None,
            owner: None,
            created_time: Some("2026-01-01T00:00:00Z".to_owned()),
            modified_time: None,
        };
        let entry = Entry::from(task);
        assert_eq!(entry.time.as_deref(), Some("2026-01-04T00:00:00Z"));
        assert_eq!(entry.until.as_deref(), Some("2026-01-05"));
    }
}
