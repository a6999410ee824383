//! Which deals a call is about: the filters that all tools on deals take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context, ToolError,
    input::{Amount, Day, Line},
    stages::held,
};
use crate::{
    audit::{Class, Classes},
    zoho::{
        RecordId,
        deals::{DealFilter, DealStatus},
    },
};

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filters {
    /// Default open, or all where a stage is given.
    status: Option<Status>,
    /// As spelled in the CRM.
    stage: Option<Line<120>>,
    owner_id: Option<RecordId>,
    account_id: Option<RecordId>,
    /// Included.
    closing_from: Option<Day>,
    /// Included.
    closing_to: Option<Day>,
    min_amount: Option<Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Open,
    Won,
    Lost,
    All,
}

impl Filters {
    /// How each filter is written to the audit log.
    pub(super) const CLASSES: Classes = &[
        ("status", Class::Public),
        // A stage is any text: so the log correlates it and does not show it.
        ("stage", Class::Pii),
        ("owner_id", Class::Id),
        ("account_id", Class::Id),
        ("closing_from", Class::Public),
        ("closing_to", Class::Public),
        ("min_amount", Class::Public),
    ];

    /// What is asked of Zoho, with the stage as Zoho calls it.
    pub(super) async fn filter(&self, call: &Context<'_>) -> Result<DealFilter, ToolError> {
        let mut filter = self.unresolved()?;
        if let Some(name) = filter.stage.take() {
            let stages = call.crm.stages().await?;
            filter.stage = Some(held(&stages, &name)?.as_str().to_owned());
        }
        Ok(filter)
    }

    pub(super) fn unresolved(&self) -> Result<DealFilter, ToolError> {
        let days = self.closing_from.zip(self.closing_to);
        if days.is_some_and(|(from, to)| from > to) {
            return Err(ToolError::Argument {
                argument: "filters.closing_from",
                problem: "it is after closing_to; swap them",
            });
        }
        let default = if self.stage.is_some() {
            Status::All
        } else {
            Status::Open
        };
        let status = match self.status.unwrap_or(default) {
            Status::Open => Some(DealStatus::Open),
            Status::Won => Some(DealStatus::Won),
            Status::Lost => Some(DealStatus::Lost),
            Status::All => None,
        };
        Ok(DealFilter {
            status,
            stage: self.stage.as_ref().map(|stage| stage.as_str().to_owned()),
            owner: self.owner_id.clone(),
            account: self.account_id.clone(),
            closing_from: self.closing_from.map(Day::get),
            closing_to: self.closing_to.map(Day::get),
            min_amount: self.min_amount.map(Amount::get),
            ..DealFilter::default()
        })
    }
}
