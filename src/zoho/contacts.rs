//! Contacts.

use super::{Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError};

/// A contact, with the fields that the tools show.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Contact {
    pub id: RecordId,
    pub full_name: Option<CrmText>,
    pub email: Option<CrmText>,
    pub phone: Option<CrmText>,
    pub mobile: Option<CrmText>,
    pub title: Option<CrmText>,
    pub department: Option<CrmText>,
    pub account: Option<Reference>,
    pub owner: Option<Reference>,
    pub lead_source: Option<CrmText>,
    pub created_time: Option<String>,
    pub modified_time: Option<String>,
    pub last_activity_time: Option<String>,
}

/// How contacts are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactSearch {
    /// Any searchable field has the word(s).
    Word(String),
    /// The e-mail address, whole or in part.
    Email(String),
    /// A phone number.
    Phone(String),
    /// First, last or full name.
    Name(String),
}

impl Crm {
    /// Searches contacts. Nothing found is an empty page.
    pub async fn search_contacts(
        &self,
        _by: &ContactSearch,
        _page: Page,
    ) -> Result<Listed<Contact>, ZohoError> {
        todo!()
    }

    /// One contact.
    pub async fn contact(&self, _id: &RecordId) -> Result<Contact, ZohoError> {
        todo!()
    }

    /// Contacts created in `[from, to)`, both days of the organisation's time zone.
    pub async fn count_contacts_created(
        &self,
        _from: jiff::civil::Date,
        _to: jiff::civil::Date,
    ) -> Result<u64, ZohoError> {
        todo!()
    }
}
