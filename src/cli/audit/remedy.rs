//! What would change a decision, and where it is configured.

use serde_json::Value;

use super::{
    document::Document,
    telling::{is_shadow, text},
};
use crate::permit::Denial;

/// Why something was refused, and what an operator can do.
pub(super) struct Remedy {
    pub(super) why: String,
    pub(super) what: String,
    /// The path of the key of the configuration that decided.
    pub(super) setting: Option<Vec<String>>,
}

fn path<const N: usize>(keys: [&str; N]) -> Option<Vec<String>> {
    Some(keys.map(str::to_owned).to_vec())
}

/// `None` for a line that refuses nothing. With the configuration at hand, the setting
/// that really decided is named.
pub(super) fn of(line: &Value, config: Option<&Document<'_>>) -> Option<Remedy> {
    match text(line, "event")? {
        "tool_access_denied" => Some(denied(line)),
        "rate_limit_exceeded" if is_shadow(line) => None,
        "rate_limit_exceeded" => Some(limited(line, config)),
        "auth_failed" => Some(not_proven(line)),
        "tool_call_error" => Some(failed(line)),
        _ => None,
    }
}

fn denied(line: &Value) -> Remedy {
    let (client, role) = (of_line(line, "clientId"), of_line(line, "role"));
    let (tool, reason) = (of_line(line, "toolName"), of_line(line, "reason"));
    let denial = Denial::of_word(reason);
    let (what, setting) = match denial {
        Some(Denial::NotInRole) => (
            format!("add \"{tool}\" to the tools of the role, or give {client} another role"),
            path(["roles", role, "tools"]),
        ),
        Some(Denial::WriteNotAllowed) => (
            "set allow_write = true, if every client of the role may write".into(),
            path(["roles", role, "allow_write"]),
        ),
        Some(Denial::UnknownClient | Denial::UnknownRole) => (
            format!("give {client} a role that exists"),
            path(["clients", client, "role"]),
        ),
        Some(Denial::NotInScope) => (
            format!("get a token whose scope covers {tool}: the issuer grants it"),
            None,
        ),
        Some(Denial::NoUser) => (
            "call with the token of a person; a key or a certificate names none".into(),
            path(["clients", client, "visibility"]),
        ),
        Some(Denial::NoOwner) => (
            "add the user to the owners of the client".into(),
            path(["clients", client, "owners"]),
        ),
        None => (
            "none: the agent made up a tool; tools/list has those that it may call".into(),
            None,
        ),
    };
    Remedy {
        why: denial.map_or_else(|| reason.replace('_', " "), |denial| denial.to_string()),
        what,
        setting,
    }
}

fn limited(line: &Value, config: Option<&Document<'_>>) -> Remedy {
    let policy = of_line(line, "policy");
    let (client, tool) = (of_line(line, "clientId"), of_line(line, "toolName"));
    let own = ["clients", client, "limits"];
    let has_own = config.is_some_and(|config| config.line_of(&own).is_some());
    let setting = match policy.split([',', ';']).next().unwrap_or_default() {
        "client" if has_own => path(own),
        "client:tool" | "tool" => path(["limits", "tools", tool]),
        other => path(["limits", other]),
    };
    if of_line(line, "reason") == "store_unavailable" {
        return Remedy {
            why: format!("Redis could not be asked, and {policy} admits nothing then"),
            what: "see to Redis, or let each instance keep its share meanwhile".into(),
            setting: path(["limits", "on_store_error"]),
        };
    }
    Remedy {
        why: format!("over the limit {policy}"),
        what: "wait as long as it was told, call less, or raise the limit".into(),
        setting,
    }
}

fn not_proven(line: &Value) -> Remedy {
    let reason = of_line(line, "reason");
    let key = of_line(line, "keyId");
    let (what, setting) = match reason {
        "no_credential" => ("send the key in X-API-Key".to_owned(), None),
        "revoked" | "retired" | "expired" | "key_revoked" | "key_retired" | "key_expired"
        | "key_removed" => (
            format!("the key {key} is over: `zoho-mcp keys rotate` makes another"),
            None,
        ),
        "unknown_client" | "client_removed" => (
            format!("the key {key} is a client's that is not under [clients]"),
            None,
        ),
        "too_many_failures" => (
            "wait; then send a good credential, since the address has sent many bad ones".into(),
            path(["limits", "failed_logins"]),
        ),
        "token_expired" => ("get a new token from the issuer".into(), None),
        "token_keys_unavailable" => (
            "the keys of the issuer cannot be had: `zoho-mcp check --online` says why".into(),
            path(["auth", "jwt"]),
        ),
        "token_not_a_key" => (
            "no issuer of tokens is configured, and this is no key of ours".into(),
            path(["auth", "jwt"]),
        ),
        token if token.starts_with("token_") => (
            "compare the token with [[auth.jwt]]: issuer, audience, algorithms and the client"
                .into(),
            path(["auth", "jwt"]),
        ),
        certificate if certificate.contains("certificate") || certificate == "wrong_key_usage" => (
            "compare the certificate with the CA, its lists and [clients.NAME] certificate".into(),
            path(["server", "tls", "client_ca"]),
        ),
        _ => (
            "compare with `zoho-mcp keys list`, or make a new key".to_owned(),
            None,
        ),
    };
    Remedy {
        why: reason.replace('_', " "),
        what,
        setting,
    }
}

fn failed(line: &Value) -> Remedy {
    let error = of_line(line, "error");
    let setting = |table, key| path([table, key]);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONFIG: &str = "\
[limits]
client = { requests = 60, per = \"1m\" }

[clients.\"a-b\"]
role = \"support\"
limits = { requests = 1, per = \"1m\" }
";

    #[test]
    fn a_client_with_a_limit_of_its_own_is_told_that_one() {
        let config = Document::parse(CONFIG).unwrap();
        let line = |client: &str| json!({ "event": "rate_limit_exceeded", "clientId": client, "policy": "client, 1 per 1m" });
        let setting = |client| of(&line(client), Some(&config)).unwrap().setting.unwrap();
        assert_eq!(setting("a-b"), ["clients", "a-b", "limits"]);
        assert_eq!(setting("c"), ["limits", "client"]);
    }

    #[test]
    fn what_is_about_a_token_is_not_told_to_look_among_the_keys() {
        let line = |event: &str, reason: &str| json!({ "event": event, "reason": reason });
        for (event, reason, wanted) in [
            (
                "tool_access_denied",
                "not_in_scope",
                "get a token whose scope",
            ),
            ("tool_access_denied", "unknown_tool", "made up a tool"),
            ("auth_failed", "token_audience", "[[auth.jwt]]"),
            ("auth_failed", "token_expired", "new token"),
            ("auth_failed", "unknown_certificate_name", "the CA"),
            ("auth_failed", "wrong_secret", "keys list"),
        ] {
            let told = of(&line(event, reason), None).unwrap().what;
            assert!(told.contains(wanted), "{reason}: {told}");
        }
    }

    #[test]
    fn a_limit_that_only_watches_refuses_nothing() {
        let line =
            json!({ "event": "rate_limit_exceeded", "reason": "shadow", "policy": "client" });
        assert!(of(&line, None).is_none());
    }
}
