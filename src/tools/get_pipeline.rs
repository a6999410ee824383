//! `get_pipeline`: the open deals by stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    period::Period,
    record::{SOURCE, cents},
    stages::{self, Sum},
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

pub(super) struct GetPipeline;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    owner_id: Option<RecordId>,
    /// Only deals that close in it: this_month, last_month (also _quarter, _year), next_quarter, last_30_days, last_90_days, YYYY, YYYY-Qn, YYYY-MM or YYYY-MM-DD..YYYY-MM-DD. Default all.
    closing: Option<Period>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// In the order of the pipeline.
    stages: Vec<Stage>,
    deals: u64,
    amount: f64,
    /// Amounts × probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    weighted_amount: Option<f64>,
    currency: String,
    as_of: String,
    source: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Stage {
    /// Empty: the deals have none.
    stage: CrmText,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast_category: Option<CrmText>,
    deals: u64,
    amount: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    weighted_amount: Option<f64>,
}

impl Tool for GetPipeline {
    const NAME: &'static str = "get_pipeline";
    const TITLE: &'static str = "Pipeline";
    const DESCRIPTION: &'static str = "Open deals by stage: how many, for how much, and weighted by \
        probability; with the stages that have none. Costs 1 to 3 API \
        credits, rarely 4 to 6.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[("owner_id", Class::Id), ("closing", Class::Public)];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let org = call.crm.org().await?;
        let today = call.now.to_zoned(org.time_zone.clone()).date();
        let days = input.closing.map(|closing| closing.days(today));
        let days = days.transpose()?;
        let filter = DealFilter {
            status: Some(DealStatus::Open),
            owner: input.owner_id,
            closing_from: days.map(|days| days.first),
            closing_to: days.map(|days| days.last),
            ..DealFilter::default()
        };
        let stages = stages::stages(call, &filter).await?;
        let output = shape(stages, &org.currency, call.now);
        Ok(Answer {
            text: tell(&output),
            output,
            records: 0,
        })
    }
}

/// All open deals add up, also those of stages that are not listed.
fn shape(mut stages: Vec<stages::Stage>, currency: &str, now: jiff::Timestamp) -> Output {
    stages.retain(|stage| stage.status == DealStatus::Open);
    let all = Sum::of(&stages);
    Output {
        stages: stages
            .into_iter()
            .take(MOST_STAGES)
            .map(Stage::from)
            .collect(),
        deals: all.deals,
        amount: cents(all.amount),
        weighted_amount: all.weighted.map(cents),
        currency: currency.to_owned(),
        as_of: now.to_string(),
        source: SOURCE,
    }
}

impl From<stages::Stage> for Stage {
    fn from(stage: stages::Stage) -> Self {
        Self {
            stage: stage.name,
            probability: stage.probability.map(cents),
            forecast_category: stage.category,
            deals: stage.sum.deals,
            amount: cents(stage.sum.amount),
            weighted_amount: stage.sum.weighted.map(cents),
        }
    }
}

fn tell(output: &Output) -> String {
    let shown = |amount| money(amount, &output.currency);
    let mut text = Text::new(format!(
        "{} for {}, weighted by probability {}.",
        count(output.deals, "open deal"),
        shown(output.amount),
        weighed(output.weighted_amount, &output.currency),
    ));
    for stage in &output.stages {
        text.line(format!(
            "- {}: {} for {}",
            brief_or_dash(Some(&stage.stage)),
            count(stage.deals, "deal"),
            shown(stage.amount),
        ));
    }
    text.finish()
}

/// Of a pipeline; there are hardly more than ten.
const MOST_STAGES: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_are_not_listed_count_in_the_sums() {
        let stage = |n, status| stages::Stage {
            name: CrmText::clean(&format!("Stage {n}")),
            probability: None,
            category: None,
            status,
            sum: Sum {
                deals: 1,
                amount: 10.0,
                weighted: Some(5.0),
            },
        };
        let open = (0..60).map(|n| stage(n, DealStatus::Open));
        let all = open.chain([stage(60, DealStatus::Won)]).collect();
        let output = shape(all, "EUR", jiff::Timestamp::UNIX_EPOCH);
        assert_eq!((output.stages.len(), output.deals), (50, 60));
        assert_eq!(
            (output.amount, output.weighted_amount),
            (600.0, Some(300.0))
        );
    }
}
