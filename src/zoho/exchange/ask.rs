//! What is asked of Zoho, apart from who asks and when.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::zoho::{Page, ZohoError, coql::Select, refused, retry::Effect, tally, token::Kind};

/// A request.
#[derive(Clone)]
pub(in crate::zoho) struct Ask {
    pub(super) method: Method,
    /// For the log: the path without ids.
    pub(super) route: &'static str,
    /// Path and query below the version.
    pub(super) target: String,
    pub(super) body: Option<Bytes>,
    pub(super) credits: u32,
    pub(super) effect: Effect,
    pub(in crate::zoho) query: bool,
    /// Not worth another try.
    pub(super) once: bool,
    /// Sent as `If-Unmodified-Since`.
    pub(super) unmodified_since: Option<Box<str>>,
}

impl Ask {
    /// A `GET`; `path` is made of our own names and record ids.
    pub(in crate::zoho) fn get(route: &'static str, path: &str) -> Self {
        Self {
            method: Method::GET,
            route,
            target: path.to_owned(),
            body: None,
            credits: 1,
            effect: Effect::Read,
            query: false,
            once: false,
            unmodified_since: None,
        }
    }

    /// The same, tried once.
    #[must_use]
    pub(in crate::zoho) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// All that Zoho hears of it.
    pub(in crate::zoho) fn question(&self) -> Box<[u8]> {
        let body = self.body.as_deref().unwrap_or_default();
        [self.target.as_bytes(), b"\n", body].concat().into()
    }

    pub(super) fn kind(&self) -> Kind {
        (tally::name(&self.method), self.route)
    }

    /// Whether it changes nothing.
    pub(in crate::zoho) fn is_read(&self) -> bool {
        self.effect == Effect::Read
    }

    /// A `POST` that changes the CRM.
    pub(in crate::zoho) fn write(
        route: &'static str,
        body: &impl Serialize,
    ) -> Result<Self, ZohoError> {
        Ok(Self {
            method: Method::POST,
            body: Some(json(body)?),
            effect: Effect::Write,
            ..Self::get(route, route)
        })
    }

    /// A `PUT` of a record, refused if it was changed after `since`.
    pub(in crate::zoho) fn change(
        route: &'static str,
        path: &str,
        body: &impl Serialize,
        since: Option<&str>,
    ) -> Result<Self, ZohoError> {
        Ok(Self {
            method: Method::PUT,
            body: Some(json(body)?),
            effect: Effect::Write,
            unmodified_since: since.map(Into::into),
            ..Self::get(route, path)
        })
    }

    /// A query.
    pub(in crate::zoho) fn coql(select: &Select) -> Result<Self, ZohoError> {
        #[derive(Serialize)]
        struct Body {
            select_query: String,
        }
        let select_query = select.render()?;
        Ok(Self {
            method: Method::POST,
            body: Some(json(&Body { select_query })?),
            credits: select.credits(),
            query: true,
            ..Self::get("coql", "coql")
        })
    }

    /// Adds a parameter.
    #[must_use]
    pub(in crate::zoho) fn with(mut self, name: &str, value: &str) -> Self {
        self.target
            .push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        self.target.extend(utf8_percent_encode(value, &RESERVED));
        self
    }

    /// Adds a page; Zoho gives the first 2000 records this way.
    pub(in crate::zoho) fn page(self, page: Page) -> Result<Self, ZohoError> {
        let (number, size) = (page.number, page.size);
        let last = u64::from(number) * u64::from(size);
        if number == 0 || size == 0 || size > MOST_ROWS || last > LAST_ROW {
            return Err(refused("page"));
        }
        Ok(self
            .with("page", &number.to_string())
            .with("per_page", &size.to_string()))
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, ZohoError> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|_| refused("body"))
}

const MOST_ROWS: u32 = 200;
const LAST_ROW: u64 = 2000;
/// All but what a query may hold as it is.
const RESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
