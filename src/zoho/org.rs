//! The organisation's own settings, kept for an hour.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{Crm, ZohoError, scope::Scoped};

/// What reports need to know of the organisation.
#[derive(Clone, Debug)]
pub struct Org {
    /// ISO 4217 code.
    pub currency: Box<str>,
    pub time_zone: TimeZone,
}

impl Crm {
    /// The organisation's settings, from a cache of an hour.
    pub async fn org(&self) -> Result<Arc<Org>, ZohoError> {
        let fetch = async { self.one::<Row, Org>(&Scoped::org(self)).await };
        self.zoho.org.get(self.deadline, fetch).await
    }
}

#[derive(Deserialize)]
struct Row {
    iso_code: Option<String>,
    /// As in `US Dollar - USD`.
    currency: Option<String>,
    time_zone: Option<String>,
}

impl From<Row> for Org {
    fn from(row: Row) -> Self {
        let named = row
            .currency
            .as_deref()
            .and_then(|name| name.rsplit(' ').next());
        let code = [row.iso_code.as_deref(), named]
            .into_iter()
            .flatten()
            .find(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()));
        let zone = row
            .time_zone
            .as_deref()
            .and_then(|name| TimeZone::get(name).ok());
        Self {
            currency: code.unwrap_or(NO_CURRENCY).into(),
            time_zone: zone.unwrap_or(TimeZone::UTC),
        }
    }
}

/// ISO 4217 for "no currency".
const NO_CURRENCY: &str = "XXX";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_currency_is_read_from_either_field() {
        for (text, currency) in [
            (
                r#"{"iso_code":"EUR","currency":"Euro - EUR","time_zone":"Europe/Berlin"}"#,
                "EUR",
            ),
            (
                r#"{"currency":"US Dollar - USD","time_zone":"America/New_York"}"#,
                "USD",
            ),
            (
                r#"{"iso_code":"dollars","time_zone":"Nowhere/Land"}"#,
                "XXX",
            ),
        ] {
            let org: Org = serde_json::from_str::<Row>(text).unwrap().into();
            assert_eq!(&*org.currency, currency);
            assert_eq!(org.time_zone == TimeZone::UTC, currency == "XXX");
        }
    }
}
