//! `search_contacts`: people in the CRM by a word, an e-mail address, a phone number or a name.

use super::{
    Answer, Context, Tool, ToolError,
    listing::{End, Listing, Pager},
    record::Contact,
    search::{self, People},
    text::brief_or_dash,
};
use crate::{audit::Classes, permit::Effect, zoho::Module};

pub(super) struct SearchContacts;

impl Tool for SearchContacts {
    const NAME: &'static str = "search_contacts";
    const TITLE: &'static str = "Search contacts";
    const DESCRIPTION: &'static str = "Find people in Zoho CRM and their ids. Give exactly one of \
        query, email, phone or name; email is the most precise. A new contact \
        may be missing for some minutes. Costs 1 API credit.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = People::CLASSES;
    type Input = People;
    type Output = Listing<Contact>;

    async fn run(call: &Context<'_>, input: People) -> Result<Answer<Listing<Contact>>, ToolError> {
        let pager = Pager::new(call, &input, &input.asked(), End::SEARCH)?;
        let search = input.search()?;
        let listed = call.crm.search_contacts(&search, pager.page()).await?;
        let unsearched = search::unsearched(call, (Module::Contacts, &search), &listed).await;
        Ok(answer(pager.listing(listed, call.now), unsearched))
    }
}

fn answer(found: Listing<Contact>, unsearched: Option<String>) -> Answer<Listing<Contact>> {
    let mut text = found.tell("contact", NOTHING, |contact| {
        format!(
            "{} ({}), {}, {}",
            brief_or_dash(contact.full_name.as_ref()),
            contact.id,
            brief_or_dash(contact.email.as_ref()),
            brief_or_dash(contact.account.as_ref()),
        )
    });
    text.remarks(unsearched);
    Answer {
        text: text.finish(),
        records: found.records(),
        output: found,
    }
}

const NOTHING: &str = "No contact found. Try fewer letters, another field, or ask the user for the \
    e-mail address.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{
        listing::tests::listing,
        record::tests::{a_contact, assert_fits},
    };

    #[test]
    fn an_answer_fits_its_schema() {
        let answer = answer(listing((1..=10).map(a_contact).collect(), true, 1), None);
        assert_fits("search_contacts", &answer.output);
        assert_eq!(answer.records, 10);
        assert!(
            answer
                .text
                .contains("\n- Ada Byron (1), ada@example.com, Engines Ltd\n")
        );
        assert!(answer.text.len() <= 1500);
    }
}
