//! What would change a decision, and where it is configured.

mod call;
mod credits;
mod door;
mod limits;

use serde_json::Value;

use super::{
    settings::Settings,
    telling::{is_shadow, text},
};
use crate::{
    permit::{Denial, Effect},
    tools,
};

/// Why something was refused, and what an operator can do.
pub(super) struct Remedy {
    pub(super) why: String,
    pub(super) what: String,
    /// The path of the key of the configuration that decided.
    pub(super) setting: Option<Vec<String>>,
    /// More of them, where one alone would change nothing.
    pub(super) and: Vec<Vec<String>>,
}

fn path<const N: usize>(keys: [&str; N]) -> Option<Vec<String>> {
    Some(keys.map(str::to_owned).to_vec())
}

/// `None` for a line after which nobody asks why. With the settings at hand, the one that
/// really decided is named.
pub(super) fn of(line: &Value, settings: &Settings<'_>) -> Option<Remedy> {
    match text(line, "event")? {
        "tool_access_denied" => Some(denied(line, settings)),
        "rate_limit_exceeded" if is_shadow(line) => None,
        "rate_limit_exceeded" if line["policy"] == "zoho-credits" => {
            Some(credits::spent(line, settings))
        }
        "rate_limit_exceeded" => Some(limits::over(line, settings)),
        "auth_failed" => Some(door::not_proven(line, settings)),
        "tool_call_error" if line["error"] == "zoho_credits_spent" => {
            Some(credits::spent(line, settings))
        }
        "tool_call_error" => Some(call::failed(line)),
        "tool_call_cancelled" => Some(call::cancelled(line, settings)),
        "session_close" => call::stream_ended(line, settings),
        _ => None,
    }
}

fn denied(line: &Value, settings: &Settings<'_>) -> Remedy {
    let (client, role) = (of_line(line, "clientId"), of_line(line, "role"));
    let (tool, reason) = (of_line(line, "toolName"), of_line(line, "reason"));
    let denial = Denial::of_word(reason);
    let may_write = ["roles", role, "allow_write"];
    let lacks_both = denial == Some(Denial::NotInRole)
        && effect_of(tool) == Some(Effect::Write)
        && !settings.is_true(&may_write);
    let (what, setting) = match denial {
        Some(Denial::NotInRole) if lacks_both => (
            format!(
                "add \"{tool}\" to the tools of the role, and set allow_write = true there, since it writes; or give {client} another role"
            ),
            path(["roles", role, "tools"]),
        ),
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
        and: lacks_both
            .then(|| path(may_write))
            .flatten()
            .into_iter()
            .collect(),
    }
}

/// What a tool of that name does to the CRM.
fn effect_of(tool: &str) -> Option<Effect> {
    let row = tools::table().iter().find(|row| row.name == tool)?;
    Some(row.effect)
}

fn of_line<'a>(line: &'a Value, name: &str) -> &'a str {
    text(line, name).unwrap_or("?")
}

#[cfg(test)]
fn told_keys(remedy: Remedy) -> Vec<String> {
    let keys = remedy.setting.into_iter().chain(remedy.and);
    keys.map(|path| path.join(".")).collect()
}

