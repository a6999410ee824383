//! What `[limits]` says, and the rules that follow from it.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;

use crate::setting::{Limit, LimitMode, OnStoreError};

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For all callers together.
    pub global: Limit,
    /// For each client.
    pub client: Limit,
    /// For each person behind a client; as much as a client has when it is left out.
    pub user: Option<Limit>,
    /// For each client and each of the tools named, beside what the client has for all tools.
    #[serde(default)]
    pub tools: BTreeMap<String, Limit>,
    /// Failed logins for each address: a burst of so many, then so many in each span.
    pub failed_logins: Limit,
    /// Calls that one client may have in flight.
    pub in_flight: AtOnce,
    /// Calls that all clients together may have in flight.
    pub in_flight_total: AtOnce,
    /// What a limit that does not say so itself does while Redis cannot be asked.
    pub on_store_error: OnStoreError,
    /// How a refusal is answered.
    pub answer: Answer,
}

/// How many calls at the same time: `32`, or `{ calls = 32, mode = "shadow" }` to try it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenAtOnce")]
pub struct AtOnce {
    /// At most this many.
    pub calls: NonZeroU32,
    /// Whether it refuses.
    pub mode: LimitMode,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of calls that is not 0, or { calls = 32, mode = \"shadow\" }"
)]
enum WrittenAtOnce {
    Calls(NonZeroU32),
    Table(TableAtOnce),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableAtOnce {
    calls: NonZeroU32,
    #[serde(default)]
    mode: LimitMode,
}

impl From<WrittenAtOnce> for AtOnce {
    fn from(written: WrittenAtOnce) -> Self {
        match written {
            WrittenAtOnce::Calls(calls) => Self {
                calls,
                mode: LimitMode::Enforce,
            },
            WrittenAtOnce::Table(TableAtOnce { calls, mode }) => Self { calls, mode },
        }
    }
}

/// How a refusal is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// With status 429 and a JSON-RPC error.
    Http,
    /// With a tool result that is an error, for agents that give up on HTTP errors.
    ToolError,
}

impl Config {
    /// Whether the section can be used; `known_tools` are the names in the table of tools.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, known_tools: &[&str]) -> Result<(), Vec<BadLimit>> {
        let fixed = [
            ("limits.global", Some(self.global)),
            ("limits.client", Some(self.client)),
            ("limits.user", self.user),
            ("limits.failed_logins", Some(self.failed_logins)),
        ];
        let fixed = fixed
            .into_iter()
            .filter_map(|(key, quota)| Some((key.to_owned(), quota?)));
        let tools = self
            .tools
            .iter()
            .map(|(tool, &quota)| (format!("limits.tools.{tool}"), quota));
        let unknown = self
            .tools
            .keys()
            .filter(|tool| !known_tools.contains(&tool.as_str()))
            .map(|tool| BadLimit::UnknownTool { tool: tool.clone() });
        let failed = self.failed_logins;
        let shadow = (failed.mode == LimitMode::Shadow).then_some(BadLimit::FailuresWatched);
        let store = failed.on_store_error.map(|_| BadLimit::FailuresInStore);
        let bad = fixed.chain(tools).filter_map(bad_quota).chain(unknown);
        let bad = bad.chain(shadow).chain(store);
        none_of(bad.chain(self.above_total()))
    }

    /// A client cannot have more calls in flight than all have together.
    fn above_total(&self) -> Option<BadLimit> {
        let (client, total) = (self.in_flight, self.in_flight_total);
        let enforced = [client, total].map(|it| it.mode == LimitMode::Enforce);
        (enforced == [true; 2] && client.calls > total.calls).then_some(BadLimit::AboveTotal {
            client: client.calls,
            total: total.calls,
        })
    }
}

/// How many calls may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) client: u32,
    pub(super) total: u32,
    /// What watches refuses nothing.
    pub(super) watches_client: bool,
    pub(super) watches_total: bool,
}

impl Room {
    /// One instance's part of it.
    pub(super) fn share(self, replicas: u32) -> Self {
        Self {
            client: share(self.client, replicas),
            total: share(self.total, replicas),
            ..self
        }
    }
}

/// One instance's part of a limit: together they never have more than the whole, but that each
/// has one at least.
pub(super) fn share(limit: u32, replicas: u32) -> u32 {
    (limit / replicas.max(1)).max(1)
}

