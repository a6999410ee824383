//! Tasks, meetings and calls of everybody, by when they are due.

use jiff::{Zoned, civil::Date};
use serde::Deserialize;

use super::{
    Crm, CrmText, Listed, RecordId, Reference, ZohoError,
    coql::{Column, Comparison, Condition, Direction, Literal, Select},
    row::{lookup, moment},
};

/// The kinds of activities, each a module of its own.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Tasks,
    Events,
    Calls,
}

/// Whether something is still to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Tasks that are not completed, meetings that have not ended at this time, and calls that are
    /// still to be made.
    Open(Zoned),
    /// The others.
    Done(Zoned),
}

/// Which activities.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// First day, included. A meeting that began before it and still runs is among them.
    pub from: Date,
    /// Last day, included.
    pub to: Date,
    /// Only these; all where there is none.
    pub stage: Option<Stage>,
    /// Whose.
    pub owner: Option<RecordId>,
}

/// A task, a meeting or a call.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Activity {
    pub kind: Kind,
    pub id: RecordId,
    pub subject: Option<CrmText>,
    pub status: Option<CrmText>,
    pub priority: Option<CrmText>,
    /// The day that a task is due, or when the rest begins.
    pub time: Option<String>,
    pub end_time: Option<String>,
    pub venue: Option<CrmText>,
    pub direction: Option<CrmText>,
    /// The contact.
    pub who: Option<Reference>,
    /// The account, deal or other record that it is about.
    pub what: Option<Reference>,
    pub owner: Option<Reference>,
}

impl Kind {
    /// All of them, in the order in which one moment's are shown.
    pub const ALL: [Self; 3] = [Self::Tasks, Self::Events, Self::Calls];

    const fn module(self) -> &'static str {
        match self {
            Self::Tasks => "Tasks",
            Self::Events => "Events",
            Self::Calls => "Calls",
        }
    }

    /// The field that says when.
    const fn time(self) -> &'static str {
        match self {
            Self::Tasks => "Due_Date",
            Self::Events => "Start_DateTime",
            Self::Calls => "Call_Start_Time",
        }
    }

    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Tasks => &["Subject", "Status", "Priority"],
            Self::Events => &["Event_Title", "End_DateTime", "Venue"],
            Self::Calls => &["Subject", "Call_Status", "Call_Type"],
        }
    }
}

impl Crm {
    /// Activities of one kind, earliest first, after so many; at most 200.
    pub async fn agenda(
        &self,
        kind: Kind,
        wanted: &Wanted,
        (offset, limit): (u32, u32),
    ) -> Result<Listed<Activity>, ZohoError> {
        let common = ["id", "Who_Id", "What_Id", "Owner", kind.time()];
        let columns = common.iter().chain(kind.columns());
        let query = Select {
            columns: columns.map(|name| Column::Field(name)).collect(),
            from: kind.module(),
            filter: self.due(kind, wanted).await?,
            group: &[],
            order: Some((kind.time(), Direction::Ascending)),
            offset,
            limit,
        };
        let mut listed = self.shown::<Row, Row>(query).await?;
        let owners = listed.rows.iter_mut().filter_map(|row| row.owner.as_mut());
        self.name_owners(owners).await;
        Ok(Listed {
            rows: listed.rows.into_iter().map(|row| row.of(kind)).collect(),
            more: listed.more,
            index: None,
        })
    }

    async fn due(&self, kind: Kind, wanted: &Wanted) -> Result<Vec<Condition>, ZohoError> {
        let (field, from, to) = (kind.time(), wanted.from, wanted.to);
        let begins = match (kind, to.tomorrow()) {
            (Kind::Tasks, _) | (_, Err(_)) => {
                Condition::Between(field.into(), Literal::Day(from), Literal::Day(to))
            }
            (_, Ok(after)) => self.between(field, from, after).await?,
        };
        let mut all = vec![match &begins {
            Condition::Between(_, Literal::Moment(first), _) if kind == Kind::Events => {
                let runs = runs_at(first);
                begins.or(runs)
            }
            _ => begins,
        }];
        all.extend(wanted.stage.as_ref().map(|stage| stage.condition(kind)));
        all.extend(wanted.owner.as_ref().map(|owner| {
            let owner = Literal::Id(owner.clone());
            Condition::compare("Owner", Comparison::Equal, owner)
        }));
        Ok(all)
    }
}

