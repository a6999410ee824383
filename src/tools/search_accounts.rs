//! `search_accounts`: companies by a word, a name or a phone number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::CursorText,
    input::{Limit, Line},
    listing::{End, Listing, Pager},
    record::Account,
    search,
    text::brief_or_dash,
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{Module, Search},
};

pub(super) struct SearchAccounts;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Words found in any field, at least 2 letters.
    query: Option<Line<100>>,
    /// The name or its beginning.
    name: Option<Line<100>>,
    /// Digits, spaces and + - . ( ) only.
    phone: Option<Line<40>>,
    /// Default 20.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

impl Tool for SearchAccounts {
    const NAME: &'static str = "search_accounts";
    const TITLE: &'static str = "Search accounts";
    const DESCRIPTION: &'static str = "Find companies and their ids. Give exactly one of query, \
        name or phone. A new account may be missing for some minutes. Costs 1 API credit.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[
        ("query", Class::Pii),
        ("name", Class::Pii),
        ("phone", Class::Pii),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];
    type Input = Input;
    type Output = Listing<Account>;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Listing<Account>>, ToolError> {
        let asked = search::page(input.limit, input.cursor.as_ref());
        let pager = Pager::new(call, &input, &asked, End::SEARCH)?;
        let ways = [
            input.query.map(|query| Search::Word(query.into_string())),
            input.name.map(|name| Search::Name(name.into_string())),
            input.phone.map(|phone| Search::Phone(phone.into_string())),
        ];
        let search = search::one_of(ways, "`query`, `name` and `phone`")?;
        let listed = call.crm.search_accounts(&search, pager.page()).await?;
        let unsearched = search::unsearched(call, (Module::Accounts, &search), &listed).await;
        let found: Listing<Account> = pager.listing(listed, call.now);
        let mut text = found.tell("account", NOTHING, |account| {
            format!(
                "{} ({}), {}, {}",
                brief_or_dash(account.name.as_ref()),
                account.id,
                brief_or_dash(account.industry.as_ref()),
                brief_or_dash(account.city.as_ref()),
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

const NOTHING: &str = "No account found. Try fewer letters, or query instead of name.";
