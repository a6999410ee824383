//! Contacts.

use jiff::{ToSpan as _, civil::Date};
use serde::Deserialize;

use super::{
    Crm, CrmText, Listed, Module, Page, RecordId, Reference, ZohoError,
    coql::{Column, Condition, Literal, Select},
    refused,
    row::{count, lookup, moment},
    search::{self, Search},
};

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

impl Crm {
    /// Searches contacts. Nothing found is an empty page; [`ZohoError::Hidden`] where nothing could be.
    pub async fn search_contacts(
        &self,
        by: &Search,
        page: Page,
    ) -> Result<Listed<Contact>, ZohoError> {
        let wanted = by.wanted(search::person)?;
        let search = self.search("Contacts/search", wanted, FIELDS).await?;
        self.found::<Row, Contact>((Module::Contacts, by), &search, page)
            .await
    }

    /// One contact.
    pub async fn contact(&self, id: &RecordId) -> Result<Contact, ZohoError> {
        let record = self.record("Contacts/{id}", "Contacts", id, FIELDS).await?;
        self.one::<Row, Contact>(&record).await
    }

    /// One contact with all that is worth knowing.
    pub async fn contact_details(&self, id: &RecordId) -> Result<Details, ZohoError> {
        let fields = format!("{FIELDS},{MORE_FIELDS}");
        let record = self
            .record("Contacts/{id}", "Contacts", id, &fields)
            .await?;
        self.one::<DetailRow, Details>(&record).await
    }

    /// Contacts created in `[from, to)`, both days of the organisation's time zone.
    pub async fn count_contacts_created(&self, from: Date, to: Date) -> Result<u64, ZohoError> {
        if from >= to {
            return Ok(0);
        }
        let created = self.between("Created_Time", from, to).await?;
        self.count("Contacts", vec![created]).await
    }

    /// Times in `[from, to)`, both days of the organisation's time zone.
    pub(super) async fn between(
        &self,
        field: &'static str,
        from: Date,
        to: Date,
    ) -> Result<Condition, ZohoError> {
        let org = self.org().await?;
        let start = |day: Date| {
            day.to_zoned(org.time_zone.clone())
                .map_err(|_| refused(field))
        };
        // Zoho's times have whole seconds, and `between` includes both ends.
        let last = start(to)?
            .checked_sub(1.second())
            .map_err(|_| refused(field))?;
        Ok(Condition::Between(
            field.into(),
            Literal::Moment(start(from)?),
            Literal::Moment(last),
        ))
    }

    /// How many records of a module meet all conditions.
    pub async fn count_of(&self, module: Module, filter: Vec<Condition>) -> Result<u64, ZohoError> {
        self.count(module.name(), filter).await
    }

    /// How many records there are. A query, since the statistics of `actions/count` lag behind.
    pub(super) async fn count(
        &self,
        from: &'static str,
        filter: Vec<Condition>,
    ) -> Result<u64, ZohoError> {
        #[derive(Deserialize)]
        struct Total {
            #[serde(alias = "COUNT(id)", deserialize_with = "count")]
            total: u64,
        }
        let query = Select {
            columns: vec![Column::Count { alias: "total" }],
            from,
            filter,
            group: &[],
            order: None,
            offset: 0,
            limit: 1,
        };
        let asked = self.query(query).await?;
        let listed = self.list::<Total, Total>(&asked).await?;
        Ok(listed.rows.first().map_or(0, |row| row.total))
    }
}

/// What a contact has besides.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct More {
    #[serde(rename = "Secondary_Email")]
    pub secondary_email: Option<CrmText>,
    #[serde(rename = "Home_Phone")]
    pub home_phone: Option<CrmText>,
    #[serde(rename = "Other_Phone")]
    pub other_phone: Option<CrmText>,
    #[serde(rename = "Email_Opt_Out")]
    pub email_opt_out: Option<bool>,
    #[serde(rename = "Reporting_To", default, deserialize_with = "lookup")]
    pub reports_to: Option<Reference>,
    #[serde(rename = "Mailing_Street")]
    pub street: Option<CrmText>,
    #[serde(rename = "Mailing_City")]
    pub city: Option<CrmText>,
    #[serde(rename = "Mailing_State")]
    pub state: Option<CrmText>,
    #[serde(rename = "Mailing_Zip")]
    pub zip: Option<CrmText>,
    #[serde(rename = "Mailing_Country")]
    pub country: Option<CrmText>,
    #[serde(rename = "Description")]
    pub description: Option<CrmText>,
}

/// A contact, and what it has besides.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Details {
    pub contact: Contact,
    pub more: More,
}

#[derive(Deserialize)]
struct DetailRow {
    #[serde(flatten)]
    contact: Row,
    #[serde(flatten)]
    more: More,
}

impl From<DetailRow> for Details {
    fn from(row: DetailRow) -> Self {
        Self {
            contact: row.contact.into(),
            more: row.more,
        }
    }
}

/// A contact as Zoho writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Row {
    #[serde(rename = "id")]
    id: RecordId,
    #[serde(rename = "Full_Name")]
    full_name: Option<CrmText>,
    email: Option<CrmText>,
    phone: Option<CrmText>,
    mobile: Option<CrmText>,
    title: Option<CrmText>,
    department: Option<CrmText>,
    #[serde(rename = "Account_Name", default, deserialize_with = "lookup")]
    account: Option<Reference>,
    #[serde(default, deserialize_with = "lookup")]
    owner: Option<Reference>,
    #[serde(rename = "Lead_Source")]
    lead_source: Option<CrmText>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    created_time: Option<String>,
    #[serde(rename = "Modified_Time", default, deserialize_with = "moment")]
    modified_time: Option<String>,
    #[serde(rename = "Last_Activity_Time", default, deserialize_with = "moment")]
    last_activity_time: Option<String>,
}

impl From<Row> for Contact {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            full_name: row.full_name,
            email: row.email,
            phone: row.phone,
            mobile: row.mobile,
            title: row.title,
            department: row.department,
            account: row.account,
            owner: row.owner,
            lead_source: row.lead_source,
            created_time: row.created_time,
            modified_time: row.modified_time,
            last_activity_time: row.last_activity_time,
        }
    }
}

pub(super) const FIELDS: &str = "id,Full_Name,Email,Phone,Mobile,Title,Department,Account_Name,Owner,\
    Lead_Source,Created_Time,Modified_Time,Last_Activity_Time";
const MORE_FIELDS: &str = "Secondary_Email,Home_Phone,Other_Phone,Email_Opt_Out,Reporting_To,\
    Mailing_Street,Mailing_City,Mailing_State,Mailing_Zip,Mailing_Country,Description";
