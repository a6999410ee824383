//! `get_contact_history`: what happened around a contact, from several lists, newest first.

mod entry;
mod merge;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    Answer, Context, Tool, ToolError,
    concurrent::gather,
    cursor::{Binding, CursorText, MALFORMED},
    input::{self, Limit, each_once, inline_schema},
    record::SOURCE,
    slice::Slice,
    text::{Text, brief_or_dash},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{Crm, CrmText, Listed, Page, RecordId, ZohoError, contacts::Contact, notes::NoteParent},
};
use entry::{Entry, Kind};
use merge::{Failure, Lane, PAGE, Position, Positions};

pub(super) struct GetContactHistory;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    contact_id: RecordId,
    /// Nothing older: YYYY-MM-DD or RFC 3339.
    since: Option<Since>,
    /// Default all but emails.
    #[schemars(length(min = 1, max = 6))]
    types: Option<Vec<Kind>>,
    /// Default 20.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    contact_id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_name: Option<CrmText>,
    /// Newest first.
    items: Vec<Entry>,
    count: usize,
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// Where failed or hidden, items are missing; untimed: times are, so that `since` may miss some.
    sources: Vec<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<u32>,
    as_of: String,
    source: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Status {
    source: &'static str,
    status: State,
    more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Untimed,
    Failed,
    Hidden,
}

impl Tool for GetContactHistory {
    const NAME: &'static str = "get_contact_history";
    const TITLE: &'static str = "Contact history";
    const DESCRIPTION: &'static str = "Notes, deals, tasks, calls, meetings and (on request) \
        e-mail headers of one contact, newest first; of more than 200 (or the role's ceiling) tasks, \
        calls or meetings, those made last first. Get contact_id from search_contacts. Each type \
        costs 1 API credit for each 200 looked through, the contact 1. Who sees a part of the CRM gets those of \
        the last 10 e-mails.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("contact_id", Class::Id),
        ("since", Class::Public),
        ("types", Class::Public),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let slice = Slice::new(call, input.limit, 20);
        let page_size = call.grant.rows(PAGE);
        // A position counts pages of one size: where that is another, it is not read.
        let binding = Binding::new(Self::NAME, &(&input, page_size), slice.size);
        let positions = input.positions(&binding)?;
        let contact = call.crm.contact(&input.contact_id).await?;
        let since = input.since(call).await?;
        let steps = u32::try_from(positions.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        call.progress.report(1, steps, "contact found").await;
        let asked = positions
            .iter()
            .map(|position| lane(call.crm, &input.contact_id, position, (page_size, since)));
        let results = gather(call.progress, 1, "reading lists", asked.collect()).await;
        let lanes = lanes(positions, results)?;
        Ok(answer(&contact, lanes, &binding, slice, call.now))
    }
}

/// Where the history begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Since {
    Day(Date),
    At(Timestamp),
}

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instant = || text.parse().ok().filter(|_| text.len() <= 35).map(Self::At);
        let since = input::day(&text).map(Self::Day).or_else(instant);
        since.ok_or_else(|| {
            D::Error::custom(if text.starts_with(|c: char| c.is_ascii_digit()) {
                input::no_moment(&text)
            } else {
                "not a time"
            })
        })
    }
}

inline_schema!([] Since, "Since", { "type": "string", "minLength": 10, "maxLength": 35 });

impl Since {
    fn instant(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::At(instant) => Some(instant),
            Self::Day(day) => day
                .to_zoned(zone.clone())
                .ok()
                .map(|midnight| midnight.timestamp()),
        }
    }
}

impl Input {
    async fn since(&self, call: &Context<'_>) -> Result<Option<Timestamp>, ToolError> {
        Ok(match self.since {
            None => None,
            Some(Since::At(instant)) => Some(instant),
            Some(since @ Since::Day(_)) => {
                let zone = &call.crm.org().await?.time_zone;
                // Without the filter everything would be told as if it were new.
                Some(since.instant(zone).ok_or(ToolError::Argument {
                    argument: "since",
                    problem: "it reaches outside the calendar",
                })?)
            }
        })
    }

    /// Where to go on in each list that is not at its end.
    fn positions(&self, binding: &Binding) -> Result<Positions, ToolError> {
        let asked = match &self.types {
            Some(types) => each_once(&Kind::ALL, types).ok_or(ToolError::Argument {
                argument: "types",
                problem: "name 1 to 6 types, each once, or leave it out",
            })?,
            None => Kind::ALL
                .into_iter()
                .filter(|kind| *kind != Kind::Emails)
                .collect(),
        };
        match &self.cursor {
            Some(cursor) => merge::read(&binding.position(cursor)?)
                .filter(|positions| positions.iter().all(|at| asked.contains(&at.kind)))
                .ok_or(MALFORMED),
            None => Ok(asked.into_iter().map(Position::start).collect()),
        }
    }
}

