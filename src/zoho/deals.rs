//! Deals: single, filtered, and summed up.

use jiff::{ToSpan as _, Zoned, civil::Date};
use serde::Deserialize;

pub use super::totals::{DealGroup, DealTotal};
use super::{
    Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError,
    coql::{Column, Comparison, Condition, Direction, Literal, Select},
    refused,
    row::{lookup, moment, number},
};

/// A deal, with the fields that the tools show.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Deal {
    pub id: RecordId,
    pub name: Option<CrmText>,
    pub stage: Option<CrmText>,
    /// In the organisation's currency.
    pub amount: Option<f64>,
    /// Percent.
    pub probability: Option<f64>,
    pub closing_date: Option<String>,
    pub account: Option<Reference>,
    pub contact: Option<Reference>,
    pub owner: Option<Reference>,
    pub kind: Option<CrmText>,
    pub lead_source: Option<CrmText>,
    pub next_step: Option<CrmText>,
    pub created_time: Option<String>,
    pub modified_time: Option<String>,
    pub last_activity_time: Option<String>,
}

/// Which deals. Empty means all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DealFilter {
    pub status: Option<DealStatus>,
    pub stage: Option<String>,
    pub owner: Option<RecordId>,
    pub account: Option<RecordId>,
    /// Closing date, first day included.
    pub closing_from: Option<Date>,
    /// Closing date, last day included.
    pub closing_to: Option<Date>,
    pub created_from: Option<Date>,
    pub created_to: Option<Date>,
    pub min_amount: Option<f64>,
    pub stale: Option<Stale>,
}

/// A deal that nobody has touched since, or whose closing date has passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Stale {
    /// The last activity was before this; where there was none, it was made before.
    pub untouched_since: Zoned,
    /// The closing date is before this day.
    pub today: Date,
}

/// Whether a deal is still in play; [`Closing`](super::Closing) knows by which stages.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DealStatus {
    Open,
    Won,
    Lost,
}

/// The order of a list of deals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DealOrder {
    /// Largest first.
    Amount,
    /// Earliest first.
    ClosingDate,
    /// Newest first.
    Created,
}

impl Crm {
    /// One deal.
    pub async fn deal(&self, id: &RecordId) -> Result<Deal, ZohoError> {
        let record = self.record("Deals/{id}", "Deals", id, FIELDS).await?;
        self.one::<Row, Deal>(&record).await
    }

    /// Deals by filter.
    pub async fn deals(
        &self,
        filter: &DealFilter,
        order: DealOrder,
        page: Page,
    ) -> Result<Listed<Deal>, ZohoError> {
        if page.number == 0 || page.size > MOST_ROWS {
            return Err(refused("page"));
        }
        let query = Select {
            columns: COLUMNS.map(Column::Field).to_vec(),
            from: "Deals",
            filter: self.conditions(filter).await?,
            group: &[],
            order: Some(match order {
                DealOrder::Amount => ("Amount", Direction::Descending),
                DealOrder::ClosingDate => ("Closing_Date", Direction::Ascending),
                DealOrder::Created => ("Created_Time", Direction::Descending),
            }),
            offset: (page.number - 1).saturating_mul(page.size),
            limit: page.size,
        };
        let mut listed = self.shown::<Row, Deal>(query).await?;
        let owners = listed
            .rows
            .iter_mut()
            .filter_map(|deal| deal.owner.as_mut());
        self.name_owners(owners).await;
        Ok(listed)
    }

    pub(super) async fn conditions(
        &self,
        filter: &DealFilter,
    ) -> Result<Vec<Condition>, ZohoError> {
        let mut all = Vec::new();
        if let Some(status) = filter.status {
            all.extend(self.closing().await?.condition(status));
        }
        all.extend(filter.plain());
        if filter.created_from.is_some() || filter.created_to.is_some() {
            let from = filter.created_from.unwrap_or(FIRST_DAY);
            let to = filter.created_to.unwrap_or(LAST_DAY);
            let after = to
                .checked_add(1.day())
                .map_err(|_| refused("Created_Time"))?;
            all.push(self.between("Created_Time", from, after).await?);
        }
        Ok(all)
    }
}

