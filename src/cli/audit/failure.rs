//! Why a call failed, in the words of its last line.

use serde_json::Value;

use super::{reason::whose, telling::text};

/// The word for a failure, and what it means where that is not about the caller.
pub(super) fn failure(end: &Value) -> String {
    let error = text(end, "error").unwrap_or("?");
    let reason = text(end, "reason").unwrap_or_default();
    let means = means(error, reason);
    means.map_or_else(
        || format!("failed: {error}"),
        |means| format!("failed: {error}: {means}"),
    )
}

/// Why nothing was asked of Zoho's API.
pub(super) fn unasked(end: &Value) -> &'static str {
    if end["cached"] == true {
        return "was not asked: the answer is one that [cache] kept";
    }
    if end["shared"] == true {
        return "was asked by another call at the same time, whose answer this one got too";
    }
    match (text(end, "error"), text(end, "reason")) {
        (_, Some("no_access_token")) | (Some("zoho_credentials" | "zoho_token_throttled"), _) => {
            "gave no access token, in this call or shortly before: its API was not asked"
        }
        (_, Some("breaker_open")) => "was not asked, since it had not answered earlier calls",
        _ => "was not asked",
    }
}

fn means(error: &str, reason: &str) -> Option<&'static str> {
    Some(match error {
        "audit_unavailable" => "it was not made, since the log could not take its start",
        "timeout" | "deadline_exceeded" => "it had taken all the time that a call may take",
        "panic" | "internal" => "a fault of the daemon",
        "invalid_arguments" => "its arguments were not what the tool asks for",
        error => idempotency(error).or_else(|| zohos(error, reason))?,
    })
}

fn idempotency(error: &str) -> Option<&'static str> {
    Some(match error {
        "idempotency_key_reused" => "its idempotency_key was used before with other arguments",
        "idempotency_key_in_use" => "another call with its idempotency_key was still running",
        "idempotency_key_unsettled" => {
            "it was not known yet whether an earlier call with its idempotency_key had been written"
        }
        "idempotency_keys_exhausted" => {
            "the client had used as many idempotency keys as are remembered"
        }
        "idempotency_keys_unavailable" => "Redis, which remembers idempotency keys, did not answer",
        _ => return None,
    })
}

fn zohos(error: &str, reason: &str) -> Option<&'static str> {
    Some(match error {
        "not_found" => "there is no such record, or the caller may not see it",
        "duplicate" => "there was such a record already",
        "stage_changed" => "the deal was in another stage than the call said, or changed meanwhile",
        "unknown_stage" => "the organisation has no such stage",
        "too_many_matches" => "more records match than can be looked through",
        "ambiguous_write" => "Zoho did not say whether it wrote",
        "zoho_refused_input" => "Zoho did not take what it was sent, and wrote nothing",
        "zoho_forbidden" => "the CRM user behind the credentials may not do this",
        "zoho_conflict" => {
            "the record was locked or changed meanwhile, or its state did not allow this"
        }
        "zoho_busy" => busy(reason),
        "overloaded" => "so many calls waited for Zoho that it would have waited for too long",
        "zoho_credits_spent" => whose(reason).unwrap_or("Zoho's credits of 24 hours were spent"),
        "zoho_credentials" => "Zoho did not accept the daemon's credentials",
        "zoho_token_refused" => "Zoho did not take the access tokens that it had just made",
        "zoho_token_throttled" => {
            "so many access tokens had been asked for that Zoho made no other yet"
        }
        "zoho_unavailable" => unavailable(reason),
        "zoho_user" => user(reason),
        _ => return None,
    })
}

fn busy(reason: &str) -> &'static str {
    match reason {
        "throttled_by_zoho" => "Zoho said that it was asked too much at once",
        "no_place" => {
            "as many requests as [zoho] concurrency allows were under way for as long as it could wait"
        }
        _ => "Zoho, or the daemon's places for it, had no room",
    }
}

fn unavailable(reason: &str) -> &'static str {
    match reason {
        "no_access_token" => "Zoho's accounts server gave no access token",
        "breaker_open" => {
            "the daemon did not ask Zoho, which had not answered earlier calls; it looks again every few seconds"
        }
        "connect" => "Zoho could not be reached",
        "timeout" => "Zoho did not answer in time",
        "broken" => "the connection to Zoho broke",
        "server_error" => "Zoho answered with an error of its own",
        "refused" => "Zoho refused what it was asked, and did not say why",
        "unexpected_status" => "Zoho answered with a status that stands for nothing here",
        "unreadable" => "what Zoho answered could not be read",
        "too_large" => "what Zoho answered was too large",
        _ => "Zoho did not answer",
    }
}

/// What is wrong with the person behind a call.
fn user(reason: &str) -> &'static str {
    match reason {
        "no_credentials" => "no Zoho credentials are there for the user",
        "credentials_refused" => "Zoho does not accept the user's credentials any more",
        "not_theirs" => "the Zoho credentials of the user are somebody else's",
        "not_active" => "the CRM user does not exist, or is not active",
        "too_many_reports" => "more people report to the CRM user than a query can name",
        _ => "Zoho cannot be asked as the CRM user of the caller",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::zoho::error::{Full, Problem, UserProblem};

    #[test]
    fn a_zoho_that_was_not_asked_is_not_told_to_be_silent() {
        for (reason, unasked_for, failed_for) in [
            ("no_access_token", "no access token", "no access token"),
            ("breaker_open", "was not asked", "did not ask"),
        ] {
            let end = json!({ "error": "zoho_unavailable", "reason": reason });
            assert!(unasked(&end).contains(unasked_for), "{}", unasked(&end));
            let failed = failure(&end);
            assert!(failed.contains(failed_for), "{failed}");
            assert!(!failed.contains("Zoho did not answer"), "{failed}");
        }
    }

    #[test]
    fn every_reason_that_the_daemon_has_is_told_in_words() {
        let told =
            |error: &str, reason: &str| failure(&json!({ "error": error, "reason": reason }));
        let unsaid = told("zoho_unavailable", "?");
        for problem in [
            Problem::Connect,
            Problem::Timeout,
            Problem::Broken,
            Problem::Status(500),
            Problem::Status(404),
            Problem::Status(302),
            Problem::Unreadable,
            Problem::TooLarge,
            Problem::CircuitOpen,
        ] {
            assert_ne!(
                told("zoho_unavailable", problem.name()),
                unsaid,
                "{problem}"
            );
        }
        for problem in [
            UserProblem::NoCredentials,
            UserProblem::CredentialsRefused,
            UserProblem::NotTheirs,
            UserProblem::Unknown,
            UserProblem::TooManyReports,
        ] {
            assert_ne!(told("zoho_user", problem.name()), told("zoho_user", "?"));
        }
        for full in [Full::Zoho, Full::Ours] {
            assert_ne!(told("zoho_busy", full.name()), told("zoho_busy", "?"));
        }
    }
}