/// What a list has from a position on: its first page with an entry that is not too old.
async fn lane(
    crm: &Crm,
    id: &RecordId,
    position: &Position,
    (page_size, since): (u32, Option<Timestamp>),
) -> Result<Lane, ZohoError> {
    let mut position = position.clone();
    let mut untimed = false;
    loop {
        let listed = list(crm, id, &position, page_size).await?;
        let mut lane = Lane::new(position, listed, page_size, since);
        untimed |= lane.untimed;
        lane.untimed = untimed;
        match lane.next() {
            Some(next) if lane.is_used_up() => position = next,
            _ => return Ok(lane),
        }
    }
}

async fn list(
    crm: &Crm,
    id: &RecordId,
    position: &Position,
    size: u32,
) -> Result<Listed<Entry>, ZohoError> {
    let page = Page {
        number: position.page,
        size,
    };
    Ok(match position.kind {
        Kind::Notes => entries(crm.notes_of(NoteParent::Contacts, id, page).await?),
        Kind::Deals => entries(crm.deals_of_contact(id, page).await?),
        Kind::Tasks => entries(crm.tasks_of_contact(id, page).await?),
        Kind::Calls => entries(crm.calls_of_contact(id, page).await?),
        Kind::Events => entries(crm.events_of_contact(id, page).await?),
        Kind::Emails => entries(crm.emails_of_contact(id, position.index.as_deref()).await?),
    })
}

fn entries<T: Into<Entry>>(listed: Listed<T>) -> Listed<Entry> {
    Listed {
        rows: listed.rows.into_iter().map(T::into).collect(),
        more: listed.more,
        index: listed.index,
    }
}

/// Some lists are better than none; none at all is the first failure.
fn lanes(
    positions: Positions,
    results: Vec<Result<Lane, ZohoError>>,
) -> Result<Vec<Lane>, ToolError> {
    let mut lanes = Vec::new();
    let mut first_failure = None;
    for (position, result) in positions.into_iter().zip(results) {
        lanes.push(match result {
            Ok(lane) => lane,
            Err(error) => {
                let lane = Lane::failed(position, &error);
                first_failure.get_or_insert(error);
                lane
            }
        });
    }
    match first_failure {
        Some(error) if lanes.iter().all(|lane| lane.failure().is_some()) => Err(error.into()),
        _ => Ok(lanes),
    }
}

fn answer(
    contact: &Contact,
    mut lanes: Vec<Lane>,
    binding: &Binding,
    slice: Slice,
    now: Timestamp,
) -> Answer<Output> {
    let items = merge::newest(
        &mut lanes,
        usize::try_from(slice.size).unwrap_or(usize::MAX),
    );
    let position = merge::write(&lanes);
    let more = lanes.iter().any(Lane::has_more);
    let statuses = lanes.iter().map(|lane| Status {
        source: lane.kind().as_str(),
        status: match lane.failure() {
            Some(Failure::Passing) => State::Failed,
            Some(Failure::Hidden(_)) => State::Hidden,
            None if lane.untimed => State::Untimed,
            None => State::Ok,
        },
        more: lane.has_more(),
    });
    let output = Output {
        contact_id: contact.id.clone(),
        contact_name: contact.full_name.clone(),
        count: items.len(),
        items,
        more,
        cursor: (!position.is_empty()).then(|| binding.cursor(&position)),
        sources: statuses.collect(),
        limited_to: slice.limited_to.filter(|_| more),
        as_of: now.to_string(),
        source: SOURCE,
    };
    Answer {
        text: tell(&output, &lanes),
        records: output.items.len() as u64,
        output,
    }
}

fn tell(output: &Output, lanes: &[Lane]) -> String {
    let number = output.items.len();
    let mut text = Text::to_read(format!(
        "{number} {} for contact {} ({}){}.",
        if number == 1 { "entry" } else { "entries" },
        brief_or_dash(output.contact_name.as_ref()),
        output.contact_id,
        if output.more {
            ", and there are more"
        } else {
            ""
        },
    ));
    for entry in &output.items {
        text.line(format!("- {}", entry.told()));
    }
    text.remarks(lanes.iter().filter_map(missing));
    if let Some(rows) = output.limited_to {
        text.remark(&format!("This client's role allows {rows} rows an answer."));
    }
    for lane in lanes.iter().filter(|lane| lane.is_cut()) {
        text.remark(&format!(
            "The CRM has more {0} than it lists: no call shows the other {0}. They are in the CRM alone.",
            lane.kind().as_str(),
        ));
    }
    if output.cursor.is_some() {
        text.remark("Pass `cursor` with the same arguments to go on.");
    }
    text.finish()
}

/// What a list keeps from the caller.
fn missing(lane: &Lane) -> Option<String> {
    let kind = lane.kind();
    let name = kind.as_str();
    Some(match lane.failure() {
        Some(Failure::Passing) => format!("The {name} could not be read this time."),
        Some(Failure::Hidden(field)) => format!(
            "The {name} could not be read: the CRM does not show their field `{}` to the CRM user \
             behind this server, so it is not known which this client may see.",
            field.as_str()
        ),
        None if lane.untimed => format!(
            "Of {name}, or some of them, the CRM has or shows no {} to the CRM user behind this \
             server: they have no time here, and with `since` some may be missing.",
            kind.time(),
        ),
        None => return None,
    })
}

#[cfg(test)]
mod tests;
