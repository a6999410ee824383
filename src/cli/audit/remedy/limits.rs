//! What helps somebody who was over a limit, or whom a limit could not count.

use serde_json::Value;

use super::{Remedy, Settings, of_line, path};

pub(super) fn over(line: &Value, settings: &Settings<'_>) -> Remedy {
    let policy = of_line(line, "policy");
    let keys: Vec<_> = names(policy)
        .filter_map(|name| key_of(name, line, settings))
        .collect();
    let (why, what, keys) = match of_line(line, "reason") {
        "store_unavailable" => (
            format!("Redis could not be asked, and {policy} admits nothing then"),
            "see to Redis, or let each instance keep its share meanwhile: on_store_error = \"local\"",
            without_redis(keys, settings),
        ),
        "share" => (
            format!(
                "Redis could not be asked, and this instance's share of the limit {policy} is used up: the limit by the number of instances. The limit itself may not be"
            ),
            "see to Redis: the whole limit counts again once it answers. Until then expected_replicas says how many instances share it, if fewer run, and on_store_error what a limit does without Redis",
            path(["redis", "expected_replicas"])
                .into_iter()
                .chain(without_redis(keys, settings))
                .collect(),
        ),
        _ if policy == "zoho-places" => (
            "so many calls waited for Zoho that this one would have waited longer than it may, so it was refused at once".into(),
            "try again as it was told. If it happens often, see whether Zoho is slow or does not answer; allow more requests at once ([zoho] concurrency), if Zoho does, or a longer wait",
            keys,
        ),
        _ => (
            format!("over the limit {policy}"),
            match keys.len() {
                0 | 1 => "wait as long as it was told, call less, or raise the limit",
                _ => "wait as long as it was told, call less, or raise the limits: each of them alone would have refused",
            },
            keys,
        ),
    };
    let mut keys = keys.into_iter();
    Remedy {
        why,
        what: what.to_owned(),
        setting: keys.next(),
        and: keys.collect(),
    }
}

/// The limits of a policy such as `client, 2 per 1m; client:tool, 2 per 1m`.
fn names(policy: &str) -> impl Iterator<Item = &str> {
    let limits = policy.split(';');
    limits.filter_map(|limit| limit.split(',').next().map(str::trim))
}

/// The key that sets the limit of that name for the caller of the line.
fn key_of(name: &str, line: &Value, settings: &Settings<'_>) -> Option<Vec<String>> {
    let own = ["clients", of_line(line, "clientId"), "limits"];
    match name {
        "client" | "lookups" if settings.sets(&own) => path(own),
        "lookups" => path(["limits", "client"]),
        "client:tool" | "tool" => path(["limits", "tools", of_line(line, "toolName")]),
        "zoho-places" => path(["zoho", "max_wait"]),
        "body_memory" => path(["mcp", "body_memory"]),
        other => path(["limits", other]),
    }
}

/// What says what these limits do without Redis: they themselves, or the line for all.
fn without_redis(limits: Vec<Vec<String>>, settings: &Settings<'_>) -> Vec<Vec<String>> {
    const KEY: &str = "on_store_error";
    let mut keys: Vec<Vec<String>> = Vec::new();
    for mut limit in limits {
        limit.push(KEY.to_owned());
        let own: Vec<_> = limit.iter().map(String::as_str).collect();
        let key = match settings.sets(&own) {
            true => limit,
            false => vec!["limits".to_owned(), KEY.to_owned()],
        };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{of, told_keys},
        *,
    };
    use crate::config::Environment;

    const CONFIG: &str = "\
[limits]
client = { requests = 60, per = \"1m\", on_store_error = \"closed\" }

[clients.\"a-b\"]
role = \"support\"
limits = { requests = 1, per = \"1m\" }
[clients.c]
role = \"support\"
";

    fn keys(line: &Value, environment: &[(&str, &str)]) -> Vec<String> {
        let environment: Environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let settings = Settings::new(Some(("f", CONFIG)), &environment).unwrap();
        told_keys(of(line, &settings).unwrap())
    }

    fn line(client: &str, policy: &str, reason: &str) -> Value {
        json!({ "event": "rate_limit_exceeded", "clientId": client, "toolName": "whoami",
            "policy": policy, "reason": reason })
    }

    #[test]
    fn a_client_with_a_limit_of_its_own_is_told_that_one() {
        let told = |client, environment| keys(&line(client, "client, 1 per 1m", ""), environment);
        assert_eq!(told("a-b", &[]), ["clients.a-b.limits"]);
        assert_eq!(told("c", &[]), ["limits.client"]);
        let own = [(
            "ZOHO_MCP__CLIENTS__C__LIMITS",
            "{ requests = 1, per = \"1m\" }",
        )];
        assert_eq!(told("c", &own), ["clients.c.limits"]);
    }

    #[test]
    fn each_of_several_limits_is_told() {
        let policy = "client, 2 per 1m; client:tool, 2 per 1m";
        let told = keys(&line("c", policy, ""), &[]);
        assert_eq!(told, ["limits.client", "limits.tools.whoami"]);
    }

    #[test]
    fn what_a_limit_does_without_redis_is_told_where_it_is_said() {
        let told = |client, policy, reason| keys(&line(client, policy, reason), &[]);
        let closed = "store_unavailable";
        let own = "limits.client.on_store_error";
        assert_eq!(told("c", "client, 60 per 1m", closed), [own]);
        let general = "limits.on_store_error";
        assert_eq!(told("a-b", "client, 1 per 1m", closed), [general]);
        let both = "global, 9 per 1m; client, 60 per 1m";
        assert_eq!(told("c", both, closed), [general, own]);
        let share = told("c", "client, 60 per 1m", "share");
        assert_eq!(share, ["redis.expected_replicas", own]);
    }
}
