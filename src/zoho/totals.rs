//! Sums over deals.

use serde::Deserialize;

use super::{
    Crm, CrmText, RecordId, Reference, ZohoError,
    coql::{Column, Condition, Direction, Literal, Select},
    deals::DealFilter,
    row::{count, lookup, number},
};

/// What totals are grouped by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DealGroup {
    Stage,
    Owner,
    LeadSource,
    Type,
    Account,
}

/// The sum over one group of deals.
#[derive(Clone, Debug, PartialEq)]
pub struct DealTotal {
    /// The group's value; `None` where the deals have none.
    pub group: Option<CrmText>,
    /// The id behind it, for owners and accounts.
    pub group_id: Option<RecordId>,
    pub amount: f64,
    /// Amounts by their probabilities, where that was asked for.
    pub weighted: f64,
    pub deals: u64,
}

impl Crm {
    /// Sum and number of all deals that pass the filter.
    pub async fn deal_total(&self, filter: &DealFilter) -> Result<DealTotal, ZohoError> {
        let query = totals(self.conditions(filter).await?, None, false);
        let asked = self.query(query).await?;
        let listed = self.list::<TotalRow, TotalRow>(&asked).await?;
        let row = listed.rows.into_iter().next().unwrap_or_default();
        Ok(row.total(None))
    }

    /// The same by group, largest amount first; the 200 largest groups.
    pub async fn deal_totals(
        &self,
        filter: &DealFilter,
        group: DealGroup,
    ) -> Result<Vec<DealTotal>, ZohoError> {
        let query = totals(self.conditions(filter).await?, Some(group), false);
        let asked = self.query(query).await?;
        let mut rows = self.list::<TotalRow, TotalRow>(&asked).await?.rows;
        match group {
            DealGroup::Owner => {
                self.name_owners(rows.iter_mut().filter_map(|row| row.owner.as_mut()))
                    .await;
            }
            DealGroup::Account => self.name_accounts(&mut rows).await,
            DealGroup::Stage | DealGroup::LeadSource | DealGroup::Type => {}
        }
        let mut totals: Vec<_> = rows.into_iter().map(|row| row.total(Some(group))).collect();
        totals.sort_by(|a, b| b.amount.total_cmp(&a.amount));
        Ok(totals)
    }

    /// The same by stage, with what is to be expected of each, in no order.
    pub async fn stage_totals(&self, filter: &DealFilter) -> Result<Vec<DealTotal>, ZohoError> {
        let group = DealGroup::Stage;
        let query = totals(self.conditions(filter).await?, Some(group), true);
        let asked = self.query(query).await?;
        let rows = self.list::<TotalRow, TotalRow>(&asked).await?.rows;
        Ok(rows.into_iter().map(|row| row.total(Some(group))).collect())
    }

    /// Gives accounts the names that an answer left out; nothing fails for want of a name.
    async fn name_accounts(&self, rows: &mut [TotalRow]) {
        #[derive(Deserialize)]
        struct Account {
            id: RecordId,
            #[serde(rename = "Account_Name")]
            name: Option<CrmText>,
        }
        let mut nameless: Vec<&mut Reference> = rows
            .iter_mut()
            .filter_map(|row| row.account.as_mut())
            .filter(|account| account.name.is_none())
            .collect();
        for some in nameless.chunks_mut(MOST_NAMES) {
            let ids = some.iter().map(|account| Literal::Id(account.id.clone()));
            let names = Select {
                columns: vec![Column::Field("id"), Column::Field("Account_Name")],
                from: "Accounts",
                filter: vec![Condition::In("id".into(), ids.collect())],
                group: None,
                order: None,
                offset: 0,
                limit: MOST_ROWS,
            };
            let Ok(asked) = self.query(names).await else {
                return;
            };
            let Ok(found) = self.list::<Account, Account>(&asked).await else {
                return;
            };
            for account in some {
                let own = found.rows.iter().find(|found| found.id == account.id);
                account.name = own.and_then(|own| own.name.clone());
            }
        }
    }
}

impl DealGroup {
    fn field(self) -> &'static str {
        match self {
            Self::Stage => "Stage",
            Self::Owner => "Owner",
            Self::LeadSource => "Lead_Source",
            Self::Type => "Type",
            Self::Account => "Account_Name",
        }
    }
}

fn totals(filter: Vec<Condition>, group: Option<DealGroup>, weighted: bool) -> Select {
    let group = group.map(DealGroup::field);
    let mut columns: Vec<_> = group.map(Column::Field).into_iter().collect();
    columns.push(Column::Sum {
        field: "Amount",
        alias: "total_amount",
    });
    columns.extend(weighted.then_some(Column::Sum {
        field: "Expected_Revenue",
        alias: "total_expected",
    }));
    columns.push(Column::Count {
        alias: "total_deals",
    });
    Select {
        columns,
        from: "Deals",
        filter,
        group,
        order: group.map(|_| ("total_amount", Direction::Descending)),
        offset: 0,
        limit: MOST_ROWS,
    }
}

/// One group's sum as Zoho writes it: under the alias, or under the text of the aggregate.
#[derive(Default, Deserialize)]
struct TotalRow {
    #[serde(rename = "Stage")]
    stage: Option<CrmText>,
    #[serde(rename = "Lead_Source")]
    lead_source: Option<CrmText>,
    #[serde(rename = "Type")]
    kind: Option<CrmText>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    owner: Option<Reference>,
    #[serde(rename = "Account_Name", default, deserialize_with = "lookup")]
    account: Option<Reference>,
    #[serde(alias = "SUM(Amount)", default, deserialize_with = "number")]
    total_amount: Option<f64>,
    #[serde(alias = "SUM(Expected_Revenue)", default, deserialize_with = "number")]
    total_expected: Option<f64>,
    #[serde(alias = "COUNT(id)", default, deserialize_with = "count")]
    total_deals: u64,
}

impl TotalRow {
    fn total(self, group: Option<DealGroup>) -> DealTotal {
        let text = |text| (text, None);
        let named = |reference: Option<Reference>| match reference {
            Some(reference) => (reference.name, Some(reference.id)),
            None => (None, None),
        };
        let (group, group_id) = match group {
            None => (None, None),
            Some(DealGroup::Stage) => text(self.stage),
            Some(DealGroup::LeadSource) => text(self.lead_source),
            Some(DealGroup::Type) => text(self.kind),
            Some(DealGroup::Owner) => named(self.owner),
            Some(DealGroup::Account) => named(self.account),
        };
        DealTotal {
            group,
            group_id,
            amount: self.total_amount.unwrap_or(0.0),
            weighted: self.total_expected.unwrap_or(0.0),
            deals: self.total_deals,
        }
    }
}

const MOST_ROWS: u32 = 200;
const MOST_NAMES: usize = 100;
