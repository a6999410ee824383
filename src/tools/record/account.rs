//! Accounts as answers show them.

use schemars::JsonSchema;
use serde::Serialize;

use super::{cents, split};
use crate::zoho::{CrmText, RecordId, accounts};

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Account {
    pub(in crate::tools) id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tools) name: Option<CrmText>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tools) industry: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    website: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tools) city: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    employees: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annual_revenue: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_activity_time: Option<String>,
}

impl From<accounts::Account> for Account {
    fn from(row: accounts::Account) -> Self {
        let (parent, parent_id) = split(row.parent);
        let (owner, owner_id) = split(row.owner);
        Self {
            id: row.id,
            name: row.name,
            kind: row.kind,
            industry: row.industry,
            phone: row.phone,
            website: row.website,
            city: row.city,
            country: row.country,
            employees: row.employees.map(cents),
            annual_revenue: row.annual_revenue.map(cents),
            parent,
            parent_id,
            owner,
            owner_id,
            created_time: row.created_time,
            last_activity_time: row.last_activity_time,
        }
    }
}
