//! `get_deal_summary`: one deal and how it stands, or what a set of deals adds up to.

mod deal;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::{self, Binding, CursorText},
    deal_filter::Filters,
    input::Limit,
    list_deals::{NOTHING, line},
    record::{Deal, SOURCE, cents},
    slice::Slice,
    text::{Text, brief_or_dash, count, money, weighed},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        CrmText, Listed, RecordId, deals,
        deals::{DealOrder, DealTotal},
    },
};

pub(super) struct GetDealSummary;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// One deal. Not with filters.
    deal_id: Option<RecordId>,
    /// Default all open ones.
    filters: Option<Filters>,
    /// Deals to list, default 10.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The deal of deal_id, or the largest.
    items: Vec<Deal>,
    count: usize,
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<u32>,
    /// Of deal_id.
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<deal::Standing>,
    /// Of all, listed or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
    currency: String,
    as_of: String,
    source: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Totals {
    deals: u64,
    amount: f64,
    /// Amounts × probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    weighted_amount: Option<f64>,
    by_stage: Vec<Stage>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Stage {
    /// Empty: the deals have none.
    stage: CrmText,
    amount: f64,
    deals: u64,
}

impl Tool for GetDealSummary {
    const NAME: &'static str = "get_deal_summary";
    const TITLE: &'static str = "Deal summary";
    const DESCRIPTION: &'static str = "With deal_id: one deal, its weighted amount, age, whether \
        it is overdue or stalled and why, and its last notes. Otherwise totals of all deals that \
        pass the filters, by stage, and the largest ones. Costs 2 to 4 API credits, rarely 5 to 7.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("deal_id", Class::Id),
        ("filters", Class::Object(Filters::CLASSES)),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        match &input.deal_id {
            Some(_)
                if input.filters.is_some() || input.cursor.is_some() || input.limit.is_some() =>
            {
                Err(ToolError::Argument {
                    argument: "deal_id",
                    problem: "it stands alone; leave out filters, limit and cursor, or deal_id",
                })
            }
            Some(id) => deal::answer(call, id).await,
            None => sum_up(call, &input).await,
        }
    }
}

async fn sum_up(call: &Context<'_>, input: &Input) -> Result<Answer<Output>, ToolError> {
    let slice = Slice::new(call, input.limit, 10);
    let binding = Binding::new(GetDealSummary::NAME, input, slice.size);
    let page = cursor::page(&binding, input.cursor.as_ref())?;
    let filter = match &input.filters {
        Some(filters) => filters.filter(call).await?,
        None => Filters::default().filter(call).await?,
    };
    let org = call.crm.org().await?;
    let (stages, listed) = tokio::try_join!(
        call.crm.stage_totals(&filter),
        call.crm.deals(&filter, DealOrder::Amount, slice.page(page)),
    )?;
    let found = Found { stages, listed };
    let output = found.shape(&binding, page, slice, &org.currency, call.now);
    Ok(Answer {
        text: tell(&output),
        records: output.items.len() as u64,
        output,
    })
}

/// What Zoho gave.
struct Found {
    stages: Vec<DealTotal>,
    listed: Listed<deals::Deal>,
}

impl Found {
    fn shape(
        self,
        binding: &Binding,
        page: u32,
        slice: Slice,
        currency: &str,
        now: Timestamp,
    ) -> Output {
        let more = self.listed.more;
        let mut rows = self.listed.rows;
        rows.truncate(usize::try_from(slice.size).unwrap_or(usize::MAX));
        let items: Vec<Deal> = rows.into_iter().map(Deal::from).collect();
        let all = &self.stages;
        let amount = all.iter().map(|stage| stage.amount).sum();
        let weighted: Option<f64> = all.iter().map(|stage| stage.weighted).sum();
        let deals = all.iter().map(|stage| stage.deals).sum();
        let by_stage = self
            .stages
            .into_iter()
            .take(MOST_STAGES)
            .map(|stage| Stage {
                stage: stage.group.unwrap_or_default(),
                amount: cents(stage.amount),
                deals: stage.deals,
            });
        let goes_on = more && u64::from(page + 1) * u64::from(slice.size) <= MOST_LISTED;
        Output {
            count: items.len(),
            items,
            more,
            cursor: goes_on.then(|| binding.cursor(&(page + 1).to_string())),
            limited_to: slice.limited_to.filter(|_| more),
            standing: None,
            totals: Some(Totals {
                deals,
                amount: cents(amount),
                weighted_amount: weighted.map(cents),
                by_stage: by_stage.collect(),
            }),
            currency: currency.to_owned(),
            as_of: now.to_string(),
            source: SOURCE,
        }
    }
}

fn tell(output: &Output) -> String {
    let currency = &output.currency;
    let shown = |amount| money(amount, currency);
    let mut text = Text::new(match &output.totals {
        Some(totals) => format!(
            "{} for {} in all.",
            count(totals.deals, "deal"),
            shown(totals.amount)
        ),
        None => count(output.items.len() as u64, "deal"),
    });
    if let Some(totals) = &output.totals {
        text.line(format!(
            "Weighted by probability: {}.",
            weighed(totals.weighted_amount, currency)
        ));
        for stage in &totals.by_stage {
            let (name, deals) = (
                brief_or_dash(Some(&stage.stage)),
                count(stage.deals, "deal"),
            );
            text.line(format!("- {name}: {} in {deals}", shown(stage.amount)));
        }
    }
    if !output.items.is_empty() {
        text.line("Largest:");
    }
    for deal in &output.items {
        text.line(format!("- {}", line(deal, currency)));
    }
    if output.totals.as_ref().is_some_and(|all| all.deals == 0) {
        text.remark(NOTHING);
    }
    if let Some(rows) = output.limited_to {
        text.remark(&format!("This client's role allows {rows} rows an answer."));
    }
    if output.cursor.is_some() {
        text.remark("Pass `cursor` with the same arguments for more deals.");
    }
    text.finish()
}

/// A query reaches 100,000 rows.
const MOST_LISTED: u64 = 100_000;
/// Of a pipeline; there are hardly more than ten.
const MOST_STAGES: usize = 50;

#[cfg(test)]
mod tests;
