//! One deal and how it stands.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::Serialize;

use super::Output;
use crate::{
    tools::{
        Answer, Context, ToolError, input,
        record::{Deal, SOURCE, instant},
        text::{Text, amount_of, brief, brief_or_dash, count, money},
    },
    zoho::{
        Closing, CrmText, Page, RecordId,
        deals::{self, DealStatus},
        notes,
    },
};
use notes::NoteParent;

// What follows from a deal's dates, and its last notes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    /// Missing: unknown, as then are reasons to be stalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_days: Option<i64>,
    /// Negative: overdue.
    #[serde(skip_serializing_if = "Option::is_none")]
    days_to_close: Option<i64>,
    /// Empty: not stalled, as far as is shown.
    stalled_because: Vec<Reason>,
    /// Newest first. Missing: unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_notes: Option<Vec<Note>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    #[serde(rename = "no_activity_for_30_days")]
    NoActivity,
    ClosingDatePassed,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Note {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

/// Asks for one deal and its last notes; a deal without its notes is still an answer.
pub(super) async fn answer(call: &Context<'_>, id: &RecordId) -> Result<Answer<Output>, ToolError> {
    // The deal is a record, too.
    let room = call.grant.rows(1 + LAST_NOTES) - 1;
    let newest = Page {
        number: 1,
        size: room.max(1),
    };
    let (org, deal, closing, notes) = tokio::join!(
        call.crm.org(),
        call.crm.deal(id),
        call.crm.closing(),
        call.crm.notes_of(NoteParent::Deals, id, newest),
    );
    let (org, deal, closing) = (org?, deal?, closing?);
    let notes = notes.ok();
    let notes = notes.map(|listed| listed.rows.into_iter().take(room as usize).collect());
    let standing = Standing::new(&deal, &closing, notes, call.now, &org.time_zone);
    let records = 1 + standing.last_notes.as_ref().map_or(0, Vec::len) as u64;
    let output = output(deal.into(), standing, &org.currency, call.now);
    Ok(Answer {
        text: tell(&output),
        output,
        records,
    })
}

fn output(deal: Deal, standing: Standing, currency: &str, now: Timestamp) -> Output {
    Output {
        items: vec![deal],
        count: 1,
        more: false,
        cursor: None,
        limited_to: None,
        standing: Some(standing),
        totals: None,
        currency: currency.to_owned(),
        as_of: now.to_string(),
        source: SOURCE,
    }
}

impl Standing {
    fn new(
        deal: &deals::Deal,
        closing: &Closing,
        notes: Option<Vec<notes::Note>>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        let today = now.to_zoned(zone.clone()).date();
        let day = |time: Option<&str>| instant(time).map(|at| at.to_zoned(zone.clone()).date());
        // Where the stage is hidden, nobody knows.
        let stage = deal.stage.as_ref();
        let closed = stage.map(|stage| closing.status(stage.as_str()) != DealStatus::Open);
        let is_open = closed == Some(false);
        let created = day(deal.created_time.as_deref());
        let touched = [&deal.last_activity_time, &deal.modified_time]
            .into_iter()
            .find_map(|time| day(time.as_deref()));
        let closing_date = deal.closing_date.as_deref().and_then(input::day);
        let days_to_close = closing_date
            .map(|date| between(today, date))
            .filter(|_| is_open);
        let mut stalled_because = Vec::new();
        if is_open && touched.is_some_and(|touched| between(touched, today) >= STALE_DAYS) {
            stalled_because.push(Reason::NoActivity);
        }
        if days_to_close.is_some_and(|days| days < 0) {
            stalled_because.push(Reason::ClosingDatePassed);
        }
        Self {
            closed,
            age_days: created.map(|created| between(created, today)),
            days_to_close,
            stalled_because,
            last_notes: notes.map(|notes| notes.into_iter().take(3).map(Note::from).collect()),
        }
    }
}

impl From<notes::Note> for Note {
    fn from(note: notes::Note) -> Self {
        let clip = |text: &CrmText| text.as_str().chars().take(NOTE_CHARACTERS).collect();
        Self {
            title: note.title,
            text: note.content.as_ref().map(clip),
            time: note.created_time,
        }
    }
}

fn between(from: Date, to: Date) -> i64 {
    i64::from((to - from).get_days())
}

fn tell(output: &Output) -> String {
    let (Some(deal), Some(standing)) = (output.items.first(), &output.standing) else {
        return Text::new("No deal.").finish();
    };
    let currency = &output.currency;
    let amount = amount_of(deal.amount, currency);
    let mut text = Text::new(format!(
        "Deal {} ({}): {amount}, stage {}.",
        brief_or_dash(deal.name.as_ref()),
        deal.id,
        brief_or_dash(deal.stage.as_ref()),
    ));
    if let Some(weighted) = deal
        .weighted_amount
        .filter(|_| standing.closed != Some(true))
    {
        text.line(format!(
            "- weighted by probability: {}",
            money(weighted, currency)
        ));
    }
    if let Some(date) = &deal.closing_date {
        let days = match standing.days_to_close {
            Some(days) if days < 0 => format!(", overdue by {}", count(days.unsigned_abs(), "day")),
            Some(days) => format!(", in {}", count(days.unsigned_abs(), "day")),
            None => String::new(),
        };
        text.line(format!("- closing date: {date}{days}"));
    }
    if let Some(age) = standing.age_days {
        text.line(format!("- age: {}", count(age.unsigned_abs(), "day")));
    }
    for reason in &standing.stalled_because {
        text.line(match reason {
            Reason::NoActivity => "- stalled: no activity for 30 days or more",
            Reason::ClosingDatePassed => "- stalled: the closing date has passed",
        });
    }
    if let Some(unknown) = unknown(deal, standing) {
        text.line(format!("- {unknown}"));
    }
    if let Some(step) = &deal.next_step {
        text.line(format!("- next step: {}", brief(step)));
    }
    match &standing.last_notes {
        Some(notes) => text.line(format!("- last notes: {}", notes.len())),
        None => text.line("- its notes could not be read"),
    }
    text.finish()
}

/// What an open deal may be stalled by all the same.
fn unknown(deal: &Deal, standing: &Standing) -> Option<&'static str> {
    match standing.closed {
        None => Some("the stage is not shown: whether it is open, overdue or stalled is not known"),
        Some(false) if deal.closing_date.is_none() => {
            Some("no closing date is set or shown: whether it is overdue is not known")
        }
        Some(_) => None,
    }
}

