//! `get_account_360`: a company with its people, its deals and its cases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, MOST_RECORDS, Tool, ToolError,
    get_contact::clip,
    input::Limit,
    record::{Account, Deal, SOURCE, cents},
    slice::split,
    stages::Sum,
    text::{Text, amount_of, brief_or_dash, count, money, unread},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        Closing, CrmText, Listed, Page, RecordId, ZohoError,
        cases::Case,
        contacts,
        deals::{self, DealFilter, DealGroup, DealOrder, DealStatus, DealTotal},
    },
};

pub(super) struct GetAccount360;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    account_id: RecordId,
    /// Contacts, open deals and cases to list, each. Default 10.
    limit: Option<Limit>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    account: Account,
    /// First 2000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contacts: Option<Vec<Person>>,
    more_contacts: bool,
    /// Largest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_deals: Option<Vec<OpenDeal>>,
    more_open_deals: bool,
    /// Newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    cases: Option<Vec<Issue>>,
    more_cases: bool,
    /// Of all its deals.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
    /// What could not be read.
    unavailable: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<u32>,
    currency: String,
    as_of: String,
    source: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Person {
    id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<CrmText>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OpenDeal {
    id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closing_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<CrmText>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Issue {
    id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Totals {
    open: Total,
    won: Total,
    lost: Total,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Total {
    deals: u64,
    amount: f64,
}

impl Tool for GetAccount360 {
    const NAME: &'static str = "get_account_360";
    const TITLE: &'static str = "Account overview";
    const DESCRIPTION: &'static str = "One company with its contacts, its open deals, its newest \
        cases, and what its deals add up to: open, won and lost. Costs 5 to 6 API credits.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[("account_id", Class::Id), ("limit", Class::Public)];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let id = &input.account_id;
        let asked = input.limit.map_or(10, Limit::get);
        let ceiling = call.grant.max_records().min(MOST_RECORDS);
        // The account is a record, too.
        let room = ceiling.saturating_sub(1);
        let page = Page {
            number: 1,
            size: asked.min(room).max(1),
        };
        // First: who may not see it gets nothing else of it.
        let account = call.crm.account(id).await?;
        let all = DealFilter {
            account: Some(id.clone()),
            ..DealFilter::default()
        };
        let open = DealFilter {
            status: Some(DealStatus::Open),
            ..all.clone()
        };
        let (org, contacts, deals, cases, totals, closing) = tokio::join!(
            call.crm.org(),
            call.crm.contacts_of_account(id, page),
            call.crm.deals(&open, DealOrder::Amount, page),
            call.crm.cases_of_account(id, page.size),
            call.crm.deal_totals(&all, DealGroup::Stage),
            call.crm.closing(),
        );
        let totals = totals.and_then(|stages| Ok(Totals::of(&stages, &*closing?)));
        let mut found = Found {
            contacts,
            deals,
            cases,
            totals,
        };
        let limited = found.cut(room as usize, asked as usize);
        let description = account.description.as_ref().map(clip);
        let currency = &org?.currency;
        let mut output = found.shape(account.into(), description, currency, call.now);
        output.limited_to = limited.then_some(ceiling);
        let listed = [
            output.contacts.as_ref().map_or(0, Vec::len),
            output.open_deals.as_ref().map_or(0, Vec::len),
            output.cases.as_ref().map_or(0, Vec::len),
        ];
        Ok(Answer {
            text: tell(&output),
            output,
            records: 1 + listed.iter().sum::<usize>() as u64,
        })
    }
}

/// What Zoho gave, and what it did not.
struct Found {
    contacts: Result<Listed<contacts::Contact>, ZohoError>,
    deals: Result<Listed<deals::Deal>, ZohoError>,
    cases: Result<Listed<Case>, ZohoError>,
    totals: Result<Totals, ZohoError>,
}

impl Found {
    /// Leaves `room` rows in all lists together, and says whether a list has fewer than `asked` for
    /// want of room.
    fn cut(&mut self, room: usize, asked: usize) -> bool {
        let [people, sales, issues] = split(
            room,
            [rows(&self.contacts), rows(&self.deals), rows(&self.cases)],
        );
        let cut = [
            shorten(&mut self.contacts, people, asked),
            shorten(&mut self.deals, sales, asked),
            shorten(&mut self.cases, issues, asked),
        ];
        cut.contains(&true)
    }

    fn shape(
        self,
        account: Account,
        description: Option<String>,
        currency: &str,
        now: jiff::Timestamp,
    ) -> Output {
        let unavailable = [
            ("contacts", self.contacts.as_ref().err()),
            ("openDeals", self.deals.as_ref().err()),
            ("cases", self.cases.as_ref().err()),
            ("totals", self.totals.as_ref().err()),
        ];
        let unavailable = unavailable.into_iter();
        let unavailable = unavailable.filter_map(|(name, error)| Some(unread(name, error?)));
        let unavailable = unavailable.collect();
        let (contacts, deals, cases) = (self.contacts.ok(), self.deals.ok(), self.cases.ok());
        Output {
            account,
            description,
            more_contacts: contacts.as_ref().is_some_and(|listed| listed.more),
            contacts: contacts.map(|listed| listed.rows.into_iter().map(Person::from).collect()),
            more_open_deals: deals.as_ref().is_some_and(|listed| listed.more),
            open_deals: deals.map(|listed| listed.rows.into_iter().map(OpenDeal::from).collect()),
            more_cases: cases.as_ref().is_some_and(|listed| listed.more),
            cases: cases.map(|listed| listed.rows.into_iter().map(Issue::from).collect()),
            totals: self.totals.ok(),
            unavailable,
            limited_to: None,
            currency: currency.to_owned(),
            as_of: now.to_string(),
            source: SOURCE,
        }
    }
}

fn rows<T>(list: &Result<Listed<T>, ZohoError>) -> usize {
    list.as_ref().map_or(0, |listed| listed.rows.len())
}

fn shorten<T>(list: &mut Result<Listed<T>, ZohoError>, size: usize, asked: usize) -> bool {
    let Ok(listed) = list else {
        return false;
    };
    listed.more |= listed.rows.len() > size;
    listed.rows.truncate(size);
    listed.more && listed.rows.len() < asked
}

impl Totals {
    fn of(stages: &[DealTotal], closing: &Closing) -> Self {
        let total = |status| {
            let mut sum = Sum::default();
            for stage in stages {
                let name = stage.group.as_ref().map_or("", |name| name.as_str());
                if closing.status(name) == status {
                    sum.deals += stage.deals;
                    sum.amount += stage.amount;
                }
            }
            Total {
                deals: sum.deals,
                amount: cents(sum.amount),
            }
        };
        Self {
            open: total(DealStatus::Open),
            won: total(DealStatus::Won),
            lost: total(DealStatus::Lost),
        }
    }
}

impl From<contacts::Contact> for Person {
    fn from(contact: contacts::Contact) -> Self {
        Self {
            id: contact.id,
            full_name: contact.full_name,
            title: contact.title,
            email: contact.email,
            phone: contact.phone,
        }
    }
}

impl From<deals::Deal> for OpenDeal {
    fn from(deal: deals::Deal) -> Self {
        let deal = Deal::from(deal);
        Self {
            id: deal.id,
            name: deal.name,
            stage: deal.stage,
            amount: deal.amount,
            closing_date: deal.closing_date,
            owner: deal.owner,
        }
    }
}

impl From<Case> for Issue {
    fn from(case: Case) -> Self {
        Self {
            id: case.id,
            subject: case.subject,
            status: case.status,
            priority: case.priority,
            created_time: case.created_time,
        }
    }
}

fn tell(output: &Output) -> String {
    let currency = &output.currency;
    let mut text = Text::new(format!(
        "{} ({}).",
        brief_or_dash(output.account.name.as_ref()),
        output.account.id,
    ));
    if let Some(totals) = &output.totals {
        let parts = [
            ("open", &totals.open),
            ("won", &totals.won),
            ("lost", &totals.lost),
        ];
        for (label, total) in parts {
            let deals = count(total.deals, "deal");
            let amount = money(total.amount, currency);
            text.line(format!("- {label}: {deals} for {amount}"));
        }
    }
    for deal in output.open_deals.iter().flatten() {
        text.line(format!(
            "- open deal {} ({}), {}, {}",
            brief_or_dash(deal.name.as_ref()),
            deal.id,
            amount_of(deal.amount, currency),
            brief_or_dash(deal.stage.as_ref()),
        ));
    }
    for case in output.cases.iter().flatten() {
        text.line(format!(
            "- case {} ({}), {}",
            brief_or_dash(case.subject.as_ref()),
            case.id,
            brief_or_dash(case.status.as_ref()),
        ));
    }
    for contact in output.contacts.iter().flatten() {
        text.line(format!(
            "- contact {} ({}), {}",
            brief_or_dash(contact.full_name.as_ref()),
            contact.id,
            brief_or_dash(contact.title.as_ref()),
        ));
    }
    if !output.unavailable.is_empty() {
        let missing = output.unavailable.join(", ");
        text.remark(&format!("Not available now: {missing}."));
    }
    if let Some(records) = output.limited_to {
        text.remark(&format!(
            "There are more contacts, deals or cases: this client's role allows {records} records \
             an answer, the account and all lists together."
        ));
    }
    text.finish()
}
