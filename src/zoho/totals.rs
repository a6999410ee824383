//! Sums over deals.

use serde::Deserialize;

use super::{
    Crm, CrmText, RecordId, Reference, ZohoError,
    coql::{Column, Condition, Direction, Literal, Select},
    deals::{DealFilter, PROBABILITY},
    row::{count, figure, lookup},
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
    /// Each amount by the probability of its deal, where that was asked for and is not hidden; a deal
    /// without either counts for nothing.
    pub weighted: Option<f64>,
    pub deals: u64,
}

impl Crm {
    /// Sum and number of all deals that pass the filter.
    pub async fn deal_total(&self, filter: &DealFilter) -> Result<DealTotal, ZohoError> {
        let query = totals(self.conditions(filter).await?, &[]);
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
        let query = totals(self.conditions(filter).await?, group.fields());
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

    /// The same by stage, with what is to be expected of each; of all stages, largest amount first.
    ///
    /// Zoho's own `Expected_Revenue` is no measure: it is empty in deals that Zoho has not computed
    /// it for.
    pub async fn stage_totals(&self, filter: &DealFilter) -> Result<Vec<DealTotal>, ZohoError> {
        let filter = self.conditions(filter).await?;
        let parts = totals(filter.clone(), &["Stage", PROBABILITY]);
        match self.whole(parts).await {
            Err(ZohoError::Hidden { field }) if field.as_str() == PROBABILITY => {
                let rows = self.whole(totals(filter, &["Stage"])).await?;
                let stages = rows
                    .into_iter()
                    .map(|row| row.total(Some(DealGroup::Stage)));
                Ok(stages.collect())
            }
            rows => Ok(by_stage(rows?)),
        }
    }

    /// All rows of a query, or none.
    async fn whole(&self, mut query: Select) -> Result<Vec<TotalRow>, ZohoError> {
        let asked = self.query(query.clone()).await?;
        let mut listed = self.list::<TotalRow, TotalRow>(&asked).await?;
        if listed.more {
            // All at once: pages of sums that change in between would not add up.
            query.limit = MOST_PAIRS;
            let asked = self.query(query).await?;
            listed = self.list::<TotalRow, TotalRow>(&asked).await?;
        }
        if listed.more {
            return Err(ZohoError::TooManyMatches);
        }
        Ok(listed.rows)
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
                group: &[],
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
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Stage => &["Stage"],
            Self::Owner => &["Owner"],
            Self::LeadSource => &["Lead_Source"],
            Self::Type => &["Type"],
            Self::Account => &["Account_Name"],
        }
    }
}

fn totals(filter: Vec<Condition>, group: &'static [&'static str]) -> Select {
    let mut columns: Vec<_> = group.iter().copied().map(Column::Field).collect();
    columns.push(Column::Sum {
        field: "Amount",
        alias: "total_amount",
    });
    columns.push(Column::Count {
        alias: "total_deals",
    });
    Select {
        columns,
        from: "Deals",
        filter,
        group,
        order: (!group.is_empty()).then_some(("total_amount", Direction::Descending)),
        offset: 0,
        limit: MOST_ROWS,
    }
}

/// The sums of stages and probabilities as those of stages.
fn by_stage(rows: Vec<TotalRow>) -> Vec<DealTotal> {
    let mut stages: Vec<DealTotal> = Vec::new();
    for row in rows {
        let percent = row.probability.unwrap_or(0.0);
        let mut part = row.total(Some(DealGroup::Stage));
        part.weighted = Some(part.amount * percent / 100.0);
        match stages.iter_mut().find(|stage| stage.group == part.group) {
            Some(stage) => {
                stage.amount += part.amount;
                stage.weighted = stage.weighted.zip(part.weighted).map(|(a, b)| a + b);
                stage.deals += part.deals;
            }
            None => stages.push(part),
        }
    }
    stages.sort_by(|a, b| b.amount.total_cmp(&a.amount));
    stages
}

