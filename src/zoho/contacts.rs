//! Contacts.

use jiff::{ToSpan as _, civil::Date};
use serde::Deserialize;

use super::{
    Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError,
    coql::{Column, Condition, Literal, Select},
    criteria::{Criteria, Field, Operator},
    refused,
    row::{count, lookup, moment},
    scope::Wanted,
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
        by: &ContactSearch,
        page: Page,
    ) -> Result<Listed<Contact>, ZohoError> {
        let search = self.search("Contacts/search", by.wanted()?, FIELDS).await?;
        self.page::<Row, Contact>(&search, page).await
    }

    /// One contact.
    pub async fn contact(&self, id: &RecordId) -> Result<Contact, ZohoError> {
        let record = self.record("Contacts/{id}", "Contacts", id, FIELDS).await?;
        self.one::<Row, Contact>(&record).await
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
            field,
            Literal::Moment(start(from)?),
            Literal::Moment(last),
        ))
    }

    /// How many records there are. A query, since the statistics of `actions/count` lag behind.
    pub(super) async fn count(
        &self,
        from: &'static str,
        filter: Vec<Condition>,
    ) -> Result<u64, ZohoError> {
        #[derive(Deserialize)]
        struct Total {
            #[serde(alias = "COUNT(id)", default, deserialize_with = "count")]
            total: u64,
        }
        let query = Select {
            columns: vec![Column::Count { alias: "total" }],
            from,
            filter,
            group: None,
            order: None,
            offset: 0,
            limit: 1,
        };
        let asked = self.query(query).await?;
        let listed = self.list::<Total, Total>(&asked).await?;
        Ok(listed.rows.first().map_or(0, |row| row.total))
    }
}

impl ContactSearch {
    /// What is asked of Zoho; what it would refuse is refused here.
    fn wanted(&self) -> Result<Wanted, ZohoError> {
        let (parameter, value, least) = match self {
            Self::Word(word) => ("word", word, 2),
            Self::Email(email) => ("email", email, 1),
            Self::Phone(phone) => ("phone", phone, 3),
            Self::Name(name) => ("criteria", name, 1),
        };
        let value = value.trim();
        let length = value.chars().count();
        if length < least || length > LONGEST_SEARCH || value.chars().any(char::is_control) {
            return Err(refused(parameter));
        }
        match self {
            Self::Phone(_) if !is_phone(value) => Err(refused(parameter)),
            Self::Name(_) => Ok(Wanted::Criteria(by_name(value))),
            _ => Ok(Wanted::Parameter(parameter, value.to_owned())),
        }
    }
}

fn is_phone(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    number
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'(' | b')' | b'.'))
}

/// One word is a first or a last name; several are both, or a last name of several words.
fn by_name(name: &str) -> Criteria {
    let mut words = name.split_whitespace();
    let first = words.next().unwrap_or_default();
    let rest = words.collect::<Vec<_>>().join(" ");
    let starts = |field, value: &str| Criteria::is(field, Operator::StartsWith, value);
    if rest.is_empty() {
        return starts(Field::FirstName, first).or(starts(Field::LastName, first));
    }
    let whole = Criteria::is(Field::LastName, Operator::Equals, format!("{first} {rest}"));
    starts(Field::FirstName, first)
        .and(starts(Field::LastName, &rest))
        .or(whole)
}

/// A contact as Zoho writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
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

const FIELDS: &str = "id,Full_Name,Email,Phone,Mobile,Title,Department,Account_Name,Owner,\
    Lead_Source,Created_Time,Modified_Time,Last_Activity_Time";
const LONGEST_SEARCH: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_both_its_parts() {
        let by = |name: &str| match ContactSearch::Name(name.into()).wanted().unwrap() {
            Wanted::Criteria(criteria) => criteria.render().unwrap(),
            Wanted::Parameter(..) => panic!("no criteria"),
        };
        assert_eq!(
            by(" Ann "),
            "((First_Name:starts_with:Ann)or(Last_Name:starts_with:Ann))"
        );
        assert_eq!(
            by("Ann  van Dyck"),
            "(((First_Name:starts_with:Ann)and(Last_Name:starts_with:van Dyck))or(Last_Name:equals:Ann van Dyck))"
        );
    }

    #[test]
    fn searches_that_zoho_would_refuse_are_refused() {
        for by in [
            ContactSearch::Word("x".into()),
            ContactSearch::Word(" ".into()),
            ContactSearch::Email(String::new()),
            ContactSearch::Email("a\nb".into()),
            ContactSearch::Phone("12".into()),
            ContactSearch::Phone("12 or 1".into()),
            ContactSearch::Name("\t".into()),
            ContactSearch::Word("x".repeat(201)),
        ] {
            let result = by.wanted();
            assert!(
                matches!(result, Err(ZohoError::Input { field: Some(_), .. })),
                "{by:?}"
            );
        }
        assert!(
            ContactSearch::Phone("+49 (0)30-1.2".into())
                .wanted()
                .is_ok()
        );
    }
}