/// The limits in force: the section, and what single clients have instead of `client`.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(super) global: Limit,
    pub(super) client: Limit,
    pub(super) user: Limit,
    pub(super) tools: HashMap<Arc<str>, Limit>,
    pub(super) clients: HashMap<Arc<str>, Limit>,
    pub(super) in_flight: Room,
    pub(super) on_store_error: OnStoreError,
}

impl Rules {
    /// `clients` are the clients that have limits of their own.
    ///
    /// # Errors
    /// Those of them that cannot be kept.
    pub fn new(
        config: &Config,
        clients: impl IntoIterator<Item = (Arc<str>, Limit)>,
    ) -> Result<Self, Vec<BadLimit>> {
        let clients: HashMap<Arc<str>, Limit> = clients.into_iter().collect();
        let bad = clients
            .iter()
            .map(|(client, &quota)| (format!("clients.{client}.limits"), quota))
            .filter_map(bad_quota);
        none_of(bad)?;
        Ok(Self {
            global: config.global,
            client: config.client,
            user: config.user.unwrap_or(config.client),
            tools: config
                .tools
                .iter()
                .map(|(tool, &quota)| (tool.as_str().into(), quota))
                .collect(),
            clients,
            in_flight: Room {
                client: config.in_flight.calls.get(),
                total: config.in_flight_total.calls.get(),
                watches_client: config.in_flight.mode == LimitMode::Shadow,
                watches_total: config.in_flight_total.mode == LimitMode::Shadow,
            },
            on_store_error: config.on_store_error,
        })
    }
}

/// A limit that cannot be kept, and where it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadLimit {
    #[error("{key}.per is longer than 24h")]
    TooLong { key: String },
    #[error("{key}.requests is more than 1000000")]
    TooMany { key: String },
    #[error("limits.tools.{tool}: no tool has this name")]
    UnknownTool { tool: String },
    #[error(
        "limits.failed_logins.mode: it cannot only watch, since it also bounds what guesses cost and write into the log"
    )]
    FailuresWatched,
    #[error(
        "limits.failed_logins.on_store_error: it has no effect, each instance counts for itself"
    )]
    FailuresInStore,
    #[error(
        "limits.in_flight is {client}, more than limits.in_flight_total, {total}: no client could ever have so many"
    )]
    AboveTotal {
        client: NonZeroU32,
        total: NonZeroU32,
    },
}

impl BadLimit {
    /// What mends it; `tools` are the names of all.
    pub fn remedy(&self, tools: &str) -> String {
        match self {
            Self::TooLong { .. } | Self::TooMany { .. } => {
                "a window is at most 24h and 1000000 requests".to_owned()
            }
            Self::UnknownTool { .. } => format!("the tools are: {tools}"),
            Self::FailuresWatched => "leave mode out, or allow more requests".to_owned(),
            Self::FailuresInStore => "leave on_store_error out".to_owned(),
            Self::AboveTotal { .. } => {
                "lower limits.in_flight, or raise limits.in_flight_total".to_owned()
            }
        }
    }
}

fn bad_quota((key, quota): (String, Limit)) -> Option<BadLimit> {
    if quota.per.duration() > MAX_WINDOW {
        Some(BadLimit::TooLong { key })
    } else if quota.requests.get() > MAX_REQUESTS {
        Some(BadLimit::TooMany { key })
    } else {
        None
    }
}

fn none_of(bad: impl Iterator<Item = BadLimit>) -> Result<(), Vec<BadLimit>> {
    let bad: Vec<BadLimit> = bad.collect();
    match bad.is_empty() {
        true => Ok(()),
        false => Err(bad),
    }
}