/// One group's sum as Zoho writes it: under the alias, or under the text of the aggregate.
#[derive(Default, Deserialize)]
struct TotalRow {
    #[serde(rename = "Stage")]
    stage: Option<CrmText>,
    #[serde(rename = "Probability", default, deserialize_with = "figure")]
    probability: Option<f64>,
    #[serde(rename = "Lead_Source")]
    lead_source: Option<CrmText>,
    #[serde(rename = "Type")]
    kind: Option<CrmText>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    owner: Option<Reference>,
    #[serde(rename = "Account_Name", default, deserialize_with = "lookup")]
    account: Option<Reference>,
    /// Zoho's sum of nothing is null.
    #[serde(alias = "SUM(Amount)", default, deserialize_with = "figure")]
    total_amount: Option<f64>,
    #[serde(alias = "COUNT(id)", deserialize_with = "count")]
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
            weighted: None,
            deals: self.total_deals,
        }
    }
}

const MOST_ROWS: u32 = 200;
/// Of stages and probabilities.
const MOST_PAIRS: u32 = 2000;
const MOST_NAMES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoho::{
        Problem,
        scripted::{Scripted, call, say},
    };

    const PARTS: &str = r#"{"data":[
        {"Stage":"Talking","Probability":10,"total_amount":100,"total_deals":2},
        {"Stage":"Talking","Probability":50,"total_amount":300.5,"total_deals":1},
        {"Stage":"Talking","Probability":null,"total_amount":7000,"total_deals":1},
        {"Stage":"Agreed","Probability":90,"total_amount":null,"total_deals":3},
        {"Stage":null,"Probability":20,"total_amount":10,"total_deals":1}],
        "info":{"count":5,"more_records":MORE}}"#;

    #[tokio::test]
    async fn each_amount_is_weighed_by_the_probability_of_its_own_deal() {
        let server = Scripted::start(|_, _| say(200, &PARTS.replace("MORE", "false"))).await;
        let (zoho, all) = (server.zoho(), DealFilter::default());
        let totals = call(&zoho).stage_totals(&all).await.unwrap();
        let seen: Vec<_> = totals
            .iter()
            .map(|total| {
                let stage = total.group.as_ref().map_or("", |name| name.as_str());
                (stage, total.amount, total.weighted, total.deals)
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("Talking", 7400.5, Some(160.25), 4),
                ("", 10.0, Some(2.0), 1),
                ("Agreed", 0.0, Some(0.0), 3)
            ]
        );
        let body = &server.asked()[0].body;
        assert!(body.contains("group by Stage, Probability order"), "{body}");
    }

    #[tokio::test]
    async fn of_very_many_probabilities_none_is_left_out() {
        let server = Scripted::start(|_, n| {
            let more = if n == 0 { "true" } else { "false" };
            say(200, &PARTS.replace("MORE", more))
        })
        .await;
        let (zoho, all) = (server.zoho(), DealFilter::default());
        let crm = call(&zoho);
        assert_eq!(crm.stage_totals(&all).await.unwrap().len(), 3);
        assert_eq!(crm.credits(), 4);
        assert!(server.asked()[1].body.contains("limit 0, 2000"));
        let server = Scripted::start(|_, _| say(200, &PARTS.replace("MORE", "true"))).await;
        let result = call(&server.zoho()).stage_totals(&all).await;
        assert!(matches!(result, Err(ZohoError::TooManyMatches)));
    }

    #[tokio::test]
    async fn sums_and_counts_that_cannot_be_read_are_no_zeros() {
        let all = DealFilter::default();
        for figures in [
            r#""total_amount":5,"total_deals":null,"total":null"#,
            r#""total_amount":5,"total_deals":"x","total":"x""#,
            r#""total_amount":5"#,
        ] {
            let answer = format!(r#"{{"data":[{{{figures}}}],"info":{{"more_records":false}}}}"#);
            let server = Scripted::start(move |_, _| say(200, &answer)).await;
            let (zoho, day) = (server.zoho(), jiff::civil::date(2026, 7, 1));
            for failed in [
                call(&zoho).deal_total(&all).await.err(),
                call(&zoho).stage_totals(&all).await.err(),
                call(&zoho).count_overdue_tasks(day).await.err(),
            ] {
                let problem = Problem::Unreadable;
                assert!(
                    matches!(failed, Some(ZohoError::Unavailable { problem: seen }) if seen == problem),
                    "{figures}: {failed:?}"
                );
            }
        }
        let nothing = r#"{"data":[{"total_amount":null,"total_deals":0}]}"#;
        let server = Scripted::start(|_, _| say(200, nothing)).await;
        let total = call(&server.zoho()).deal_total(&all).await.unwrap();
        assert_eq!((total.amount, total.deals), (0.0, 0));
    }
}
