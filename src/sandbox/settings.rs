//! What Zoho's sources do not agree on, or what differs between organisations: a switch for each, so
//! that a client can be tried against both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{problem::Problem, reply::Reply};

/// The switches, by the names that `--set` and `POST /__sim/settings` know.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Credits in a rolling day.
    pub daily_credits: u64,
    /// Requests that may be in flight at the same time.
    pub concurrency: usize,
    /// Whether a request that fails costs credits.
    pub failed_calls_cost: bool,
    /// Status of a refused token request, apart from too many of them: 200 or 400.
    pub token_error_status: u16,
    /// Status of too many of them: 400 or 200.
    pub token_denied_status: u16,
    /// Whether a token's answer names its scope.
    pub token_scope: bool,
    /// Whether `expires_in` is in milliseconds, and `expires_in_sec` stands beside it.
    pub legacy_expiry: bool,
    /// Whether the grant `client_credentials` is known.
    pub client_credentials: bool,
    /// Access tokens of one refresh token that work at the same time: 15 or 10.
    pub live_tokens: usize,
    /// What the refresh tokens were granted, separated by spaces.
    pub scopes: String,
    /// How an id that is not known is answered: 204 or 400.
    pub unknown_id_status: u16,
    /// Which errors stand in `data[]`.
    pub wrapped_errors: Wrapped,
    /// The code of too many requests at once, but for searches, which have one.
    pub busy_code: BusyCode,
    /// `Retry-After` of a 429, in seconds; none is sent for 0.
    pub retry_after: u32,
    /// Spent credits are told as the oldest versions do: a number for a code, a list for details.
    pub legacy_spent: bool,
    /// Conditions of a search: 15 or 10.
    pub search_criteria: usize,
    /// How long a search does not find what was written, in milliseconds.
    pub search_index_delay_ms: u32,
    /// Columns of a query: 50 or 500.
    pub coql_columns: usize,
    /// Whether a backslash takes the next character of a text in a query literally.
    pub coql_backslash: bool,
    /// Lines of a timeline when nothing else is asked for: 25, 10 or 200.
    pub timeline_per_page: usize,
    /// Whether no two contacts and no two leads may have the same e-mail address.
    pub unique_email: bool,
    /// What the stages of deals are called. The deals go along, their timelines do not.
    pub stages: Stages,
    /// What everybody may do with the records of a module; private where it is not named.
    pub sharing: BTreeMap<String, Share>,
    /// Records of one user that another one sees as well.
    pub sharing_rules: Vec<SharingRule>,
    /// `Module.Field`s that only administrators see.
    pub hidden_fields: Vec<String>,
    /// What becomes of a value that somebody writes to a field that is hidden from them.
    pub hidden_writes: HiddenWrites,
}

/// The default of a module's records for those who do not own them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as in the CRM")]
pub enum Share {
    Private,
    PublicReadOnly,
    PublicReadWrite,
}

/// What an organisation calls the stages of its deals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stages {
    /// As Zoho ships them.
    #[default]
    Standard,
    /// By names of its own.
    Renamed,
}

/// Shares what one user owns in a module with another user; both by e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SharingRule {
    pub module: String,
    pub from: String,
    pub to: String,
    #[serde(default)]
    pub write: bool,
}

/// Which errors stand in `data[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrapped {
    /// Those of writes, as the examples of the documentation have it.
    Writes,
    /// None.
    Never,
    /// All but those of who may not call at all.
    Always,
}

/// What becomes of a value for a field that is hidden from the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenWrites {
    /// It is passed over, as that of a field that does not exist.
    Dropped,
    /// The row is refused.
    Refused,
}

/// The code of too many requests at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the codes themselves")]
pub enum BusyCode {
    TooManyRequests,
    RateLimitExceeded,
}

/// Why a setting is not accepted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadSetting {
    #[error("`{0}` is not NAME=VALUE")]
    Form(String),
    #[error(transparent)]
    Value(#[from] serde_json::Error),
    #[error("{name} is one of {values}")]
    Choice {
        name: &'static str,
        values: &'static str,
    },
}

impl Default for Settings {
    /// An Enterprise edition with ten users, and what the newest sources say.
    fn default() -> Self {
        Self {
            daily_credits: 60_000,
            concurrency: 20,
            failed_calls_cost: true,
            token_error_status: 200,
            token_denied_status: 400,
            token_scope: true,
            legacy_expiry: false,
            client_credentials: true,
            live_tokens: 15,
            scopes: GRANTED.to_owned(),
            unknown_id_status: 204,
            wrapped_errors: Wrapped::Writes,
            busy_code: BusyCode::TooManyRequests,
            retry_after: 0,
            legacy_spent: false,
            search_criteria: 15,
            search_index_delay_ms: 0,
            coql_columns: 50,
            coql_backslash: true,
            timeline_per_page: 25,
            unique_email: false,
            stages: Stages::Standard,
            sharing: BTreeMap::new(),
            sharing_rules: Vec::new(),
            hidden_fields: Vec::new(),
            hidden_writes: HiddenWrites::Dropped,
        }
    }
}

