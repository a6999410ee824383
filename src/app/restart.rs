//! What a changed configuration says that a running daemon cannot take: it counts after a restart.

use toml::{Table, Value};

/// The keys that are different and that a reload does not apply, by their paths.
pub(super) fn needed_for(started: &Table, now: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    walk("", started, now, &mut keys);
    keys
}

fn walk(under: &str, started: &Table, now: &Table, keys: &mut Vec<String>) {
    let added = now.keys().filter(|key| !started.contains_key(*key));
    for key in started.keys().chain(added) {
        let path = match under {
            "" => key.clone(),
            under => format!("{under}.{key}"),
        };
        if LIVE.contains(&path.as_str()) {
            continue;
        }
        match (started.get(key), now.get(key)) {
            (Some(Value::Table(started)), Some(Value::Table(now))) => {
                walk(&path, started, now, keys);
            }
            (started, now) if started == now => {}
            _ => keys.push(path),
        }
    }
}

/// What a reload applies, itself or through [`super::access`].
const LIVE: [&str; 8] = [
    "roles",
    "clients",
    "limits",
    "auth.jwt",
    "redis.username",
    "redis.password",
    "redis.sentinel_password",
    "redis.ca",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(started: &str, now: &str) -> Vec<String> {
        needed_for(&started.parse().unwrap(), &now.parse().unwrap())
    }

    #[test]
    fn what_is_different_is_named_by_its_path() {
        let started = "[server]\nlisten = \"a\"\nhosts = []\n[server.tls]\ncert = \"a\"\n[mcp]\nsessions = true";
        let now = "[server]\nlisten = \"b\"\nhosts = []\n[server.tls]\nkey = \"a\"\n[mcp]\nsessions = true";
        assert_eq!(
            needed(started, now),
            ["server.listen", "server.tls.cert", "server.tls.key"]
        );
        assert!(needed(now, now).is_empty());
    }

    #[test]
    fn what_a_reload_applies_needs_no_restart() {
        let started =
            "[auth.mtls]\nidentity = \"cn\"\n[limits]\nclient = 1\n[clients.a]\nrole = \"r\"";
        let now = "[auth]\njwt = [1]\n[auth.mtls]\nidentity = \"uri_san\"\n[limits]\nclient = 2\n[roles.r]\ntools = []";
        assert_eq!(needed(started, now), ["auth.mtls.identity"]);
    }

    #[test]
    fn redis_may_be_proven_to_in_another_way_and_stays_where_it_is() {
        let started = "[redis]\nurl = \"a\"\nusername = \"a\"\nca = \"a\"";
        let now = "[redis]\nurl = \"b\"\nusername = \"b\"\npassword = \"env:B\"";
        assert_eq!(needed(started, now), ["redis.url"]);
    }
}
