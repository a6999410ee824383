//! Deals: single, filtered, and summed up.

use super::{Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError};
use jiff::civil::Date;

/// A deal, with the fields that the tools show.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Deal {
    pub id: RecordId,
    pub name: Option<CrmText>,
    pub stage: Option<CrmText>,
    /// In the organisation's currency.
    pub amount: Option<f64>,
    /// Percent.
    pub probability: Option<f64>,
    pub closing_date: Option<String>,
    pub account: Option<Reference>,
    pub contact: Option<Reference>,
    pub owner: Option<Reference>,
    pub kind: Option<CrmText>,
    pub lead_source: Option<CrmText>,
    pub next_step: Option<CrmText>,
    pub created_time: Option<String>,
    pub modified_time: Option<String>,
    pub last_activity_time: Option<String>,
}

/// Which deals. Empty means all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DealFilter {
    pub status: Option<DealStatus>,
    pub stage: Option<String>,
    pub owner: Option<RecordId>,
    pub account: Option<RecordId>,
    /// Closing date, first day included.
    pub closing_from: Option<Date>,
    /// Closing date, last day included.
    pub closing_to: Option<Date>,
    pub created_from: Option<Date>,
    pub created_to: Option<Date>,
    pub min_amount: Option<f64>,
}

/// Whether a deal is still in play. The stages behind it are the default pipeline's.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DealStatus {
    Open,
    Won,
    Lost,
}

/// The order of a list of deals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DealOrder {
    /// Largest first.
    Amount,
    /// Earliest first.
    ClosingDate,
}

/// What totals are grouped by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DealGroup {
    Stage,
    Owner,
    LeadSource,
    Type,
    Account,
}

/// The sum over one group of deals.
#[derive(Clone, Debug, PartialEq)]
pub struct DealTotal {
    /// The group's value; `None` where the deals have none.
    pub group: Option<CrmText>,
    /// The id behind it, for owners and accounts.
    pub group_id: Option<RecordId>,
    pub amount: f64,
    pub deals: u64,
}

impl Crm {
    /// One deal.
    pub async fn deal(&self, _id: &RecordId) -> Result<Deal, ZohoError> {
        todo!()
    }

    /// Deals by filter.
    pub async fn deals(
        &self,
        _filter: &DealFilter,
        _order: DealOrder,
        _page: Page,
    ) -> Result<Listed<Deal>, ZohoError> {
        todo!()
    }

    /// Sum and number of all deals that pass the filter.
    pub async fn deal_total(&self, _filter: &DealFilter) -> Result<DealTotal, ZohoError> {
        todo!()
    }

    /// The same by group, largest amount first.
    pub async fn deal_totals(
        &self,
        _filter: &DealFilter,
        _group: DealGroup,
    ) -> Result<Vec<DealTotal>, ZohoError> {
        todo!()
    }
}