const LAST_NOTES: u32 = 3;
const NOTE_CHARACTERS: usize = 1000;
const STALE_DAYS: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::record::tests::{a_deal, assert_fits, id, text};

    fn answered(stage: &str, now: &str) -> Output {
        let note = notes::Note {
            id: id(3),
            title: text("Call"),
            content: text(&"x".repeat(3000)),
            owner: None,
            created_time: Some("2026-01-10T10:00:00+01:00".to_owned()),
            modified_time: None,
        };
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let (deal, closing) = (a_deal(1, stage, 1000.0), Closing::default());
        let now = now.parse().unwrap();
        let standing = Standing::new(&deal, &closing, Some(vec![note]), now, &zone);
        output(deal.into(), standing, "EUR", now)
    }

    fn standing(stage: &str, now: &str) -> Standing {
        answered(stage, now).standing.unwrap()
    }

    #[test]
    fn an_open_deal_that_nobody_touches_is_stalled() {
        let deal = standing("Negotiation", "2026-01-20T12:00:00Z");
        assert_eq!(deal.stalled_because, []);
        assert_eq!((deal.age_days, deal.days_to_close), (Some(18), Some(40)));
        let deal = standing("Negotiation", "2026-02-09T12:00:00Z");
        assert_eq!(deal.stalled_because, [Reason::NoActivity]);
        let deal = standing("Negotiation", "2026-03-02T12:00:00Z");
        assert_eq!(
            deal.stalled_because,
            [Reason::NoActivity, Reason::ClosingDatePassed]
        );
    }

    #[test]
    fn a_closed_deal_is_never_stalled() {
        let deal = standing("Closed Won", "2027-01-01T12:00:00Z");
        assert!(deal.closed == Some(true) && deal.stalled_because.is_empty());
        assert_eq!(deal.days_to_close, None);
    }

    #[test]
    fn of_what_is_hidden_nothing_is_said() {
        let now = "2026-03-20T12:00:00Z".parse().unwrap();
        let standing = |deal| Standing::new(&deal, &Closing::default(), None, now, &TimeZone::UTC);
        let mut deal = a_deal(1, "Closed Won", 1000.0);
        deal.stage = None;
        let told = standing(deal);
        assert_eq!((told.closed, told.days_to_close), (None, None));
        assert_eq!(told.stalled_because, []);
        let mut deal = a_deal(1, "Negotiation", 1000.0);
        (deal.last_activity_time, deal.modified_time) = (None, None);
        let told = standing(deal);
        assert_eq!(told.stalled_because, [Reason::ClosingDatePassed]);
    }

    #[test]
    fn days_are_those_of_the_organisation() {
        // Late in the evening of the last day of February in UTC, it is March in Berlin.
        let deal = standing("Negotiation", "2026-02-28T23:30:00Z");
        assert_eq!(deal.days_to_close, Some(0));
    }

    #[test]
    fn one_deal_fits_the_schema() {
        let output = answered("Negotiation", "2026-03-02T12:00:00Z");
        let told = tell(&output);
        let fact = "Deal Difference engine (1): EUR 1,000.00, stage Negotiation.";
        assert!(told.starts_with(fact), "{told}");
        assert!(told.contains("overdue by 1 day\n"), "{told}");
        assert!(told.len() <= 1500);
        assert_fits("get_deal_summary", &output);
        let notes = output.standing.unwrap().last_notes.unwrap();
        assert_eq!(notes[0].text.as_ref().unwrap().len(), NOTE_CHARACTERS);
    }
}
