//! Accounts: the companies.

use serde::Deserialize;

use super::{
    Crm, CrmText, Listed, Module, Page, RecordId, Reference, ZohoError,
    contacts::{self, Contact},
    row::{lookup, moment, number},
    search::{self, Search},
};

/// An account, with the fields that the tools show.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Account {
    #[serde(rename = "id")]
    pub id: RecordId,
    #[serde(rename = "Account_Name")]
    pub name: Option<CrmText>,
    #[serde(rename = "Account_Type")]
    pub kind: Option<CrmText>,
    pub industry: Option<CrmText>,
    pub phone: Option<CrmText>,
    pub website: Option<CrmText>,
    #[serde(rename = "Billing_City")]
    pub city: Option<CrmText>,
    #[serde(rename = "Billing_Country")]
    pub country: Option<CrmText>,
    #[serde(default, deserialize_with = "number")]
    pub employees: Option<f64>,
    /// In the organisation's currency.
    #[serde(rename = "Annual_Revenue", default, deserialize_with = "number")]
    pub annual_revenue: Option<f64>,
    #[serde(rename = "Parent_Account", default, deserialize_with = "lookup")]
    pub parent: Option<Reference>,
    #[serde(default, deserialize_with = "lookup")]
    pub owner: Option<Reference>,
    pub description: Option<CrmText>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
    #[serde(rename = "Last_Activity_Time", default, deserialize_with = "moment")]
    pub last_activity_time: Option<String>,
}

impl Crm {
    /// Searches accounts. Nothing found is an empty page; [`ZohoError::Hidden`] where nothing could be.
    pub async fn search_accounts(
        &self,
        by: &Search,
        page: Page,
    ) -> Result<Listed<Account>, ZohoError> {
        let wanted = by.wanted(search::company)?;
        let search = self.search("Accounts/search", wanted, FIELDS).await?;
        self.found::<Account, Account>((Module::Accounts, by), &search, page)
            .await
    }

    /// One account.
    pub async fn account(&self, id: &RecordId) -> Result<Account, ZohoError> {
        let record = self.record("Accounts/{id}", "Accounts", id, FIELDS).await?;
        self.one::<Account, Account>(&record).await
    }

    /// The contacts of an account.
    pub async fn contacts_of_account(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Contact>, ZohoError> {
        let route = "Accounts/{id}/Contacts";
        let account = ("Accounts", id);
        let list = self
            .related(route, account, "Contacts", Some(contacts::FIELDS))
            .await?;
        self.page_of::<contacts::Row, Contact>(Module::Contacts, &list, page)
            .await
    }
}

const FIELDS: &str = "id,Account_Name,Account_Type,Industry,Phone,Website,Billing_City,\
    Billing_Country,Employees,Annual_Revenue,Parent_Account,Owner,Description,Created_Time,\
    Last_Activity_Time";
