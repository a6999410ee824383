//! What would change a decision, and where it is configured.

use serde_json::Value;

use super::telling::text;

/// Why something was refused, and what an operator can do.
pub(super) struct Remedy {
    pub(super) why: String,
    pub(super) what: String,
    /// The table and the key of the configuration that decided.
    pub(super) setting: Option<(String, String)>,
}

/// `None` for a line that refuses nothing. With the text of the configuration at hand, the setting
/// that really decided is named.
pub(super) fn of(line: &Value, config: Option<&str>) -> Option<Remedy> {
    match text(line, "event")? {
        "tool_access_denied" => Some(denied(line)),
        "rate_limit_exceeded" => Some(limited(line, config)),
        "auth_failed" => Some(not_proven(line)),
        "tool_call_error" => Some(failed(line)),
        _ => None,
    }
}

fn denied(line: &Value) -> Remedy {
    let (client, role) = (of_line(line, "clientId"), of_line(line, "role"));
    let tool = of_line(line, "toolName");
    let reason = of_line(line, "reason");
    let setting = |table: String, key: &str| Some((table, key.to_owned()));
    let (what, setting) = match reason {
        "the tool is not in the role's list" => (
            format!("add \"{tool}\" to the tools of the role, or give {client} another role"),
            setting(format!("roles.{role}"), "tools"),
        ),
        "the tool writes and the role may not write" => (
            "set allow_write = true, if every client of the role may write".into(),
            setting(format!("roles.{role}"), "allow_write"),
        ),
        "the client is not configured" | "the role is not configured" => (
            format!("give {client} a role that exists"),
            setting(format!("clients.{client}"), "role"),
        ),
        _ => (
            "none: the agent made up a tool; tools/list has those that it may call".into(),
            None,
        ),
    };
    Remedy {
        why: reason.replace('_', " "),
        what,
        setting,
    }
}

fn limited(line: &Value, config: Option<&str>) -> Remedy {
    let policy = of_line(line, "policy");
    let (client, tool) = (of_line(line, "clientId"), of_line(line, "toolName"));
    let own = format!("clients.{client}");
    let has_own = config.is_some_and(|config| line_of(config, &own, "limits").is_some());
    let (table, key) = match policy.split([',', ';']).next().unwrap_or_default() {
        "client" if has_own => (own, "limits".to_owned()),
        "client:tool" | "tool" => ("limits.tools".into(), tool.to_owned()),
        other => ("limits".into(), other.to_owned()),
    };
    Remedy {
        why: format!("over the limit {policy}"),
        what: "wait as long as it was told, call less, or raise the limit".into(),
        setting: Some((table, key)),
    }
}

fn not_proven(line: &Value) -> Remedy {
    let reason = of_line(line, "reason");
    let key = of_line(line, "keyId");
    let what = match reason {
        "no_credential" => "send the key in X-API-Key".to_owned(),
        "revoked" | "retired" | "expired" => {
            format!("the key {key} is over: `zoho-mcp keys rotate` makes another")
        }
        "unknown_client" => format!("the key {key} is a client's that is not under [clients]"),
        _ => "compare with `zoho-mcp keys list`, or make a new key".to_owned(),
    };
    Remedy {
        why: reason.replace('_', " "),
        what,
        setting: None,
    }
}

fn failed(line: &Value) -> Remedy {
    let error = of_line(line, "error");
    let setting = |table: &str, key: &str| Some((table.to_owned(), key.to_owned()));
    let (what, setting) = match error {
        "timeout" | "deadline_exceeded" => (
            "ask for less, or allow more time",
            setting("mcp", "tool_timeout"),
        ),
        "zoho_busy" => (
            "try again, or allow more at once",
            setting("zoho", "concurrency"),
        ),
        "zoho_credentials" => (
            "`zoho-mcp check --online` says what Zoho does not accept",
            setting("zoho", "credentials"),
        ),
        "audit_unavailable" => (
            "mend the audit log; until then calls are refused as configured",
            setting("audit", "on_failure"),
        ),
        "zoho_unavailable" | "ambiguous_write" => {
            ("Zoho did not answer: look before repeating a write", None)
        }
        "invalid_arguments" | "not_found" | "zoho_refused_input" => {
            ("none: the agent has to ask otherwise", None)
        }
        _ => ("the operational log of that time has more", None),
    };
    Remedy {
        why: format!("the call failed: {}", error.replace('_', " ")),
        what: what.to_owned(),
        setting,
    }
}

fn of_line<'a>(line: &'a Value, name: &str) -> &'a str {
    text(line, name).unwrap_or("?")
}

/// The line of a TOML document that sets `key` in `[table]`, counted from 1.
pub(super) fn line_of<'a>(document: &'a str, table: &str, key: &str) -> Option<(usize, &'a str)> {
    let plain = |text: &str| text.trim().replace(['"', '\''], "");
    let mut here = String::new();
    for (n, line) in document.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            here = plain(header.split(']').next().unwrap_or_default());
        } else if let Some((name, _)) = line.split_once('=')
            && !line.starts_with('#')
        {
            let path = format!("{here}.{}", plain(name));
            if path.trim_start_matches('.') == format!("{table}.{key}") {
                return Some((n + 1, line));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONFIG: &str = "\
[roles.support]
# tools = []
tools = [\"search_contacts\"]

[limits]
client = { requests = 60, per = \"1m\" }

[clients.\"a-b\"]
role = \"support\"
limits = { requests = 1, per = \"1m\" }
";

    #[test]
    fn the_line_that_decided_is_found() {
        for (table, key, number) in [
            ("roles.support", "tools", Some(3)),
            ("limits", "client", Some(6)),
            ("clients.a-b", "limits", Some(10)),
            ("roles.support", "allow_write", None),
            ("limits", "global", None),
        ] {
            assert_eq!(
                line_of(CONFIG, table, key).map(|(n, _)| n),
                number,
                "{table}.{key}"
            );
        }
    }

    #[test]
    fn a_client_with_a_limit_of_its_own_is_told_that_one() {
        let line = |client: &str| json!({ "event": "rate_limit_exceeded", "clientId": client, "policy": "client, 1 per 1m" });
        let setting = |client| of(&line(client), Some(CONFIG)).unwrap().setting.unwrap();
        assert_eq!(setting("a-b"), ("clients.a-b".into(), "limits".into()));
        assert_eq!(setting("c"), ("limits".into(), "client".into()));
    }
}
