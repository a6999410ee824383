//! Leads: people who may become customers.

use serde::Deserialize;

use super::{
    Crm, CrmText, Listed, Module, Page, RecordId, Reference, ZohoError,
    row::{lookup, moment},
    search::{self, Search},
};

/// A lead, with the fields that the tools show.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Lead {
    #[serde(rename = "id")]
    pub id: RecordId,
    #[serde(rename = "Full_Name")]
    pub full_name: Option<CrmText>,
    pub company: Option<CrmText>,
    pub email: Option<CrmText>,
    pub phone: Option<CrmText>,
    pub mobile: Option<CrmText>,
    #[serde(rename = "Designation")]
    pub title: Option<CrmText>,
    #[serde(rename = "Lead_Status")]
    pub status: Option<CrmText>,
    #[serde(rename = "Lead_Source")]
    pub lead_source: Option<CrmText>,
    #[serde(default, deserialize_with = "lookup")]
    pub owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
    #[serde(rename = "Last_Activity_Time", default, deserialize_with = "moment")]
    pub last_activity_time: Option<String>,
}

impl Crm {
    /// Searches leads that are not converted. Nothing found is an empty page; [`ZohoError::Hidden`] where
    /// nothing could be.
    pub async fn search_leads(&self, by: &Search, page: Page) -> Result<Listed<Lead>, ZohoError> {
        let wanted = by.wanted(search::person)?;
        let search = self.search("Leads/search", wanted, FIELDS).await?;
        self.found::<Lead, Lead>((Module::Leads, by), &search, page)
            .await
    }
}

const FIELDS: &str = "id,Full_Name,Company,Email,Phone,Mobile,Designation,Lead_Status,Lead_Source,\
    Owner,Created_Time,Last_Activity_Time";
