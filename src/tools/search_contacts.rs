//! `search_contacts`: people in the CRM by a word, an e-mail address, a phone number or a name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::{self, Binding, CursorText},
    input::{Limit, Line},
    record::{Contact, SOURCE},
    slice::Slice,
    text::{Text, brief_or_dash, count},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{Listed, contacts},
};
use contacts::ContactSearch;

pub(super) struct SearchContacts;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Words found in any field, at least 2 letters.
    query: Option<Line<100>>,
    /// Whole or part of an address.
    email: Option<Line<254>>,
    /// Digits, spaces and + - . ( ) only.
    phone: Option<Line<40>>,
    /// First, last or full name.
    name: Option<Line<100>>,
    /// Default 20.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    items: Vec<Contact>,
    count: usize,
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<u32>,
    as_of: String,
    source: &'static str,
}

impl Tool for SearchContacts {
    const NAME: &'static str = "search_contacts";
    const TITLE: &'static str = "Search contacts";
    const DESCRIPTION: &'static str = "Find people in Zoho CRM and their ids. Give exactly one of \
        query, email, phone or name; email is the most precise. A contact that was just created \
        may be missing for some minutes. Costs 1 API credit.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("query", Class::Pii),
        ("email", Class::Pii),
        ("phone", Class::Pii),
        ("name", Class::Pii),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let slice = Slice::new(call, input.limit, 20);
        let binding = Binding::new(Self::NAME, &input, slice.size);
        let page = cursor::page(&binding, input.cursor.as_ref())?;
        if u64::from(page) * u64::from(slice.size) > MOST_FOUND {
            return Err(ToolError::Argument {
                argument: "cursor",
                problem: "Zoho's search ends at 2000 contacts; search for something more precise",
            });
        }
        let search = input.into_search()?;
        let listed = call.crm.search_contacts(&search, slice.page(page)).await?;
        Ok(answer(listed, &binding, page, slice, call.now))
    }
}

impl Input {
    fn into_search(self) -> Result<ContactSearch, ToolError> {
        let search = match (self.query, self.email, self.phone, self.name) {
            (Some(word), None, None, None) => ContactSearch::Word(word.into_string()),
            (None, Some(email), None, None) => ContactSearch::Email(email.into_string()),
            (None, None, Some(phone), None) => ContactSearch::Phone(phone.into_string()),
            (None, None, None, Some(name)) => ContactSearch::Name(name.into_string()),
            _ => {
                return Err(ToolError::Arguments(
                    "Give exactly one of `query`, `email`, `phone` and `name`".to_owned(),
                ));
            }
        };
        match &search {
            ContactSearch::Word(word)
                if word.chars().filter(|c| c.is_alphanumeric()).count() < 2 =>
            {
                Err(ToolError::Argument {
                    argument: "query",
                    problem: "it needs at least 2 letters or digits",
                })
            }
            ContactSearch::Phone(phone) if !is_phone(phone) => Err(ToolError::Argument {
                argument: "phone",
                problem: "it needs at least 3 digits, and may have spaces and + - . ( ) besides",
            }),
            _ => Ok(search),
        }
    }
}

/// What Zoho takes for a number.
fn is_phone(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    rest.bytes().filter(u8::is_ascii_digit).count() >= 3
        && rest
            .bytes()
            .all(|b| b.is_ascii_digit() || b" -.()".contains(&b))
}

fn answer(
    listed: Listed<contacts::Contact>,
    binding: &Binding,
    page: u32,
    slice: Slice,
    now: jiff::Timestamp,
) -> Answer<Output> {
    let mut rows = listed.rows;
    rows.truncate(usize::try_from(slice.size).unwrap_or(usize::MAX));
    let items: Vec<Contact> = rows.into_iter().map(Contact::from).collect();
    let next = (u64::from(page) + 1) * u64::from(slice.size);
    let cursor =
        (listed.more && next <= MOST_FOUND).then(|| binding.cursor(&(page + 1).to_string()));
    let output = Output {
        count: items.len(),
        items,
        more: listed.more,
        cursor,
        limited_to: slice.limited_to.filter(|_| listed.more),
        as_of: now.to_string(),
        source: SOURCE,
    };
    Answer {
        text: tell(&output),
        records: output.items.len() as u64,
        output,
    }
}

