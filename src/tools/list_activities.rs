//! `list_activities`: tasks, meetings and calls as one agenda.

mod agenda;

use jiff::{ToSpan as _, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    concurrent::gather,
    cursor::{Binding, CursorText, MALFORMED},
    input::{Day, Limit, each_once},
    listing::Listing,
    record::split,
    slice::Slice,
    text::brief_or_dash,
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        CrmText, RecordId,
        agenda::{Activity, Kind, Stage, Wanted},
    },
};
use agenda::{Position, earliest};

pub(super) struct ListActivities;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Default all.
    #[schemars(length(min = 1, max = 3))]
    types: Option<Vec<Kind>>,
    /// Overdue are tasks only. Default open.
    status: Option<Status>,
    owner_id: Option<RecordId>,
    /// Default today and meetings under way; of overdue tasks, any day.
    from: Option<Day>,
    /// Default a week after from.
    to: Option<Day>,
    /// Default 20.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    #[default]
    Open,
    Done,
    Overdue,
    All,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    #[serde(rename = "type")]
    kind: Kind,
    id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<CrmText>,
    /// When a task is due, or the rest begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    venue: Option<CrmText>,
    /// Of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<RecordId>,
    /// Deal, account or other record.
    #[serde(skip_serializing_if = "Option::is_none")]
    related_to: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related_to_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<RecordId>,
}

impl Tool for ListActivities {
    const NAME: &'static str = "list_activities";
    const TITLE: &'static str = "Agenda";
    const DESCRIPTION: &'static str = "Tasks, meetings and calls by day, earliest first: what is \
        open this week, what was done, or which tasks are overdue. Costs 1 API credit for each type.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("types", Class::Public),
        ("status", Class::Public),
        ("owner_id", Class::Id),
        ("from", Class::Public),
        ("to", Class::Public),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];
    type Input = Input;
    type Output = Listing<Item>;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Self::Output>, ToolError> {
        let slice = Slice::new(call, input.limit, 20);
        let binding = Binding::new(Self::NAME, &input, slice.size);
        let kinds = input.kinds()?;
        let mut at = match &input.cursor {
            Some(cursor) => Position::read(&binding.position(cursor)?).ok_or(MALFORMED)?,
            None => Position::start(call.now),
        };
        // Pages are of one list, as it was when its first page was asked for.
        let zone = &call.crm.org().await?.time_zone;
        let began = at.began.to_zoned(zone.clone());
        let today = began.date();
        let wanted = input.wanted(began)?;
        let status = input.status.unwrap_or_default();
        let asked = kinds
            .iter()
            .map(|kind| {
                call.crm
                    .agenda(*kind, &wanted, (at.offset(*kind), slice.size))
            })
            .collect();
        let listed = gather(call.progress, 0, "reading lists", asked).await;
        let listed = listed.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (found, more) = earliest(listed, slice.size, zone, &mut at);
        let goes_on = more && at.is_within_reach();
        let items: Vec<Item> = found
            .into_iter()
            .map(|activity| Item::new(activity, status, today))
            .collect();
        let cursor = goes_on.then(|| binding.cursor(&at.to_string()));
        let found = Listing::new(items, (more, cursor), slice, call.now);
        let text = found.tell("activity", NOTHING, line);
        Ok(Answer {
            text: text.finish(),
            records: found.records(),
            output: found,
        })
    }
}

impl Input {
    fn kinds(&self) -> Result<Vec<Kind>, ToolError> {
        let overdue = self.status == Some(Status::Overdue);
        let Some(types) = &self.types else {
            return Ok(match overdue {
                true => vec![Kind::Tasks],
                false => Kind::ALL.to_vec(),
            });
        };
        let named = each_once(&Kind::ALL, types).ok_or(ToolError::Argument {
            argument: "types",
            problem: "name 1 to 3 types, each once, or leave it out",
        })?;
        if overdue && named != [Kind::Tasks] {
            return Err(ToolError::Argument {
                argument: "types",
                problem: "only tasks can be overdue; leave types out or name tasks alone",
            });
        }
        Ok(named)
    }

