//! `get_revenue_report`: what was won in a period, by group, and how that compares.

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    concurrent::{Figure, Question, figure, gather},
    period::{CompareTo, Days, Period},
    record::{SOURCE, cents, change_percent, percent},
    slice::Slice,
    text::{Text, brief_or_dash, count, money},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        Crm, RecordId, ZohoError,
        deals::{DealFilter, DealGroup, DealStatus, DealTotal},
    },
};

pub(super) struct GetRevenueReport;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// this_month, last_month (also _quarter, _year), next_quarter, last_30_days, last_90_days, YYYY, YYYY-Qn, YYYY-MM or YYYY-MM-DD..YYYY-MM-DD. Default this_quarter.
    period: Option<Period>,
    /// Default stage.
    group_by: Option<GroupBy>,
    /// Default previous_period.
    compare_to: Option<CompareTo>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GroupBy {
    #[default]
    Stage,
    Owner,
    LeadSource,
    Type,
    Account,
    Month,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// Both days included.
    period: String,
    /// Not over yet.
    running: bool,
    currency: String,
    /// Closed-won amount by closing date.
    revenue: f64,
    won_deals: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared_with: Option<Comparison>,
    /// Largest first; months in order.
    groups: Vec<Group>,
    /// Groups that are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_groups: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_groups_amount: Option<f64>,
    /// Open deals due to close in the period (group_by=stage).
    #[serde(skip_serializing_if = "Option::is_none")]
    open_pipeline_amount: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_pipeline_deals: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<u32>,
    as_of: String,
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Group {
    /// Empty: the deals have none.
    group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<RecordId>,
    /// Only won deals are revenue.
    status: DealStatus,
    amount: f64,
    deals: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    share_percent: Option<f64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    period: String,
    revenue: f64,
    won_deals: u64,
    change: f64,
    /// Missing: nothing to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    change_percent: Option<f64>,
}

impl Tool for GetRevenueReport {
    const NAME: &'static str = "get_revenue_report";
    const TITLE: &'static str = "Revenue report";
    const DESCRIPTION: &'static str = "Revenue (closed-won deals by closing date) of a period, \
        grouped, compared with another period. group_by=stage also shows the open pipeline that \
        is due in the period; month takes at most 12 months. Costs 3 to 6 API credits, by month \
        up to 15.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("period", Class::Public),
        ("group_by", Class::Public),
        ("compare_to", Class::Public),
    ];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let org = call.crm.org().await?;
        let today = call.now.to_zoned(org.time_zone.clone()).date();
        let days = input.period.unwrap_or_default().days(today)?;
        let before = input.compare_to.unwrap_or_default().days(days, today)?;
        let group_by = input.group_by.unwrap_or_default();
        let mut figures = Vec::new();
        let mut whole = questions(group_by, days, before)?.into_iter();
        // Where a field is hidden that all of them need, one question is enough to know.
        if let Some(first) = whole.next() {
            figures.push(figure(call.crm, first).await?);
        }
        let others = whole.map(|question| figure(call.crm, question)).collect();
        for result in gather(call.progress, 1, "summing up", others).await {
            figures.push(result?);
        }
        let groups = groups(call.crm, group_by, days).await?;
        let report = Report {
            today,
            days,
            before,
            group_by,
            figures,
            groups,
        };
        let output = report.shape(&org.currency, Slice::new(call, None, 50), call.now)?;
        let records = output.groups.len() as u64;
        Ok(Answer {
            text: tell(&output),
            output,
            records,
        })
    }
}

/// The totals: of the period, of the one before, then the open ones or those of each month.
fn questions(
    group_by: GroupBy,
    days: Days,
    before: Option<Days>,
) -> Result<Vec<Question>, ToolError> {
    let mut filters = vec![filter(DealStatus::Won, days)];
    filters.extend(before.map(|before| filter(DealStatus::Won, before)));
    match group_by {
        GroupBy::Stage => filters.push(filter(DealStatus::Open, days)),
        GroupBy::Month => {
            let months = days.each_month()?;
            filters.extend(
                months
                    .into_iter()
                    .map(|month| filter(DealStatus::Won, month)),
            );
        }
        GroupBy::Owner | GroupBy::LeadSource | GroupBy::Type | GroupBy::Account => {}
    }
    Ok(filters.into_iter().map(Question::Deals).collect())
}

fn filter(status: DealStatus, days: Days) -> DealFilter {
    DealFilter {
        status: Some(status),
        closing_from: Some(days.first),
        closing_to: Some(days.last),
        ..DealFilter::default()
    }
}

async fn groups(
    crm: &Crm,
    group_by: GroupBy,
    days: Days,
) -> Result<Vec<(DealStatus, DealTotal)>, ZohoError> {
    let group = match group_by {
        GroupBy::Stage => DealGroup::Stage,
        GroupBy::Owner => DealGroup::Owner,
        GroupBy::LeadSource => DealGroup::LeadSource,
        GroupBy::Type => DealGroup::Type,
        GroupBy::Account => DealGroup::Account,
        GroupBy::Month => return Ok(Vec::new()),
    };
    let mut totals = Vec::new();
    for status in [DealStatus::Won, DealStatus::Open] {
        if status == DealStatus::Won || group_by == GroupBy::Stage {
            let rows = crm.deal_totals(&filter(status, days), group).await?;
            totals.extend(rows.into_iter().map(|row| (status, row)));
        }
    }
    Ok(totals)
}

