//! `update_deal_stage`: moves a deal to another stage of the pipeline, unless it was moved already.

use std::sync::OnceLock;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::digest,
    idempotency::Key,
    input::Line,
    made::change,
    once::{Once, Outcome, Receipt, once},
    stages::named,
    text::{Text, brief},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        CrmText, RecordId, Values, ZohoError,
        records::{Before, Changed},
    },
};

pub(super) struct UpdateDealStage;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    deal_id: RecordId,
    /// As the CRM calls it.
    stage: Line<120>,
    /// The stage that it has to be in; best what you last read.
    expected_stage: Option<Line<120>>,
    /// New for each write; repeats of it write once (24 hours).
    #[serde(skip_serializing)]
    idempotency_key: Option<Key>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    deal_id: RecordId,
    stage: CrmText,
    /// Where this call knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_stage: Option<CrmText>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_time: Option<String>,
    as_of: String,
}

impl Tool for UpdateDealStage {
    const NAME: &'static str = "update_deal_stage";
    const TITLE: &'static str = "Move a deal to another stage";
    const DESCRIPTION: &'static str = "Set the stage of a deal, which also sets its probability. \
        Fails, and says what the stage is now, when the deal is not in expected_stage or somebody \
        else changes it at the same time. Costs 2 API credits, 3 once an hour.";
    const EFFECT: Effect = Effect::Write;
    const OVERWRITES: bool = true;
    const CLASSES: Classes = &[
        ("deal_id", Class::Id),
        // Any text may come as a stage.
        ("stage", Class::Pii),
        ("expected_stage", Class::Pii),
        ("idempotency_key", Class::Pii),
    ];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let step = Step {
            input: &input,
            was: OnceLock::new(),
            stage: OnceLock::new(),
        };
        let receipt = once(call, input.idempotency_key.as_ref(), &step).await?;
        let name = input.stage.as_str();
        let stage = step.stage.into_inner();
        // A repeat writes nothing, and asks nobody either.
        let stage = stage.or_else(|| call.crm.known_stages().named(name).cloned());
        let output = Output {
            deal_id: receipt.id,
            stage: stage.unwrap_or_else(|| CrmText::clean(name)),
            previous_stage: step.was.into_inner(),
            outcome: receipt.outcome,
            modified_time: receipt.time,
            as_of: call.now.to_string(),
        };
        Ok(Answer {
            text: tell(&output),
            records: 1,
            output,
        })
    }
}

/// A deal on its way to a stage.
struct Step<'a> {
    input: &'a Input,
    /// The stage that it was moved from.
    was: OnceLock<CrmText>,
    /// The stage as deals hold it.
    stage: OnceLock<CrmText>,
}

impl Once for Step<'_> {
    const TOOL: &'static str = UpdateDealStage::NAME;
    const FIELDS: &'static [(&'static str, &'static str)] = &[("Stage", "stage")];
    const CREATES: bool = false;

    fn arguments(&self) -> [u8; 32] {
        digest(self.input)
    }

    async fn write(
        &self,
        call: &Context<'_>,
        since: Option<Timestamp>,
    ) -> Result<Receipt, ToolError> {
        let stages = call.crm.stages().await?;
        let stage = named(&stages, self.input.stage.as_str())?;
        let fields = in_stage(stage);
        // A tool writes once.
        let _ = self.stage.set(stage.clone());
        let deal = (Changed::Deals, &self.input.deal_id);
        let before = self.read(call).await?;
        let expected = self.input.expected_stage.as_ref();
        let is_expected = expected.is_none_or(|name| match named(&stages, name.as_str()) {
            Ok(stage) => before.holds(&in_stage(stage)),
            // Deals may be in a stage that is no longer in use.
            Err(_) => before
                .text("Stage")
                .is_some_and(|now| now.as_str() == name.as_str()),
        });
        if !is_expected && !before.holds(&fields) {
            return Err(changed(&before));
        }
        match change(call, deal, &fields, &before, since).await {
            Ok(receipt) => {
                if let (Outcome::Updated, Some(was)) = (receipt.outcome, before.text("Stage")) {
                    let _ = self.was.set(was);
                }
                Ok(receipt)
            }
            Err(ToolError::Zoho(ZohoError::Conflict { code }))
                if code.as_str() == "ALREADY_MODIFIED" =>
            {
                Err(changed(&self.read(call).await?))
            }
            Err(error) => Err(error),
        }
    }
}

impl Step<'_> {
    async fn read(&self, call: &Context<'_>) -> Result<Before, ToolError> {
        let id = &self.input.deal_id;
        let names = std::iter::once("Stage");
        Ok(call.crm.before(Changed::Deals, id, names).await?)
    }
}

fn in_stage(stage: &CrmText) -> Values {
    Values::default().with("Stage", stage.as_str())
}

fn changed(before: &Before) -> ToolError {
    let now = before.text("Stage").unwrap_or_default();
    ToolError::StageChanged { now }
}

fn tell(output: &Output) -> String {
    let stage = brief(&output.stage);
    let from = output.previous_stage.as_ref();
    let from = from.map_or(String::new(), |was| format!(" from {}", brief(was)));
    let remark = output.outcome.remark();
    let deal = &output.deal_id;
    Text::new(format!("Deal {deal}: stage {stage}{from}.{remark}")).finish()
}
