//! Leads as answers show them.

use schemars::JsonSchema;
use serde::Serialize;

use super::split;
use crate::zoho::{CrmText, RecordId, leads};

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Lead {
    pub(in crate::tools) id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tools) full_name: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tools) company: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tools) status: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_source: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_activity_time: Option<String>,
}

impl From<leads::Lead> for Lead {
    fn from(row: leads::Lead) -> Self {
        let (owner, owner_id) = split(row.owner);
        Self {
            id: row.id,
            full_name: row.full_name,
            company: row.company,
            email: row.email,
            phone: row.phone,
            mobile: row.mobile,
            title: row.title,
            status: row.status,
            lead_source: row.lead_source,
            owner,
            owner_id,
            created_time: row.created_time,
            last_activity_time: row.last_activity_time,
        }
    }
}
