//! Why something was refused or ended, in plain words.

use serde_json::Value;

use super::telling::text;
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
    let means = Denial::of_word(reason).map(|denial| denial.to_string());
    match means.or_else(|| means_of(line, reason).map(str::to_owned)) {
        Some(means) => format!("{words}: {means}"),
        None => words,
    }
}

/// What a word means of a login that was refused, or of what ended for what became of it.
pub(super) fn means_of(line: &Value, reason: &str) -> Option<&'static str> {
    let ended = match text(line, "event")? {
        "session_close" => session(reason),
        "auth_failed" | "tool_call_cancelled" => None,
        _ => return None,
    };
    ended
        .or_else(|| key(reason))
        .or_else(|| token(reason))
        .or_else(|| certificate(reason))
}

fn session(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "disconnected" => "the client went away",
        "deleted" => "the client ended it",
        "ended" => "the daemon ended it, or its reader had stalled",
        "expired" => "nobody used it for too long, or Redis has lost it",
        "too_old" => "it was as old as one may be",
        _ => return None,
    })
}

fn key(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "no_credential" => "nothing was sent that proves who it is",
        "malformed" => "the key does not look like one of ours",
        "checksum" => "the key has a mistake in it, or is not whole",
        "unknown_key" => "there is no such key",
        "wrong_secret" => "there is a key with this id, but its secret is another",
        "not_yet_valid" => "the key holds only later",
        "expired" | "key_expired" => "the time of the key is over",
        "retired" | "key_retired" => "the key was replaced by another",
        "revoked" | "key_revoked" => "the key was revoked",
        "key_removed" => "the key is not stored any more",
        "unknown_client" => "the credential is a client's that is not configured",
        "client_removed" => "the client is not configured any more",
        "conflict" => "two credentials were sent that do not go together",
        "foreign_session" => "the credential is good, but the session is another caller's",
        "another_credential_needed" => "the client has to prove itself in another way by now",
        "too_many_failures" => "its address has sent too many bad credentials",
        _ => return None,
    })
}

fn token(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "token_not_a_key" => "it looks like a token, and no issuer of tokens is configured",
        "token_too_long" => "it is longer than any token that is read",
        "token_malformed" => "it is no token, or not all of it",
        "token_header" => "its header cannot be read",
        "token_claims" => "what it claims cannot be read",
        "token_critical_header" => "it asks for something that is not known here",
        "token_brings_key" => "it brings the key that it is signed with",
        "token_type" => "it is a token of another type",
        "token_algorithm" => "it is signed in a way that is not accepted",
        "token_issuer" => "its issuer is not configured",
        "token_issuer_removed" => "its issuer is not configured any more",
        "token_unknown_key" => "its issuer does not publish the key that it names",
        "token_key_removed" => "its issuer does not publish its key any more",
        "token_signature" => "its signature is not its issuer's",
        "token_audience" => "it is meant for somebody else",
        "token_expiry_missing" => "it does not say how long it holds",
        "token_issued_at_missing" => "it does not say when it was issued",
        "token_issued_in_future" => "it says that it was issued in the future",
        "token_not_yet_valid" => "it holds only later",
        "token_lives_too_long" => "it holds for longer than is allowed",
        "token_subject" => "it does not say well whom it stands for",
        "token_scope_unreadable" => "its scopes cannot be read",
        "token_bound_to_another" => "it is bound to a certificate that the caller did not show",
        "token_unknown_client" => "the client that it stands for is not configured",
        "token_expired" => "its time is over",
        "token_scope_missing" => "it lacks a scope that every token needs",
        "token_reassessed" => "it means another client or other scopes by now",
        "token_keys_unavailable" => "the keys of its issuer could not be had",
        _ => return None,
    })
}

fn certificate(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "no_certificate" => "no client certificate was shown",
        "malformed_certificate" => "the certificate cannot be read",
        "certificate_expired" => "the certificate's time is over",
        "certificate_not_yet_valid" => "the certificate holds only later",
        "unknown_issuer" => "no CA that is trusted here issued the certificate",
        "certificate_revoked" => "its CA has revoked the certificate",
        "revocation_unknown" => "no list says whether the certificate was revoked",
        "crl_expired" => "the list of revoked certificates is too old",
        "crl_untrusted" => "the list of revoked certificates is not its CA's",
        "wrong_purpose" => "the certificate is not for clients",
        "wrong_key_usage" => "the key of the certificate may not be used so",
        "bad_signature" => "a signature in the certificate's chain is wrong",
        "weak_signature" => "the certificate is signed in a way that is not trusted any more",
        "untrusted_chain" => "the certificate's chain is not trusted",
        "no_certificate_name" => "the certificate names no client",
        "several_certificate_names" => "the certificate names several clients",
        "certificate_names_disagree" => "the certificate and the other credential name two clients",
        "unknown_certificate_name" => "the certificate names no client that is configured",
        _ => return None,
    })
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
