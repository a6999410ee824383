//! The client of Zoho CRM: what one caller may see of it, for the length of one call.

pub mod accounts;
pub mod activities;
pub mod agenda;
mod allowance;
mod answer;
mod breaker;
pub mod cases;
pub mod client;
mod code;
mod config;
pub mod contacts;
pub mod coql;
pub mod criteria;
mod data_center;
pub mod deals;
pub mod error;
mod exchange;
#[cfg(test)]
mod exchanges;
pub mod fields;
mod flights;
mod http;
pub mod id;
mod keeping;
mod kept;
pub mod leads;
mod mints;
pub mod module;
pub mod notes;
pub mod org;
mod people;
mod pulse;
pub mod records;
#[cfg(test)]
mod recovery;
mod retry;
mod row;
mod scope;
#[cfg(test)]
mod scripted;
mod search;
#[cfg(test)]
mod signing_in;
mod silence;
mod stages;
mod tally;
pub mod text;
mod token;
mod totals;
mod users;
mod values;
#[cfg(test)]
mod visibility;
pub mod written;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

pub use allowance::Usage;
pub use client::{Crm, Listed, Page, Spender, State, Status, Zoho};
pub use config::{BadConfig, Config, Credentials, DataCenter, Sharing};
pub use error::{Code, Problem, Purse, UserProblem, ZohoError};
pub use http::{HttpSetup, http_client};
pub use id::RecordId;
pub use module::Module;
pub use people::BadPeople;
pub use scope::{Scope, Unsearched};
pub use search::Search;
pub use stages::{Closing, Stages};
pub use tally::Tally;
pub use text::CrmText;
pub use values::{Values, same_text};

/// A lookup to another record, or a user.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Reference {
    /// The record's id.
    pub id: RecordId,
    /// Its name, where Zoho gave one.
    pub name: Option<CrmText>,
}

/// Input of ours that Zoho would refuse or misread; `parameter` is its name in Zoho's interface.
fn refused(parameter: &str) -> ZohoError {
    ZohoError::Unasked {
        parameter: Code::new(parameter),
    }
}

/// When `span` has passed, for the log.
fn until(span: Duration) -> String {
    let until = Timestamp::now().checked_add(span);
    until.map_or_else(|_| String::new(), |until| format!("{until:.0}"))
}

/// None of our critical sections can leave a value half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
