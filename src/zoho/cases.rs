//! Cases: what customers asked the service team for.

use serde::Deserialize;

use super::{
    Crm, CrmText, Listed, RecordId, ZohoError,
    coql::{Column, Comparison, Condition, Direction, Literal, Select},
    row::moment,
};

/// A case, with the fields that the tools show.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Case {
    pub id: RecordId,
    #[serde(rename = "Subject")]
    pub subject: Option<CrmText>,
    #[serde(rename = "Status")]
    pub status: Option<CrmText>,
    #[serde(rename = "Priority")]
    pub priority: Option<CrmText>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
}

impl Crm {
    /// The newest cases of an account, `most` of them at most.
    pub async fn cases_of_account(
        &self,
        id: &RecordId,
        most: u32,
    ) -> Result<Listed<Case>, ZohoError> {
        let account = Literal::Id(id.clone());
        let query = Select {
            columns: COLUMNS.map(Column::Field).to_vec(),
            from: "Cases",
            filter: vec![Condition::compare(
                "Account_Name",
                Comparison::Equal,
                account,
            )],
            group: &[],
            order: Some(("Created_Time", Direction::Descending)),
            offset: 0,
            limit: most,
        };
        self.shown::<Case, Case>(query).await
    }
}

const COLUMNS: [&str; 6] = [
    "id",
    "Subject",
    "Status",
    "Priority",
    "Owner",
    "Created_Time",
];
