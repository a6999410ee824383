//! `get_forecast`: what a period has brought and may bring yet.

use jiff::{ToSpan as _, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    period::{Days, Period},
    record::{SOURCE, cents},
    stages::{self, Stage, Sum, add},
    text::{Text, brief_or_dash, count, money, weighed},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        CrmText, RecordId,
        deals::{DealFilter, DealStatus},
    },
};

pub(super) struct GetForecast;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// this_month, last_month (also _quarter, _year), next_quarter, last_30_days, last_90_days, YYYY, YYYY-Qn, YYYY-MM or YYYY-MM-DD..YYYY-MM-DD. Default this_quarter.
    period: Option<Period>,
    owner_id: Option<RecordId>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// Both days included.
    period: String,
    /// Won in the period.
    won: Part,
    /// Due in the period, by forecast category.
    open: Vec<Category>,
    /// Closing date passed; in open too.
    overdue: Part,
    /// Won, and the open amounts × probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_amount: Option<f64>,
    /// Won, and all that is open.
    best_case_amount: f64,
    currency: String,
    as_of: String,
    source: &'static str,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct Part {
    deals: u64,
    amount: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Category {
    /// Omitted ones count for nothing.
    category: CrmText,
    deals: u64,
    amount: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    weighted_amount: Option<f64>,
}

impl Tool for GetForecast {
    const NAME: &'static str = "get_forecast";
    const TITLE: &'static str = "Sales forecast";
    const DESCRIPTION: &'static str = "What closes in a period: won so far, open by forecast \
        category, overdue, and the sums to expect. Costs 2 to 4 API credits, \
        rarely 5 to 7.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[("period", Class::Public), ("owner_id", Class::Id)];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let org = call.crm.org().await?;
        let today = call.now.to_zoned(org.time_zone.clone()).date();
        let days = input.period.unwrap_or_default().days(today)?;
        let filter = DealFilter {
            owner: input.owner_id,
            closing_from: Some(days.first),
            closing_to: Some(days.last),
            ..DealFilter::default()
        };
        let (stages, overdue) = tokio::try_join!(
            stages::stages(call, &filter),
            overdue(call, &filter, days, today),
        )?;
        let output = shape(&stages, overdue, days, &org.currency, call.now);
        Ok(Answer {
            text: tell(&output),
            output,
            records: 0,
        })
    }
}

/// Open deals that should have closed by now; a period that has not begun has none.
async fn overdue(
    call: &Context<'_>,
    filter: &DealFilter,
    days: Days,
    today: Date,
) -> Result<Part, ToolError> {
    let yesterday = today.checked_sub(1.day()).unwrap_or(today);
    if yesterday < days.first {
        return Ok(Part {
            deals: 0,
            amount: 0.0,
        });
    }
    let filter = DealFilter {
        status: Some(DealStatus::Open),
        closing_to: Some(days.last.min(yesterday)),
        ..filter.clone()
    };
    let total = call.crm.deal_total(&filter).await?;
    Ok(Part {
        deals: total.deals,
        amount: cents(total.amount),
    })
}

fn shape(
    stages: &[Stage],
    overdue: Part,
    days: Days,
    currency: &str,
    now: jiff::Timestamp,
) -> Output {
    let of = |status| stages.iter().filter(move |stage| stage.status == status);
    let won = Sum::of(of(DealStatus::Won));
    let counted = Sum::of(of(DealStatus::Open).filter(|stage| !is_omitted(stage)));
    Output {
        period: days.shown(),
        won: Part {
            deals: won.deals,
            amount: cents(won.amount),
        },
        open: categories(of(DealStatus::Open)),
        overdue,
        expected_amount: counted
            .weighted
            .map(|weighted| cents(won.amount + weighted)),
        best_case_amount: cents(won.amount + counted.amount),
        currency: currency.to_owned(),
        as_of: now.to_string(),
        source: SOURCE,
    }
}

fn is_omitted(stage: &Stage) -> bool {
    let category = stage.category.as_ref();
    category.is_some_and(|category| category.as_str() == "Omitted")
}

/// In the order in which the pipeline has them.
fn categories<'a>(stages: impl Iterator<Item = &'a Stage>) -> Vec<Category> {
    let mut categories: Vec<Category> = Vec::new();
    for stage in stages {
        let name = stage.category.clone().unwrap_or_default();
        let known = categories.iter().position(|known| known.category == name);
        match known.and_then(|at| categories.get_mut(at)) {
            Some(category) => {
                category.deals += stage.sum.deals;
                category.amount = cents(category.amount + stage.sum.amount);
                category.weighted_amount =
                    add(category.weighted_amount, stage.sum.weighted).map(cents);
            }
            None => categories.push(Category {
                category: name,
                deals: stage.sum.deals,
                amount: cents(stage.sum.amount),
                weighted_amount: stage.sum.weighted.map(cents),
            }),
        }
    }
    categories
}

fn tell(output: &Output) -> String {
    let shown = |amount| money(amount, &output.currency);
    let mut text = Text::new(format!(
        "Forecast for {}: {} at best, expected {}.",
        output.period,
        shown(output.best_case_amount),
        weighed(output.expected_amount, &output.currency),
    ));
    let part = |part: Part| format!("{} for {}", count(part.deals, "deal"), shown(part.amount));
    text.line(format!("- won: {}", part(output.won)));
    for category in &output.open {
        text.line(format!(
            "- open, {}: {} for {}{}",
            brief_or_dash(Some(&category.category)),
            count(category.deals, "deal"),
            shown(category.amount),
            category
                .weighted_amount
                .map_or(String::new(), |amount| format!(
                    ", weighted {}",
                    shown(amount)
                )),
        ));
    }
    if output.overdue.deals > 0 {
        text.line(format!("- of these overdue: {}", part(output.overdue)));
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tools::record::tests::assert_fits, zoho::Closing};

    fn stage(name: &str, category: &str, amount: f64, weighted: f64) -> Stage {
        Stage {
            name: CrmText::clean(name),
            probability: None,
            category: Some(CrmText::clean(category)),
            status: Closing::default().status(name),
            sum: Sum {
                deals: 1,
                amount,
                weighted: Some(weighted),
            },
        }
    }

    #[test]
    fn what_is_won_counts_whole_and_what_is_omitted_or_lost_not_at_all() {
        let stages = [
            stage("Talking", "Pipeline", 100.0, 10.0),
            stage("Agreed", "Commit", 200.0, 180.0),
            stage("Written", "Commit", 50.0, 45.0),
            stage("Resting", "Omitted", 1000.0, 500.0),
            stage("Closed Won", "Closed", 300.0, 300.0),
            stage("Closed Lost", "Omitted", 7000.0, 0.0),
        ];
        let today = jiff::civil::date(2026, 5, 1);
        let days = Period::default().days(today).unwrap();
        let overdue = Part {
            deals: 1,
            amount: 50.0,
        };
        let output = shape(&stages, overdue, days, "EUR", jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(output.expected_amount, Some(300.0 + 235.0));
        assert_eq!(output.best_case_amount, 300.0 + 350.0);
        let commit = &output.open[1];
        assert_eq!((commit.deals, commit.amount), (2, 250.0));
        assert_fits("get_forecast", &output);
        let told = tell(&output);
        assert!(
            told.contains("of these overdue: 1 deal for EUR 50.00"),
            "{told}"
        );
    }
}