const MAX_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// Each window remembers every call in it.
const MAX_REQUESTS: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Quota;

    const LEAST: &str = "global = { requests = 1, per = \"1m\" }\nanswer = \"http\"";

    fn config(text: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(&format!(
            "client = {{ requests = 60, per = \"1m\" }}
             failed_logins = {{ requests = 10, per = \"1m\" }}
             in_flight = 32
             in_flight_total = 500
             on_store_error = \"local\"
             {text}"
        ))
    }

    #[test]
    fn a_sound_section_is_taken() {
        let config = config(
            "answer = \"tool_error\"
             global = { requests = 1000000, per = \"24h\" }
             [tools]
             report = { requests = 10, per = \"1m\" }",
        )
        .unwrap();
        assert_eq!(config.check(&["search", "report"]), Ok(()));
        assert_eq!(config.answer, Answer::ToolError);
        let rules = Rules::new(&config, []).unwrap();
        assert_eq!(rules.user, config.client);
    }

    #[test]
    fn every_bad_limit_is_named_with_its_key() {
        let config = config(
            "answer = \"http\"
             global = { requests = 1000001, per = \"1m\" }
             [tools]
             reprot = { requests = 10, per = \"25h\" }",
        )
        .unwrap();
        let bad = config.check(&["report"]).unwrap_err();
        let texts: Vec<String> = bad.iter().map(BadLimit::to_string).collect();
        assert_eq!(
            texts,
            [
                "limits.global.requests is more than 1000000",
                "limits.tools.reprot.per is longer than 24h",
                "limits.tools.reprot: no tool has this name",
            ]
        );
        let own = Quota {
            requests: 1.try_into().unwrap(),
            per: "2d".parse().unwrap(),
        };
        let bad = Rules::new(&config, [("agent".into(), own.into())]).unwrap_err();
        assert_eq!(
            bad[0].to_string(),
            "clients.agent.limits.per is longer than 24h"
        );
    }

    #[test]
    fn a_limit_may_be_tried_out_and_may_say_what_it_does_without_redis() {
        let config = config(
            "answer = \"http\"
             global = { requests = 9, per = \"1s\", mode = \"shadow\", on_store_error = \"closed\" }",
        )
        .unwrap();
        assert_eq!(config.global.mode, LimitMode::Shadow);
        assert_eq!(config.global.on_store_error, Some(OnStoreError::Closed));
        assert_eq!(config.client.mode, LimitMode::Enforce);
    }

    #[test]
    fn calls_at_the_same_time_may_be_watched_and_failed_logins_may_not() {
        let at_once = |text: &str| {
            toml::from_str::<Config>(&format!(
                "{LEAST}\nclient = {{ requests = 60, per = \"1m\" }}
                 failed_logins = {{ requests = 9, per = \"1m\", mode = \"shadow\", on_store_error = \"open\" }}
                 in_flight = {text}\nin_flight_total = 500\non_store_error = \"local\""
            ))
        };
        let config = at_once("{ calls = 3, mode = \"shadow\" }").unwrap();
        assert_eq!(config.in_flight.mode, LimitMode::Shadow);
        assert_eq!(config.in_flight_total.calls.get(), 500);
        let bad = config.check(&[]).unwrap_err();
        assert_eq!(bad, [BadLimit::FailuresWatched, BadLimit::FailuresInStore]);
        for wrong in ["0", "-1", "\"3\"", "{ calls = 3, per = \"1m\" }"] {
            let told = at_once(wrong).unwrap_err().to_string();
            assert!(told.contains("a number of calls that is not 0"), "{told}");
        }
    }

    #[test]
    fn one_client_cannot_have_more_calls_in_flight_than_all_together() {
        let mut config = config(LEAST).unwrap();
        config.in_flight.calls = 501.try_into().unwrap();
        let bad = config.check(&[]).unwrap_err();
        let told = "limits.in_flight is 501, more than limits.in_flight_total, 500";
        assert!(bad[0].to_string().starts_with(told), "{bad:?}");
        config.in_flight_total.mode = LimitMode::Shadow;
        assert_eq!(
            config.check(&[]),
            Ok(()),
            "what only watches bounds nothing"
        );
        config.in_flight_total = config.in_flight;
        assert_eq!(config.check(&[]), Ok(()));
    }

    #[test]
    fn shares_never_add_up_to_more_than_the_whole() {
        for (limit, replicas) in [(60, 2), (61, 2), (500, 3), (10, 10)] {
            assert!(share(limit, replicas) * replicas <= limit);
        }
        assert_eq!((share(60, 0), share(60, 1), share(2, 5)), (60, 60, 1));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(config(LEAST).is_ok());
        assert!(config(&format!("{LEAST}\nclients = 1")).is_err());
        assert!(config(&LEAST.replace("requests = 1", "requests = 0")).is_err());
        assert!(config(&LEAST.replace("http", "tcp")).is_err());
    }
}
