//! The stages of the pipeline, and what the deals in each add up to.

use super::{Context, ToolError};
use crate::zoho::{
    Closing, CrmText, Module, Stages,
    deals::{DealFilter, DealStatus, DealTotal},
    fields::{Choice, Field},
};

/// One stage.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) name: CrmText,
    /// Percent.
    pub(super) probability: Option<f64>,
    /// What the organisation's forecasts count it as.
    pub(super) category: Option<CrmText>,
    pub(super) status: DealStatus,
    pub(super) sum: Sum,
}

/// What deals add up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    pub(super) deals: u64,
    pub(super) amount: f64,
    /// Amounts by their probabilities; `None` where those are hidden.
    pub(super) weighted: Option<f64>,
}

impl Sum {
    pub(super) fn of<'a>(stages: impl IntoIterator<Item = &'a Stage>) -> Self {
        stages.into_iter().fold(Self::default(), |all, stage| Self {
            deals: all.deals + stage.sum.deals,
            amount: all.amount + stage.sum.amount,
            weighted: add(all.weighted, stage.sum.weighted),
        })
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            deals: 0,
            amount: 0.0,
            weighted: Some(0.0),
        }
    }
}

/// A sum, which is not known where one part is not.
pub(super) fn add(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.zip(other).map(|(one, other)| one + other)
}

/// The stage in use that is called so.
pub(super) fn named<'a>(stages: &'a Stages, name: &str) -> Result<&'a CrmText, ToolError> {
    stages.named(name).ok_or_else(|| unknown(stages))
}

/// The same, or one that deals have and that is no longer offered.
pub(super) fn held<'a>(stages: &'a Stages, name: &str) -> Result<&'a CrmText, ToolError> {
    stages.held(name).ok_or_else(|| unknown(stages))
}

fn unknown(stages: &Stages) -> ToolError {
    ToolError::UnknownStage {
        stages: stages.names().cloned().collect(),
    }
}

/// The stages with the deals that pass `filter`, in the order of the pipeline; behind them those that
/// deals have and the pipeline lacks.
pub(super) async fn stages(
    call: &Context<'_>,
    filter: &DealFilter,
) -> Result<Vec<Stage>, ToolError> {
    let (fields, closing, totals) = tokio::try_join!(
        call.crm.fields(Module::Deals),
        call.crm.closing(),
        call.crm.stage_totals(filter),
    )?;
    Ok(merge(&fields, &closing, totals))
}

fn merge(fields: &[Field], closing: &Closing, mut totals: Vec<DealTotal>) -> Vec<Stage> {
    let field = fields.iter().find(|field| field.name.as_str() == "Stage");
    let mut choices: Vec<&Choice> = field.iter().flat_map(|field| &field.choices).collect();
    choices.sort_by(|a, b| {
        let place = |choice: &Choice| choice.sequence_number.unwrap_or(f64::MAX);
        place(a).total_cmp(&place(b))
    });
    let mut stages = Vec::new();
    for choice in choices {
        let Some(name) = &choice.actual_value else {
            continue;
        };
        let at = totals
            .iter()
            .position(|total| total.group.as_ref() == Some(name));
        let total = at.map(|at| totals.swap_remove(at));
        if total.is_some() || choice.is_used() {
            stages.push(Stage {
                name: name.clone(),
                probability: choice.probability,
                category: choice.forecast_category.clone(),
                status: closing.status(name.as_str()),
                sum: total.map(sum).unwrap_or_default(),
            });
        }
    }
    stages.extend(totals.into_iter().map(|total| {
        let name = total.group.clone().unwrap_or_default();
        Stage {
            status: closing.status(name.as_str()),
            name,
            probability: None,
            category: None,
            sum: sum(total),
        }
    }));
    stages
}

fn sum(total: DealTotal) -> Sum {
    Sum {
        deals: total.deals,
        amount: total.amount,
        weighted: total.weighted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(stage: Option<&str>, deals: u64) -> DealTotal {
        DealTotal {
            group: stage.map(CrmText::clean),
            group_id: None,
            amount: 10.0,
            weighted: Some(1.0),
            deals,
        }
    }

    #[test]
    fn stages_stand_in_the_order_of_the_pipeline_and_none_is_lost() {
        let text = r#"[{"api_name":"Stage","pick_list_values":[
            {"actual_value":"Second","sequence_number":2,"probability":50},
            {"actual_value":"First","sequence_number":1},
            {"actual_value":"Gone","sequence_number":3,"type":"unused"},
            {"actual_value":"Closed Won","sequence_number":4,"type":"used"}]}]"#;
        let fields: Vec<Field> = serde_json::from_str(text).unwrap();
        let totals = vec![
            total(Some("Second"), 2),
            total(None, 3),
            total(Some("Old"), 4),
        ];
        let stages = merge(&fields, &Closing::default(), totals);
        let shown: Vec<_> = stages
            .iter()
            .map(|stage| (stage.name.as_str(), stage.sum.deals))
            .collect();
        assert_eq!(shown.len(), 5, "{shown:?}");
        assert_eq!(shown[..3], [("First", 0), ("Second", 2), ("Closed Won", 0)]);
        assert!(shown.contains(&("", 3)) && shown.contains(&("Old", 4)));
        assert_eq!(stages[2].status, DealStatus::Won);
        assert_eq!(Sum::of(&stages).deals, 9);
    }
}
