//! Why something was refused or ended, in plain words.

use serde_json::Value;

use crate::permit::Denial;

/// The word for a refusal, and what it means.
pub(super) fn because(line: &Value, reason: &str) -> String {
    let words = reason.replace('_', " ");
    if line["event"] == "rate_limit_exceeded" {
        let means = match reason {
            "share" => {
                "Redis could not be asked, and this instance's share of the limit was used up, though perhaps not the limit"
            }
            "store_unavailable" => {
                "Redis could not be asked, and the limit admits nothing without it"
            }
            purse => whose(purse).unwrap_or(&words),
        };
        return means.into();
    }
    match Denial::of_word(reason) {
        Some(denial) => format!("{words}: {denial}"),
        None => words,
    }
}

/// Whose credits were spent, by the word for them.
pub(super) fn whose(purse: &str) -> Option<&'static str> {
    Some(match purse {
        "zoho" => {
            "Zoho itself says that too few of the organisation's credits are left (X-API-CREDITS-REMAINING), whatever the daemon may spend"
        }
        "organisation" => "all credits of 24 hours that the daemon may spend are spent",
        "reserve" => "what is left of the credits of 24 hours is kept for tools that write",
        "client" => "the client's share of the credits of 24 hours is spent",
        _ => return None,
    })
}