impl Settings {
    /// The same with some of them changed.
    ///
    /// # Errors
    /// A name or a value that is not known.
    pub fn with(&self, changes: Value) -> Result<Self, BadSetting> {
        let changes: Map<String, Value> = serde_json::from_value(changes)?;
        let mut all: Map<String, Value> = serde_json::from_value(serde_json::to_value(self)?)?;
        all.extend(changes);
        let settings: Self = serde_json::from_value(all.into())?;
        settings.check()
    }

    /// The same with one changed, as `NAME=VALUE`; a value that is not JSON is a text.
    ///
    /// # Errors
    /// As [`Settings::with`].
    pub fn set(&self, text: &str) -> Result<Self, BadSetting> {
        let bad = || BadSetting::Form(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        self.with(json!({ name: value }))
    }

    fn check(self) -> Result<Self, BadSetting> {
        let choice = |name, values| Err(BadSetting::Choice { name, values });
        if !matches!(self.token_error_status, 200 | 400) {
            return choice("token_error_status", "200 and 400");
        }
        if !matches!(self.token_denied_status, 200 | 400) {
            return choice("token_denied_status", "200 and 400");
        }
        if !matches!(self.unknown_id_status, 204 | 400) {
            return choice("unknown_id_status", "204 and 400");
        }
        if !(1..=200).contains(&self.timeline_per_page) {
            return choice("timeline_per_page", "1 to 200");
        }
        Ok(self)
    }

    /// What an id that is not known is answered with, where that is an error.
    pub(super) fn unknown_id(&self) -> Option<Problem> {
        (self.unknown_id_status == 400).then(Problem::bad_id)
    }

    /// How a request for `path` is refused before it is looked at.
    pub(super) fn refusal(&self, path: &str, problem: &Problem) -> Reply {
        if problem.status != 429 {
            return Reply::json(problem.status, Some(&problem.body()));
        }
        let mut body = problem.body();
        if problem.message != Problem::too_many_at_once().message {
            if self.legacy_spent {
                body = json!({"code": 429, "details": [], "error": "TOO_MANY_REQUESTS", "error_info": SPENT});
            }
        } else if self.busy_code == BusyCode::RateLimitExceeded || path.ends_with("/search") {
            let message = "Too many requests. Please try again later.";
            body = Problem::plain(429, "RATE_LIMIT_EXCEEDED", message).body();
        }
        let reply = Reply::json(429, Some(&body));
        match self.retry_after {
            0 => reply,
            seconds => reply.with(http::header::RETRY_AFTER, seconds.to_string()),
        }
    }

    /// Whether an error of a write, or of a read, stands in `data[]`.
    pub(super) fn wraps(&self, is_write: bool) -> bool {
        match self.wrapped_errors {
            Wrapped::Writes => is_write,
            Wrapped::Never => false,
            Wrapped::Always => true,
        }
    }
}

const GRANTED: &str = "ZohoCRM.modules.ALL ZohoCRM.coql.READ ZohoSearch.securesearch.READ \
    ZohoCRM.users.READ ZohoCRM.org.READ ZohoCRM.settings.ALL";
const SPENT: &str = "Many requests fired than the allowed limit for the past 24 hours.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_changed_by_its_name_and_the_others_stay() {
        let settings = Settings::default()
            .set("unknown_id_status=400")
            .and_then(|settings| settings.set("busy_code=RATE_LIMIT_EXCEEDED"))
            .and_then(|settings| settings.set(r#"sharing={"Deals":"public_read_only"}"#))
            .unwrap();
        assert_eq!(settings.unknown_id_status, 400);
        assert_eq!(settings.busy_code, BusyCode::RateLimitExceeded);
        assert_eq!(settings.sharing["Deals"], Share::PublicReadOnly);
        assert_eq!(settings.live_tokens, 15);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "live_tokens",
            "life=3",
            "live_tokens=many",
            "unknown_id_status=404",
            "token_error_status=500",
            "timeline_per_page=0",
            "busy_code=Busy",
            "stages=many",
            r#"sharing={"Deals":"open"}"#,
        ] {
            assert!(Settings::default().set(text).is_err(), "{text}");
        }
        assert!(Settings::default().with(json!([])).is_err());
    }

    #[test]
    fn every_setting_is_documented() {
        let page = include_str!("../../docs/sandbox.md");
        let all = serde_json::to_value(Settings::default()).unwrap();
        for name in all.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