/// For words that this version does not write.
const UNHEARD_OF: &str =
    "unknown: the line is of another version, or was changed; `zoho-mcp audit verify` says which";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{failure::failure, reason::means_of},
        *,
    };
    use crate::config::Environment;

    fn unset(line: &Value) -> Option<Remedy> {
        of(line, &Settings::new(None, &Environment::new()).unwrap())
    }

    #[test]
    fn a_write_that_a_role_lacks_in_two_ways_is_told_both() {
        let line = |tool: &str| {
            json!({ "event": "tool_access_denied", "reason": "not_in_role", "role": "r",
            "clientId": "c", "toolName": tool })
        };
        let told = |tool: &str, config: &str| {
            let environment = Environment::new();
            let settings = Settings::new(Some(("f", config)), &environment).unwrap();
            let remedy = of(&line(tool), &settings).unwrap();
            let what = remedy.what.clone();
            (told_keys(remedy), what)
        };
        let (named, what) = told("create_note", "[roles.r]\ntools = []");
        assert_eq!(named, ["roles.r.tools", "roles.r.allow_write"]);
        assert!(what.contains("allow_write = true"), "{what}");
        for (tool, config) in [
            (
                "create_note",
                "[roles]\nr = { tools = [], allow_write = true }",
            ),
            ("search_contacts", "[roles.r]\ntools = []"),
        ] {
            let (named, what) = told(tool, config);
            assert_eq!(named, ["roles.r.tools"], "{tool}");
            assert!(!what.contains("allow_write"), "{what}");
        }
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
            (
                "auth_failed",
                "unknown_certificate_name",
                "as its certificate does",
            ),
            ("auth_failed", "foreign_session", "opened itself"),
            ("auth_failed", "conflict", "one credential"),
            ("auth_failed", "checksum", "copy it again"),
            ("auth_failed", "wrong_secret", "keys list"),
        ] {
            let told = unset(&line(event, reason)).unwrap().what;
            assert!(told.contains(wanted), "{reason}: {told}");
        }
    }

    #[test]
    fn each_limit_names_the_key_that_sets_it() {
        for (policy, key) in [
            ("global", "limits.global"),
            ("zoho-credits", "zoho.daily_credits"),
            ("zoho-places", "zoho.max_wait"),
            ("body_memory", "mcp.body_memory"),
            ("lookups", "limits.client"),
        ] {
            let line = json!({ "event": "rate_limit_exceeded", "policy": policy });
            let setting = unset(&line).unwrap().setting.unwrap();
            assert_eq!(setting.join("."), key);
        }
    }

    #[test]
    fn a_share_without_redis_is_not_told_to_be_the_limit() {
        let line = json!({ "event": "rate_limit_exceeded", "reason": "share", "policy": "client, 60 per 1m" });
        let remedy = unset(&line).unwrap();
        assert!(remedy.why.contains("share of the limit client, 60 per 1m"));
        assert!(remedy.what.contains("on_store_error"));
        let keys = ["redis.expected_replicas", "limits.on_store_error"];
        assert_eq!(told_keys(remedy), keys);
    }

    #[test]
    fn a_limit_that_only_watches_refuses_nothing() {
        let line =
            json!({ "event": "rate_limit_exceeded", "reason": "shadow", "policy": "client" });
        assert!(unset(&line).is_none());
    }

    /// The words that a file of the daemon has for something, where it says so.
    fn words<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
        let (_, body) = source.split_once(function).unwrap();
        let body = body.split_once("\n    }\n").unwrap().0;
        let arms = body.split("=> \"").skip(1);
        let words: Vec<_> = arms.map(|arm| arm.split('"').next().unwrap()).collect();
        assert!(words.len() > 3, "{function}: {words:?}");
        words
    }

    #[test]
    fn there_is_advice_for_every_word_that_the_daemon_has() {
        let reason = "pub const fn reason(self)";
        let door = [
            words(include_str!("../../auth/api_key.rs"), reason),
            words(include_str!("../../auth/jwt/bad.rs"), reason),
            words(include_str!("../../auth/mtls.rs"), reason),
            words(include_str!("../../listen/tls/trust.rs"), reason),
            vec![
                "no_credential",
                "conflict",
                "unknown_client",
                "foreign_session",
            ],
            vec!["another_credential_needed"],
        ];
        let ends = words(include_str!("../../auth/failure.rs"), reason);
        let calls = words(include_str!("../../tools/error.rs"), "pub fn kind(&self)");
        let own = ["timeout", "panic", "audit_unavailable"];
        let refusals = door
            .concat()
            .into_iter()
            .map(|word| ("auth_failed", "reason", word));
        let failures = calls.into_iter().chain(own);
        let failures = failures.map(|word| ("tool_call_error", "error", word));
        let cancelled = [
            "cancelled",
            "client_gone",
            "drain",
            "deleted",
            "ended",
            "too_old",
        ]
        .into_iter();
        let cancelled = cancelled.chain(ends.clone());
        let ends = ends.into_iter().chain(["ended", "too_old", "expired"]);
        let ends = ends.map(|word| ("session_close", "reason", word));
        let cancelled = cancelled.map(|word| ("tool_call_cancelled", "reason", word));
        for (event, field, word) in refusals.chain(failures).chain(ends).chain(cancelled) {
            let line = json!({ "event": event, field: word });
            let remedy = unset(&line).unwrap();
            assert_ne!(remedy.what, UNHEARD_OF, "{event}: {word}");
            if matches!(event, "auth_failed" | "session_close") {
                assert!(means_of(&line, word).is_some(), "{event}: {word}");
            }
            if event == "tool_call_error" {
                let told = failure(&line);
                assert!(told.starts_with(&format!("failed: {word}: ")), "{told}");
            }
        }
        let made_up = unset(&json!({ "event": "auth_failed", "reason": "x" }));
        assert_eq!(made_up.unwrap().what, UNHEARD_OF);
    }

    #[test]
    fn a_breaker_of_ours_is_told_apart_from_a_zoho_that_does_not_answer() {
        let line = |reason: &str| json!({ "event": "tool_call_error", "error": "zoho_unavailable", "reason": reason });
        let told = |reason| unset(&line(reason)).unwrap();
        assert!(told("breaker_open").what.contains("did not ask"));
        assert!(told("no_access_token").what.contains("accounts server"));
        assert!(told("timeout").what.contains("Zoho did not answer"));
        let why = "the call failed: zoho_unavailable: Zoho's accounts server gave no access token";
        assert_eq!(told("no_access_token").why, why);
    }
}
