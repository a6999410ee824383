//! What helps somebody for whom Zoho's credits of a day did not suffice: whose were spent decides.

use serde_json::Value;

use super::{super::reason::whose, Remedy, Settings, effect_of, of_line, path};
use crate::permit::Effect;

/// `reason` of the line is the purse that refused.
pub(super) fn spent(line: &Value, settings: &Settings<'_>) -> Remedy {
    let client = of_line(line, "clientId");
    let own = ["zoho", "client_shares", client];
    let has_own = settings.sets(&own);
    let reason = of_line(line, "reason");
    let (what, setting) = match reason {
        "client" => (
            "wait until its credits come back, let it ask for less, or give it a larger share",
            match has_own {
                true => path(own),
                false => path(["zoho", "client_share"]),
            },
        ),
        "reserve" => (
            "wait until credits come back, or keep less for writes",
            path(["zoho", "write_reserve"]),
        ),
        "organisation" => (
            "wait until credits come back, or allow more, if Zoho does",
            path(["zoho", "daily_credits"]),
        ),
        "zoho" if effect_of(of_line(line, "toolName")) == Some(Effect::Read) => (
            "wait, find what else spends the organisation's credits, or buy more from Zoho. Tools that read leave Zoho the part that is kept for writes",
            path(["zoho", "write_reserve"]),
        ),
        "zoho" => (
            "wait, find what else spends the organisation's credits, or buy more from Zoho: no line of the configuration changes this",
            None,
        ),
        _ => (
            "compare with client_share, client_shares and write_reserve as well: get_credit_usage says what is left of each",
            path(["zoho", "daily_credits"]),
        ),
    };
    let why = whose(reason).unwrap_or("credits of 24 hours are spent; the line does not say whose");
    Remedy {
        why: why.to_owned(),
        what: what.to_owned(),
        setting,
        and: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::of, *};
    use crate::{config::Environment, zoho::Purse};

    const CONFIG: &str = "\
[zoho]
client_share = 0.3
client_shares = { big = 0.8 }
";

    fn told(event: &str, client: &str, reason: &str, tool: &str) -> Remedy {
        let line = json!({ "event": event, "error": "zoho_credits_spent", "policy": "zoho-credits",
            "clientId": client, "reason": reason, "toolName": tool });
        let environment = Environment::new();
        let settings = Settings::new(Some(("f", CONFIG)), &environment).unwrap();
        of(&line, &settings).unwrap()
    }

    #[test]
    fn the_purse_that_refused_names_its_own_line() {
        for event in ["tool_call_error", "rate_limit_exceeded"] {
            for (client, reason, key) in [
                ("big", "client", "zoho.client_shares.big"),
                ("small", "client", "zoho.client_share"),
                ("big", "reserve", "zoho.write_reserve"),
                ("big", "organisation", "zoho.daily_credits"),
                ("big", "zoho", "zoho.write_reserve"),
            ] {
                let setting = told(event, client, reason, "search_contacts").setting;
                assert_eq!(setting.unwrap().join("."), key, "{event} {reason}");
            }
            let write = told(event, "big", "zoho", "create_note");
            assert_eq!(write.setting, None);
            assert!(write.why.contains("Zoho itself says"), "{}", write.why);
        }
    }

    #[test]
    fn there_is_advice_for_every_purse() {
        for purse in Purse::ALL {
            let told = told("tool_call_error", "c", purse.name(), "create_note");
            assert!(!told.why.contains("does not say"), "{}", purse.name());
        }
    }
}