/// A meeting that began before that has not ended by then.
fn runs_at(moment: &Zoned) -> Condition {
    let compare = |field, how| Condition::compare(field, how, Literal::Moment(moment.clone()));
    let began = compare("Start_DateTime", Comparison::Less);
    began.and(compare("End_DateTime", Comparison::Greater))
}

impl Stage {
    fn condition(&self, kind: Kind) -> Condition {
        let completed = |how| {
            let completed = Literal::Text("Completed".into());
            Condition::compare("Status", how, completed)
        };
        let ends = |how, at: &Zoned| {
            let at = Literal::Moment(at.clone());
            Condition::compare("End_DateTime", how, at)
        };
        let planned = || {
            let statuses = PLANNED.map(|status| Literal::Text(status.into()));
            ("Call_Status".into(), statuses.to_vec())
        };
        match (self, kind) {
            (Self::Open(_), Kind::Tasks) => completed(Comparison::NotEqual),
            (Self::Done(_), Kind::Tasks) => completed(Comparison::Equal),
            (Self::Open(now), Kind::Events) => ends(Comparison::AtLeast, now),
            (Self::Done(now), Kind::Events) => ends(Comparison::Less, now),
            (Self::Open(_), Kind::Calls) => {
                let (field, statuses) = planned();
                Condition::In(field, statuses)
            }
            // Calls without a status were logged afterwards.
            (Self::Done(_), Kind::Calls) => {
                let (field, statuses) = planned();
                let none = Condition::Empty("Call_Status".into());
                Condition::NotIn(field, statuses).or(none)
            }
        }
    }
}

/// The statuses of calls that are still to be made: Zoho says of them when their time has passed.
const PLANNED: [&str; 2] = ["Scheduled", "Overdue"];

/// An activity of any kind as Zoho writes it.
#[derive(Deserialize)]
struct Row {
    id: RecordId,
    #[serde(rename = "Subject", alias = "Event_Title")]
    subject: Option<CrmText>,
    #[serde(rename = "Status", alias = "Call_Status")]
    status: Option<CrmText>,
    #[serde(rename = "Priority")]
    priority: Option<CrmText>,
    #[serde(
        rename = "Due_Date",
        alias = "Start_DateTime",
        alias = "Call_Start_Time",
        default,
        deserialize_with = "moment"
    )]
    time: Option<String>,
    #[serde(rename = "End_DateTime", default, deserialize_with = "moment")]
    end_time: Option<String>,
    #[serde(rename = "Venue")]
    venue: Option<CrmText>,
    #[serde(rename = "Call_Type")]
    direction: Option<CrmText>,
    #[serde(rename = "Who_Id", default, deserialize_with = "lookup")]
    who: Option<Reference>,
    #[serde(rename = "What_Id", default, deserialize_with = "lookup")]
    what: Option<Reference>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    owner: Option<Reference>,
}

impl Row {
    fn of(self, kind: Kind) -> Activity {
        Activity {
            kind,
            id: self.id,
            subject: self.subject,
            status: self.status,
            priority: self.priority,
            time: self.time,
            end_time: self.end_time,
            venue: self.venue,
            direction: self.direction,
            who: self.who,
            what: self.what,
            owner: self.owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_open_while_it_is_planned_however_long_ago() {
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        let asked = |stage: Stage| {
            let query = Select {
                columns: vec![Column::Field("id")],
                from: "Calls",
                filter: vec![stage.condition(Kind::Calls)],
                group: &[],
                order: None,
                offset: 0,
                limit: 1,
            };
            query.render().unwrap()
        };
        let open = asked(Stage::Open(now.clone()));
        assert!(
            open.contains("where Call_Status in ('Scheduled', 'Overdue') limit"),
            "{open}"
        );
        let done = asked(Stage::Done(now));
        let others =
            "where (Call_Status not in ('Scheduled', 'Overdue') or Call_Status is null) limit";
        assert!(done.contains(others), "{done}");
    }
}
