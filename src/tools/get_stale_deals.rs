//! `get_stale_deals`: open deals that somebody should look at.

use jiff::{ToSpan as _, Zoned, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::CursorText,
    input::{self, Limit, inline_schema},
    list_deals::{Output, line},
    listing::{Asked, End, Listing, Pager},
    record::{Deal, instant},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        Listed, RecordId,
        deals::{self, DealFilter, DealOrder, DealStatus, Stale},
    },
};

pub(super) struct GetStaleDeals;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Days without activity that make a deal stale. Default 30.
    days: Option<Idle>,
    owner_id: Option<RecordId>,
    /// Default 20.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

/// A number of days, 1 to 365.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct Idle(i32);

impl<'de> Deserialize<'de> for Idle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let days = f64::deserialize(deserializer)?;
        let fits = days.fract() == 0.0 && (1.0..=365.0).contains(&days);
        #[expect(clippy::cast_possible_truncation, reason = "it is from 1 to 365")]
        fits.then_some(Self(days as i32))
            .ok_or_else(|| D::Error::custom("not a number of days"))
    }
}

inline_schema!([] Idle, "Idle", { "type": "integer", "minimum": 1, "maximum": 365 });

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StaleDeal {
    #[serde(flatten)]
    deal: Deal,
    /// Since the last activity, or since it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_days: Option<i32>,
    stale_because: Vec<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    NoActivity,
    ClosingDatePassed,
}

impl Tool for GetStaleDeals {
    const NAME: &'static str = "get_stale_deals";
    const TITLE: &'static str = "Stale deals";
    const DESCRIPTION: &'static str = "Open deals without activity for some days, or whose closing \
        date has passed, with the reasons; largest first. Costs 1 to 2 API credits.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("days", Class::Public),
        ("owner_id", Class::Id),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];
    type Input = Input;
    type Output = Output<StaleDeal>;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Self::Output>, ToolError> {
        let asked = Asked {
            limit: input.limit,
            default: 20,
            cursor: input.cursor.as_ref(),
        };
        let pager = Pager::new(call, &input, &asked, End::QUERY)?;
        let org = call.crm.org().await?;
        let stale = stale(call.now.to_zoned(org.time_zone.clone()), input.days)?;
        let filter = DealFilter {
            status: Some(DealStatus::Open),
            owner: input.owner_id,
            stale: Some(stale.clone()),
            ..DealFilter::default()
        };
        let found = call.crm.deals(&filter, DealOrder::Amount, pager.page());
        let found = found.await?;
        let rows = found.rows.into_iter();
        let listed: Listed<StaleDeal> = Listed {
            rows: rows.map(|deal| StaleDeal::new(deal, &stale)).collect(),
            more: found.more,
            index: None,
        };
        let list: Listing<StaleDeal> = pager.listing(listed, call.now);
        let text = list.tell("stale deal", "No stale deal.", |stale| {
            let idle = stale.idle_days.map(|days| format!(", idle {days} days"));
            let deal = line(&stale.deal, &org.currency);
            format!("{deal}{}", idle.unwrap_or_default())
        });
        Ok(Output::answer(list, text, &org.currency))
    }
}

/// Whole days: what was touched within the first of them is not stale.
fn stale(now: Zoned, days: Option<Idle>) -> Result<Stale, ToolError> {
    let today = now.date();
    let idle = days.map_or(DEFAULT_DAYS, |Idle(days)| days);
    let first = today.checked_sub((idle - 1).days());
    let since = first.and_then(|day| day.to_zoned(now.time_zone().clone()));
    Ok(Stale {
        untouched_since: since.map_err(|_| OUT_OF_CALENDAR)?,
        today,
    })
}

impl StaleDeal {
    fn new(deal: deals::Deal, stale: &Stale) -> Self {
        let zone = stale.untouched_since.time_zone();
        let day = |time: Option<&str>| instant(time).map(|at| at.to_zoned(zone.clone()).date());
        let touched = day(deal.last_activity_time.as_deref());
        let touched = touched.or_else(|| day(deal.created_time.as_deref()));
        let closing: Option<Date> = deal.closing_date.as_deref().and_then(input::day);
        let mut stale_because = Vec::new();
        if touched.is_some_and(|day| day < stale.untouched_since.date()) {
            stale_because.push(Reason::NoActivity);
        }
        if closing.is_some_and(|closing| closing < stale.today) {
            stale_because.push(Reason::ClosingDatePassed);
        }
        Self {
            idle_days: touched.map(|day| (stale.today - day).get_days()),
            stale_because,
            deal: deal.into(),
        }
    }
}

const DEFAULT_DAYS: i32 = 30;
const OUT_OF_CALENDAR: ToolError = ToolError::Argument {
    argument: "days",
    problem: "it reaches outside the calendar",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::record::tests::a_deal;

    #[test]
    fn a_deal_is_stale_for_what_is_true_of_it() {
        let reasons = |today: &str, days| {
            let now = today.parse().unwrap();
            let stale = stale(now, Some(Idle(days))).unwrap();
            let deal = StaleDeal::new(a_deal(1, "Negotiation", 1.0), &stale);
            (deal.idle_days.unwrap(), deal.stale_because)
        };
        // Touched on 10 January, closes on 1 March.
        let (idle, because) = reasons("2026-02-09T12:00:00[Europe/Berlin]", 30);
        assert_eq!((idle, because), (30, vec![Reason::NoActivity]));
        let (idle, because) = reasons("2026-02-08T12:00:00[Europe/Berlin]", 30);
        assert_eq!((idle, because), (29, vec![]));
        let (_, because) = reasons("2026-03-02T12:00:00[Europe/Berlin]", 365);
        assert_eq!(because, [Reason::ClosingDatePassed]);
    }
}