/// What Zoho gave.
struct Report {
    today: Date,
    days: Days,
    before: Option<Days>,
    group_by: GroupBy,
    /// In the order of [`questions`].
    figures: Vec<Figure>,
    groups: Vec<(DealStatus, DealTotal)>,
}

impl Report {
    fn shape(self, currency: &str, slice: Slice, now: Timestamp) -> Result<Output, ToolError> {
        let mut figures = self.figures.iter().copied();
        let won = figures.next().unwrap_or_default();
        let compared_with = self.before.map(|before| {
            let ahead = self.days.is_ahead(self.today);
            compare(won, figures.next().unwrap_or_default(), before, ahead)
        });
        let rest: Vec<Figure> = figures.collect();
        let mut groups = match self.group_by {
            GroupBy::Month => by_month(self.days, &rest, won.amount)?,
            _ => self
                .groups
                .into_iter()
                .map(|(status, row)| group(status, row, won.amount))
                .collect(),
        };
        let size = match self.group_by {
            // A month is no record.
            GroupBy::Month => groups.len(),
            _ => usize::try_from(slice.size).unwrap_or(usize::MAX),
        };
        let left_out = groups.split_off(size.min(groups.len()));
        let others =
            (!left_out.is_empty()).then(|| cents(left_out.iter().map(|group| group.amount).sum()));
        let open = rest.first().filter(|_| self.group_by == GroupBy::Stage);
        Ok(Output {
            period: self.days.shown(),
            running: self.days.is_running(self.today),
            currency: currency.to_owned(),
            revenue: cents(won.amount),
            won_deals: won.count,
            compared_with,
            groups,
            limited_to: slice.limited_to.filter(|_| !left_out.is_empty()),
            other_groups: others.map(|_| left_out.len() as u64),
            other_groups_amount: others,
            open_pipeline_amount: open.map(|open| cents(open.amount)),
            open_pipeline_deals: open.map(|open| open.count),
            as_of: now.to_string(),
            source: SOURCE,
        })
    }
}

fn compare(now: Figure, before: Figure, days: Days, ahead: bool) -> Comparison {
    Comparison {
        period: days.shown(),
        revenue: cents(before.amount),
        won_deals: before.count,
        change: cents(now.amount - before.amount),
        change_percent: change_percent(now.amount, before.amount).filter(|_| !ahead),
    }
}

fn group(status: DealStatus, row: DealTotal, revenue: f64) -> Group {
    let won = status == DealStatus::Won;
    Group {
        group: row
            .group
            .map(|group| group.as_str().to_owned())
            .unwrap_or_default(),
        id: row.group_id,
        status,
        amount: cents(row.amount),
        deals: row.deals,
        share_percent: percent(row.amount, revenue).filter(|_| won),
    }
}

fn by_month(days: Days, figures: &[Figure], revenue: f64) -> Result<Vec<Group>, ToolError> {
    let months = days.each_month()?;
    let groups = months
        .into_iter()
        .zip(figures)
        .map(|(month, figure)| Group {
            group: month.first.strftime("%Y-%m").to_string(),
            id: None,
            status: DealStatus::Won,
            amount: cents(figure.amount),
            deals: figure.count,
            share_percent: percent(figure.amount, revenue),
        });
    Ok(groups.collect())
}

fn tell(output: &Output) -> String {
    let currency = &output.currency;
    let mut text = Text::new(format!(
        "Revenue in {}{}: {} in {}.",
        output.period,
        if output.running {
            " (still running)"
        } else {
            ""
        },
        money(output.revenue, currency),
        count(output.won_deals, "won deal"),
    ));
    if let Some(before) = &output.compared_with {
        let percent = before
            .change_percent
            .map(|percent| format!(", {percent:+} %"));
        text.line(format!(
            "Before ({}): {}{}.",
            before.period,
            money(before.revenue, currency),
            percent.unwrap_or_default(),
        ));
    }
    if let Some((amount, deals)) = output.open_pipeline_amount.zip(output.open_pipeline_deals) {
        let amount = money(amount, currency);
        text.line(format!(
            "Open and due in the period: {amount} in {}.",
            count(deals, "deal")
        ));
    }
    for group in &output.groups {
        let name = crate::zoho::CrmText::clean(&group.group);
        let open = if group.status == DealStatus::Open {
            " (open)"
        } else {
            ""
        };
        let amount = money(group.amount, currency);
        let deals = count(group.deals, "deal");
        text.line(format!(
            "- {}{open}: {amount} in {deals}",
            brief_or_dash(Some(&name))
        ));
    }
    if let Some((groups, amount)) = output.other_groups.zip(output.other_groups_amount) {
        let amount = money(amount, currency);
        text.remark(&format!("{} not listed: {amount}.", count(groups, "group")));
    }
    text.finish()
}

#[cfg(test)]
mod tests;
