//! Pages of a list: by number for the first 2000 records, by token after them.

use serde_json::{Value, json};

use super::Reader;
use crate::sandbox::{answer::Answer, clock::moment, cursor::altered, problem::Problem};

/// A page by number.
pub(super) struct Page {
    pub(super) number: usize,
    pub(super) size: usize,
}

impl Reader<'_> {
    /// The page of so many rows that was asked for; `rows` shows those from a place on.
    pub(in crate::sandbox) fn paged(
        &self,
        total: usize,
        rows: impl Fn(usize, usize) -> Vec<Value>,
    ) -> Result<Answer, Problem> {
        let page = self.page()?;
        let bound = self.query.without(&["page_token", "page"]);
        let bound = format!("{} {bound}", self.path);
        // A token keeps the page that its request named; 0 is none.
        let named = self.query.get("page").map(|_| page.number);
        let (start, named) = match self.query.get("page_token") {
            Some(token) => {
                let opened = self.cursors.open(token, self.user.id, &bound, self.now)?;
                if named.is_some_and(|named| named != opened.1) {
                    return Err(altered());
                }
                opened
            }
            None if page.number * page.size > MOST_BY_PAGE => {
                let details = json!({"limit": MOST_BY_PAGE});
                return Err(Problem::bad(
                    "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
                    details,
                    NEEDS_TOKEN,
                ));
            }
            None => ((page.number - 1) * page.size, named.unwrap_or(0)),
        };
        if start >= MOST_BY_TOKEN {
            let details = json!({"param_name": "page_token"});
            return Err(Problem::bad("PAGINATION_LIMIT_EXCEEDED", details, TOO_FAR));
        }
        let rows = rows(start, page.size);
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        let end = start + rows.len();
        let issue = |at| {
            let place = (at, named);
            self.cursors.issue(place, self.user.id, &bound, self.now)
        };
        let next = (end < total).then(|| issue(end));
        let expiry = next.as_ref().map(|(_, at)| moment(*at, &self.user.zone));
        let info = json!({
            "call": false,
            "per_page": page.size,
            "next_page_token": next.as_ref().map(|(token, _)| token),
            "count": rows.len(),
            "sort_by": self.query.get("sort_by").unwrap_or("id"),
            "page": start / page.size + 1,
            "previous_page_token": (start > 0).then(|| issue(start.saturating_sub(page.size)).0),
            "page_token_expiry": expiry,
            "sort_order": self.query.get("sort_order").unwrap_or("desc"),
            "email": false,
            "more_records": end < total,
        });
        Ok(Answer::ok(json!({"data": rows, "info": info})))
    }

    pub(super) fn page(&self) -> Result<Page, Problem> {
        Ok(Page {
            number: self.number("page", 1, 1_000_000)?,
            size: self.number("per_page", 200, 200)?,
        })
    }
}

const MOST_BY_PAGE: usize = 2_000;
const MOST_BY_TOKEN: usize = 100_000;
const NEEDS_TOKEN: &str = "You can only get the first 2000 records without using page_token param";
const TOO_FAR: &str = "You can only get upto 100000 records using page_token param";
