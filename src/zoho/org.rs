//! The organisation's own settings, kept for an hour.

use super::{Crm, ZohoError};
use std::sync::Arc;

/// What reports need to know of the organisation.
#[derive(Clone, Debug)]
pub struct Org {
    /// ISO 4217 code.
    pub currency: Box<str>,
    pub time_zone: jiff::tz::TimeZone,
}

impl Crm {
    /// The organisation's settings, from a cache of an hour.
    pub async fn org(&self) -> Result<Arc<Org>, ZohoError> {
        todo!()
    }
}