fn tell(output: &Output) -> String {
    if output.items.is_empty() {
        return Text::new(
            "No contact found. Try fewer letters, another field, or ask the user for the e-mail \
             address.",
        )
        .finish();
    }
    let found = count(output.items.len() as u64, "contact");
    let mut text = Text::new(format!(
        "{found}{}.",
        if output.more {
            ", and there are more"
        } else {
            ""
        }
    ));
    for contact in &output.items {
        text.line(format!(
            "- {} ({}), {}, {}",
            brief_or_dash(contact.full_name.as_ref()),
            contact.id,
            brief_or_dash(contact.email.as_ref()),
            brief_or_dash(contact.account.as_ref()),
        ));
    }
    if let Some(rows) = output.limited_to {
        text.remark(&format!("This client's role allows {rows} rows an answer."));
    }
    match (&output.cursor, output.more) {
        (Some(_), _) => text.remark("Pass `cursor` with the same arguments for the next page."),
        (None, true) => {
            text.remark("Zoho's search ends at 2000 contacts: search for something more precise.");
        }
        (None, false) => {}
    }
    text.finish()
}

const MOST_FOUND: u64 = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{
        input,
        record::tests::{a_contact, assert_fits},
    };
    use serde_json::json;

    fn read(arguments: serde_json::Value) -> Result<Input, ToolError> {
        input::read(arguments.as_object().cloned().unwrap())
    }

    fn found(rows: u64, more: bool, page: u32) -> Answer<Output> {
        let listed = Listed {
            rows: (1..=rows).map(a_contact).collect(),
            more,
        };
        let slice = Slice {
            size: 10,
            limited_to: Some(10),
        };
        let binding = Binding::new("search_contacts", &(), 10);
        answer(listed, &binding, page, slice, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn exactly_one_way_to_search_is_taken() {
        let search = |arguments| read(arguments).unwrap().into_search();
        assert_eq!(
            search(json!({"email": "a@b.c"})).unwrap(),
            ContactSearch::Email("a@b.c".to_owned())
        );
        for arguments in [
            json!({}),
            json!({"limit": 5}),
            json!({"name": "a", "query": "bb"}),
        ] {
            let refusal = search(arguments).unwrap_err();
            assert!(
                refusal.advice().contains("exactly one of"),
                "{}",
                refusal.advice()
            );
        }
        assert!(search(json!({"query": "a"})).is_err());
        assert!(search(json!({"phone": "12"})).is_err());
        assert!(search(json!({"phone": "123; drop"})).is_err());
        assert!(search(json!({"phone": "+44 (20) 7946-00.00"})).is_ok());
    }

    #[test]
    fn an_answer_fits_its_schema_and_goes_on() {
        let answer = found(10, true, 1);
        assert_fits("search_contacts", &answer.output);
        assert_eq!(answer.records, 10);
        assert!(answer.output.cursor.is_some());
        assert!(
            answer.text.starts_with("10 contacts, and there are more."),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("role allows 10 rows"));
        assert!(answer.text.len() <= 1500);
    }

    #[test]
    fn nothing_found_is_an_answer() {
        let answer = found(0, false, 1);
        assert_fits("search_contacts", &answer.output);
        assert!(answer.text.starts_with("No contact found."));
    }

    #[test]
    fn more_rows_than_allowed_are_not_returned() {
        assert_eq!(found(11, false, 1).output.items.len(), 10);
    }

    #[test]
    fn the_search_ends_at_2000_contacts() {
        let answer = found(10, true, 200);
        assert!(answer.output.more && answer.output.cursor.is_none());
        assert!(answer.text.contains("ends at 2000"));
    }
}
