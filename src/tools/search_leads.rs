//! `search_leads`: people who may become customers.

use super::{
    Answer, Context, Tool, ToolError,
    listing::{End, Listing, Pager},
    record::Lead,
    search::{self, People},
    text::brief_or_dash,
};
use crate::{audit::Classes, permit::Effect, zoho::Module};

pub(super) struct SearchLeads;

impl Tool for SearchLeads {
    const NAME: &'static str = "search_leads";
    const TITLE: &'static str = "Search leads";
    const DESCRIPTION: &'static str = "Find leads that are not converted yet, and their ids. Give \
        exactly one of query, email, phone or name; query also looks into the company. A new lead \
        may be missing for some minutes. Costs 1 API credit.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = People::CLASSES;
    type Input = People;
    type Output = Listing<Lead>;

    async fn run(call: &Context<'_>, input: People) -> Result<Answer<Listing<Lead>>, ToolError> {
        let pager = Pager::new(call, &input, &input.asked(), End::SEARCH)?;
        let search = input.search()?;
        let listed = call.crm.search_leads(&search, pager.page()).await?;
        let unsearched = search::unsearched(call, (Module::Leads, &search), &listed).await;
        let found: Listing<Lead> = pager.listing(listed, call.now);
        let mut text = found.tell("lead", NOTHING, |lead| {
            format!(
                "{} ({}), {}, {}",
                brief_or_dash(lead.full_name.as_ref()),
                lead.id,
                brief_or_dash(lead.company.as_ref()),
                brief_or_dash(lead.status.as_ref()),
            )
        });
        text.remarks(unsearched);
        Ok(Answer {
            text: text.finish(),
            records: found.records(),
            output: found,
        })
    }
}

const NOTHING: &str = "No lead found. A lead that was converted is a contact now: try \
    search_contacts, fewer letters, or another field.";
