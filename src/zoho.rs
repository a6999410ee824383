//! The client of Zoho CRM: what one caller may see of it, for the length of one call.

pub mod activities;
pub mod client;
pub mod contacts;
pub mod coql;
pub mod criteria;
pub mod deals;
pub mod error;
pub mod id;
pub mod notes;
pub mod org;
pub mod retry;
pub mod text;
pub mod token;

pub use client::{Config, Credentials, Crm, DataCenter, Listed, Page, Scope, Status, Zoho};
pub use error::ZohoError;
pub use id::RecordId;
pub use text::CrmText;

/// A lookup to another record, or a user.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Reference {
    /// The record's id.
    pub id: RecordId,
    /// Its name, where Zoho gave one.
    pub name: Option<CrmText>,
}
