//! Limits that another one never lets anybody reach. They are legal, because an operator who lowers
//! a limit in a hurry must not be refused, and yet are hardly what was meant.

use super::rules::Config;
use crate::setting::{Limit, LimitMode};

/// A limit that has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key}: {} per {} are never reached, since {bound_key} allows {} per {}; lower it, raise \
     {bound_key}, or leave it out",
    .limit.requests, .limit.per, .bound.requests, .bound.per
)]
pub struct Unreached {
    key: String,
    limit: Limit,
    bound_key: &'static str,
    bound: Limit,
}

/// Those of a section. `clients` are the limits of those that have one of their own.
pub fn unreached(config: &Config, clients: &[(&str, Limit)]) -> impl Iterator<Item = Unreached> {
    let own = clients
        .iter()
        .map(|(name, limit)| (format!("clients.{name}.limits"), *limit));
    let by_global = std::iter::once(("limits.client".to_owned(), config.client)).chain(own);
    let by_global: Vec<_> = by_global.collect();
    // What is above one client's limit may still hold for another.
    let widest = |limit: &Limit| {
        by_global
            .iter()
            .all(|(_, bound)| never_reaches(bound, limit))
    };
    let tools = config.tools.iter();
    let tools = tools.map(|(tool, limit)| (format!("limits.tools.{tool}"), *limit));
    let user = config.user.map(|limit| ("limits.user".to_owned(), limit));
    let by_client: Vec<_> = tools
        .chain(user)
        .filter(|(_, limit)| widest(limit))
        .map(|it| (it, ("limits.client", config.client)))
        .collect();
    let global = config.global;
    by_global
        .into_iter()
        .filter(move |(_, limit)| never_reaches(&global, limit))
        .map(move |it| (it, ("limits.global", global)))
        .chain(by_client)
        .map(|((key, limit), (bound_key, bound))| Unreached {
            key,
            limit,
            bound_key,
            bound,
        })
}

/// Whether whoever keeps to `bound` keeps to `limit` as well, with room to spare.
fn never_reaches(bound: &Limit, limit: &Limit) -> bool {
    bound.mode == LimitMode::Enforce
        && bound.requests < limit.requests
        && bound.per.duration() >= limit.per.duration()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(requests: u32, per: &str) -> Limit {
        Limit::from(crate::setting::Quota {
            requests: requests.try_into().unwrap(),
            per: per.parse().unwrap(),
        })
    }

    fn keys(tool: Limit, clients: &[(&str, Limit)]) -> Vec<String> {
        let mut config: Config = toml::from_str(
            "global = { requests = 500, per = \"1m\" }
             client = { requests = 60, per = \"1m\" }
             failed_logins = { requests = 10, per = \"1m\" }
             in_flight = 32
             in_flight_total = 500
             on_store_error = \"local\"
             answer = \"http\"",
        )
        .unwrap();
        config.tools.insert("report".to_owned(), tool);
        unreached(&config, clients).map(|it| it.key).collect()
    }

    #[test]
    fn a_tool_may_not_be_called_more_often_than_a_client_may_call() {
        let never = ["limits.tools.report"];
        assert_eq!(keys(limit(61, "1m"), &[]), never);
        assert_eq!(keys(limit(61, "1s"), &[]), never);
        for reached in [limit(60, "1m"), limit(10, "1m"), limit(61, "2m")] {
            assert!(keys(reached, &[]).is_empty(), "{reached:?}");
        }
        let larger = [("agent", limit(120, "1m"))];
        assert!(
            keys(limit(61, "1m"), &larger).is_empty(),
            "it holds for that one"
        );
    }

    #[test]
    fn a_client_may_not_call_more_often_than_all_together() {
        let own = [("agent", limit(600, "1m"))];
        assert_eq!(keys(limit(1, "1m"), &own), ["clients.agent.limits"]);
    }
}
