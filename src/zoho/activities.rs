//! What happened around a contact: tasks, calls, events, e-mails, deals.

use super::{Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError, deals::Deal};
use jiff::civil::Date;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Task {
    pub id: RecordId,
    pub subject: Option<CrmText>,
    pub status: Option<CrmText>,
    pub priority: Option<CrmText>,
    pub due_date: Option<String>,
    pub closed_time: Option<String>,
    pub description: Option<CrmText>,
    pub owner: Option<Reference>,
    pub created_time: Option<String>,
    pub modified_time: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Call {
    pub id: RecordId,
    pub subject: Option<CrmText>,
    pub direction: Option<CrmText>,
    pub start_time: Option<String>,
    pub duration_seconds: Option<u64>,
    pub result: Option<CrmText>,
    pub description: Option<CrmText>,
    pub owner: Option<Reference>,
    pub created_time: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Event {
    pub id: RecordId,
    pub title: Option<CrmText>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub venue: Option<CrmText>,
    pub description: Option<CrmText>,
    pub owner: Option<Reference>,
    pub created_time: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Email {
    pub id: CrmText,
    pub subject: Option<CrmText>,
    pub from: Option<CrmText>,
    pub time: Option<String>,
    pub sent: Option<bool>,
}

impl Crm {
    /// Tasks of a contact.
    pub async fn tasks_of_contact(
        &self,
        _id: &RecordId,
        _page: Page,
    ) -> Result<Listed<Task>, ZohoError> {
        todo!()
    }

    /// Calls of a contact.
    pub async fn calls_of_contact(
        &self,
        _id: &RecordId,
        _page: Page,
    ) -> Result<Listed<Call>, ZohoError> {
        todo!()
    }

    /// Meetings of a contact.
    pub async fn events_of_contact(
        &self,
        _id: &RecordId,
        _page: Page,
    ) -> Result<Listed<Event>, ZohoError> {
        todo!()
    }

    /// Deals of a contact.
    pub async fn deals_of_contact(
        &self,
        _id: &RecordId,
        _page: Page,
    ) -> Result<Listed<Deal>, ZohoError> {
        todo!()
    }

    /// The last e-mails of a contact (Zoho gives ten at a time), without bodies.
    pub async fn emails_of_contact(&self, _id: &RecordId) -> Result<Listed<Email>, ZohoError> {
        todo!()
    }

    /// Tasks that are not completed and were due before `today`.
    pub async fn count_overdue_tasks(&self, _today: Date) -> Result<u64, ZohoError> {
        todo!()
    }
}
