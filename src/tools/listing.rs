//! A page of a list: which one it is, how much it holds, and how the next one is asked for.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Context, ToolError,
    cursor::{self, Binding, CursorText},
    input::Limit,
    record::SOURCE,
    slice::Slice,
    text::{Text, count},
};
use crate::zoho::{Listed, Page};

/// Where Zoho's list ends, whoever asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    rows: u64,
    /// What is told to who wants more.
    problem: &'static str,
}

impl End {
    pub(super) const SEARCH: Self = Self {
        rows: 2000,
        problem: "Zoho's search ends at 2000 records; search for something more precise",
    };
    pub(super) const QUERY: Self = Self {
        rows: 100_000,
        problem: "Zoho's lists end at 100,000 records; narrow the filters",
    };
}

/// The page that a call asks for.
pub(super) struct Pager {
    slice: Slice,
    binding: Binding,
    number: u32,
    end: End,
}

/// What a call says of the page that it wants.
pub(super) struct Asked<'a> {
    pub(super) limit: Option<Limit>,
    pub(super) default: u32,
    pub(super) cursor: Option<&'a CursorText>,
}

impl Pager {
    /// `arguments` serialise without their cursor.
    pub(super) fn new(
        call: &Context<'_>,
        arguments: &impl Serialize,
        asked: &Asked<'_>,
        end: End,
    ) -> Result<Self, ToolError> {
        let slice = Slice::new(call, asked.limit, asked.default);
        let binding = Binding::new(call.grant.tool(), arguments, slice.size);
        let number = cursor::page(&binding, asked.cursor)?;
        let pager = Self {
            slice,
            binding,
            number,
            end,
        };
        match pager.reaches(number) {
            true => Ok(pager),
            false => Err(ToolError::Argument {
                argument: "cursor",
                problem: end.problem,
            }),
        }
    }

    /// What to ask Zoho for.
    pub(super) fn page(&self) -> Page {
        self.slice.page(self.number)
    }

    fn reaches(&self, page: u32) -> bool {
        u64::from(page) * u64::from(self.slice.size) <= self.end.rows
    }

    /// The answer, of what Zoho gave.
    pub(super) fn listing<R, T: From<R>>(
        &self,
        listed: Listed<R>,
        now: jiff::Timestamp,
    ) -> Listing<T> {
        let size = usize::try_from(self.slice.size).unwrap_or(usize::MAX);
        let items: Vec<T> = listed.rows.into_iter().take(size).map(T::from).collect();
        let next = self.number.saturating_add(1);
        let goes_on = listed.more && self.reaches(next);
        let cursor = goes_on.then(|| self.binding.cursor(&next.to_string()));
        let page = Listing::new(items, (listed.more, cursor), self.slice, now);
        Listing {
            end: self.end,
            ..page
        }
    }
}

// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listing<T> {
    pub(super) items: Vec<T>,
    count: usize,
    pub(super) more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<u32>,
    as_of: String,
    source: &'static str,
    #[serde(skip)]
    end: End,
}

impl<T> Listing<T> {
    /// A page that was put together from queries, whether there are more, and what asks for the next.
    pub(super) fn new(
        items: Vec<T>,
        (more, cursor): (bool, Option<String>),
        slice: Slice,
        now: jiff::Timestamp,
    ) -> Self {
        Self {
            count: items.len(),
            items,
            more,
            cursor,
            limited_to: slice.limited_to.filter(|_| more),
            as_of: now.to_string(),
            source: SOURCE,
            end: End::QUERY,
        }
    }

    /// Records in the answer.
    pub(super) fn records(&self) -> u64 {
        self.items.len() as u64
    }

    /// The short text: how many there are of what `one` is called, a line for each, and how to go on.
    pub(super) fn tell(
        &self,
        one: &str,
        nothing: &'static str,
        line: impl Fn(&T) -> String,
    ) -> Text {
        if self.items.is_empty() {
            return Text::new(nothing);
        }
        let more = if self.more {
            ", and there are more"
        } else {
            ""
        };
        let mut text = Text::new(format!("{}{more}.", count(self.records(), one)));
        for item in &self.items {
            text.line(format!("- {}", line(item)));
        }
        if let Some(rows) = self.limited_to {
            text.remark(&format!("This client's role allows {rows} rows an answer."));
        }
        match (&self.cursor, self.more) {
            (Some(_), _) => text.remark("Pass `cursor` with the same arguments for the next page."),
            (None, true) => text.remark(&format!("{}.", self.end.problem)),
            (None, false) => {}
        }
        text
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The answer to a call for ten rows, which the role's ceiling cut.
    pub(in crate::tools) fn listing<R, T: From<R>>(
        rows: Vec<R>,
        more: bool,
        number: u32,
    ) -> Listing<T> {
        let pager = Pager {
            slice: Slice {
                size: 10,
                limited_to: Some(10),
            },
            binding: Binding::new("t", &(), 10),
            number,
            end: End::SEARCH,
        };
        pager.listing(
            Listed {
                rows,
                more,
                index: None,
            },
            jiff::Timestamp::UNIX_EPOCH,
        )
    }

    fn told(listing: &Listing<u64>) -> String {
        listing
            .tell("contact", "Nothing found.", u64::to_string)
            .finish()
    }

    #[test]
    fn a_page_says_how_to_go_on() {
        let page: Listing<u64> = listing((1..=10).collect::<Vec<u64>>(), true, 1);
        assert!(page.cursor.is_some() && page.limited_to == Some(10));
        let told = told(&page);
        assert!(told.starts_with("10 contacts, and there are more.\n- 1\n"));
        assert!(told.contains("role allows 10 rows") && told.contains("Pass `cursor`"));
    }

    #[test]
    fn nothing_found_is_an_answer() {
        let page: Listing<u64> = listing(Vec::<u64>::new(), false, 1);
        assert!(told(&page).starts_with("Nothing found."));
    }

    #[test]
    fn more_rows_than_allowed_are_not_returned() {
        let page: Listing<u64> = listing((1..=11).collect::<Vec<u64>>(), false, 1);
        assert_eq!((page.items.len(), page.count), (10, 10));
    }

    #[test]
    fn a_search_ends_at_2000_records() {
        let page: Listing<u64> = listing(vec![1_u64], true, 200);
        assert!(page.more && page.cursor.is_none());
        assert!(told(&page).contains("ends at 2000"));
    }
}