    fn wanted(&self, now: jiff::Zoned) -> Result<Wanted, ToolError> {
        let today = now.date();
        let status = self.status.unwrap_or_default();
        let (from, to) = (self.from.map(Day::get), self.to.map(Day::get));
        let (from, to) = match status {
            Status::Overdue => {
                let yesterday = today.yesterday().map_err(|_| OUT_OF_CALENDAR)?;
                let to = to.map_or(yesterday, |to| to.min(yesterday));
                (from.unwrap_or(FIRST_DAY), to)
            }
            Status::Open | Status::Done | Status::All => {
                let from = from.unwrap_or(today);
                let week = from.checked_add(1.week()).map_err(|_| OUT_OF_CALENDAR)?;
                (from, to.unwrap_or(week))
            }
        };
        if from.year() < FIRST_DAY.year() || to.year() > LAST_YEAR {
            return Err(OUT_OF_CALENDAR);
        }
        if from > to {
            return Err(ToolError::Argument {
                argument: "from",
                problem: "it is after to (which is a week after from by default, and before today \
                          for overdue tasks)",
            });
        }
        Ok(Wanted {
            from,
            to,
            stage: match status {
                Status::Open | Status::Overdue => Some(Stage::Open(now)),
                Status::Done => Some(Stage::Done(now)),
                Status::All => None,
            },
            owner: self.owner_id.clone(),
        })
    }
}

impl Item {
    fn new(activity: Activity, asked: Status, today: Date) -> Self {
        let overdue = match activity.kind {
            Kind::Tasks => is_overdue(&activity, asked, today),
            Kind::Events | Kind::Calls => Some(false),
        };
        let (contact, contact_id) = split(activity.who);
        let (related_to, related_to_id) = split(activity.what);
        let (owner, owner_id) = split(activity.owner);
        Self {
            kind: activity.kind,
            id: activity.id,
            subject: activity.subject,
            status: activity.status,
            priority: activity.priority,
            time: activity.time,
            end_time: activity.end_time,
            venue: activity.venue,
            direction: activity.direction,
            overdue,
            contact,
            contact_id,
            related_to,
            related_to_id,
            owner,
            owner_id,
        }
    }
}

/// Of a task. Where its day or its status is hidden, the filters may still say it.
fn is_overdue(task: &Activity, asked: Status, today: Date) -> Option<bool> {
    let due = task.time.as_deref().and_then(super::input::day);
    let status = task.status.as_ref();
    let (is_late, is_open) = match asked {
        Status::Overdue => (Some(true), Some(true)),
        Status::Open => (due.map(|due| due < today), Some(true)),
        Status::Done => (None, Some(false)),
        Status::All => (
            due.map(|due| due < today),
            status.map(|status| status.as_str() != "Completed"),
        ),
    };
    match (is_late, is_open) {
        (Some(true), Some(true)) => Some(true),
        (Some(false), _) | (_, Some(false)) => Some(false),
        _ => None,
    }
}

/// One activity in one line.
fn line(item: &Item) -> String {
    let kind = match item.kind {
        Kind::Tasks => "task",
        Kind::Events => "meeting",
        Kind::Calls => "call",
    };
    format!(
        "{}: {kind} {} ({}){}",
        item.time.as_deref().unwrap_or("-"),
        brief_or_dash(item.subject.as_ref()),
        item.id,
        match item.overdue {
            Some(true) => ", overdue",
            Some(false) => "",
            None => ", whether overdue not known",
        },
    )
}

const NOTHING: &str = "No activity passes the filters. Try another status, or other days.";
/// Before Zoho.
const FIRST_DAY: Date = jiff::civil::date(1990, 1, 1);
const LAST_YEAR: i16 = 2199;
const OUT_OF_CALENDAR: ToolError = ToolError::Argument {
    argument: "from",
    problem: "with to it reaches outside the years 1990 to 2199",
};