impl DealFilter {
    /// The conditions for which nothing else has to be known.
    fn plain(&self) -> Vec<Condition> {
        let equal =
            |field: &'static str, value| Condition::compare(field, Comparison::Equal, value);
        let id = |field: &'static str, id: &RecordId| equal(field, Literal::Id(id.clone()));
        let mut all = Vec::new();
        all.extend(
            self.stage
                .as_ref()
                .map(|stage| equal("Stage", Literal::Text(stage.clone()))),
        );
        all.extend(self.owner.as_ref().map(|owner| id("Owner", owner)));
        all.extend(self.account.as_ref().map(|own| id("Account_Name", own)));
        let closing =
            |comparison, day| Condition::compare("Closing_Date", comparison, Literal::Day(day));
        all.extend(match (self.closing_from, self.closing_to) {
            (Some(from), Some(to)) => Some(Condition::Between(
                "Closing_Date".into(),
                Literal::Day(from),
                Literal::Day(to),
            )),
            (Some(from), None) => Some(closing(Comparison::AtLeast, from)),
            (None, Some(to)) => Some(closing(Comparison::AtMost, to)),
            (None, None) => None,
        });
        all.extend(self.stale.as_ref().map(Stale::condition));
        all.extend(self.min_amount.map(|least| {
            Condition::compare("Amount", Comparison::AtLeast, Literal::Number(least))
        }));
        all
    }
}

impl Stale {
    fn condition(&self) -> Condition {
        let before = |field: &'static str| {
            let since = Literal::Moment(self.untouched_since.clone());
            Condition::compare(field, Comparison::Less, since)
        };
        let passed = Condition::compare("Closing_Date", Comparison::Less, Literal::Day(self.today));
        let never = Condition::Empty("Last_Activity_Time".into()).and(before("Created_Time"));
        before("Last_Activity_Time").or(never).or(passed)
    }
}

/// A deal as Zoho writes it; queries put names of lookups beside them, under dotted keys.
#[derive(Deserialize)]
pub(super) struct Row {
    id: RecordId,
    #[serde(rename = "Deal_Name")]
    name: Option<CrmText>,
    #[serde(rename = "Stage")]
    stage: Option<CrmText>,
    #[serde(rename = "Amount", default, deserialize_with = "number")]
    amount: Option<f64>,
    #[serde(rename = "Probability", default, deserialize_with = "number")]
    probability: Option<f64>,
    #[serde(rename = "Closing_Date", default, deserialize_with = "moment")]
    closing_date: Option<String>,
    #[serde(rename = "Account_Name", default, deserialize_with = "lookup")]
    account: Option<Reference>,
    #[serde(rename = "Account_Name.Account_Name")]
    account_name: Option<CrmText>,
    #[serde(rename = "Contact_Name", default, deserialize_with = "lookup")]
    contact: Option<Reference>,
    #[serde(rename = "Contact_Name.Full_Name")]
    contact_name: Option<CrmText>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    owner: Option<Reference>,
    #[serde(rename = "Type")]
    kind: Option<CrmText>,
    #[serde(rename = "Lead_Source")]
    lead_source: Option<CrmText>,
    #[serde(rename = "Next_Step")]
    next_step: Option<CrmText>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    created_time: Option<String>,
    #[serde(rename = "Modified_Time", default, deserialize_with = "moment")]
    modified_time: Option<String>,
    #[serde(rename = "Last_Activity_Time", default, deserialize_with = "moment")]
    last_activity_time: Option<String>,
}

impl From<Row> for Deal {
    fn from(row: Row) -> Self {
        let named = |reference: Option<Reference>, name: Option<CrmText>| {
            reference.map(|Reference { id, name: own }| Reference {
                id,
                name: own.or(name),
            })
        };
        Self {
            id: row.id,
            name: row.name,
            stage: row.stage,
            amount: row.amount,
            probability: row.probability,
            closing_date: row.closing_date,
            account: named(row.account, row.account_name),
            contact: named(row.contact, row.contact_name),
            owner: row.owner,
            kind: row.kind,
            lead_source: row.lead_source,
            next_step: row.next_step,
            created_time: row.created_time,
            modified_time: row.modified_time,
            last_activity_time: row.last_activity_time,
        }
    }
}

/// A field of a deal that nothing is found or ordered by, and that sums are told without.
pub(super) const PROBABILITY: &str = "Probability";
pub(super) const FIELDS: &str = "id,Deal_Name,Stage,Amount,Probability,Closing_Date,Account_Name,\
    Contact_Name,Owner,Type,Lead_Source,Next_Step,Created_Time,Modified_Time,Last_Activity_Time";
const COLUMNS: [&str; 17] = [
    "id",
    "Deal_Name",
    "Stage",
    "Amount",
    PROBABILITY,
    "Closing_Date",
    "Account_Name",
    "Account_Name.Account_Name",
    "Contact_Name",
    "Contact_Name.Full_Name",
    "Owner",
    "Type",
    "Lead_Source",
    "Next_Step",
    "Created_Time",
    "Modified_Time",
    "Last_Activity_Time",
];
const MOST_ROWS: u32 = 200;
/// Before Zoho, and after all of this.
const FIRST_DAY: Date = jiff::civil::date(1990, 1, 1);
const LAST_DAY: Date = jiff::civil::date(2199, 12, 31);
