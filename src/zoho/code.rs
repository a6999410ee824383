//! What Zoho calls a failure: a code, of which only those that are known stand in a log.

use std::fmt;

/// A code or API name that Zoho sent: at most 64 characters of `[A-Za-z0-9_.]`. Shown, one that is
/// not known is `unknown`, since a log is no place for somebody else's text.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Box<str>);

impl Code {
    /// Takes what is a code; anything else becomes `unknown`.
    pub fn new(text: &str) -> Self {
        let plain = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        Self(if plain { text.into() } else { UNKNOWN.into() })
    }

    /// As Zoho sent it, to decide by.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = KNOWN.iter().find(|known| **known == &*self.0);
        f.write_str(known.copied().unwrap_or(UNKNOWN))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const UNKNOWN: &str = "unknown";

/// Source: <https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html>, the error tables of
/// the calls that are made, and those of the accounts server.
const KNOWN: [&str; 66] = [
    "429",
    "ALREADY_MODIFIED",
    "AMBIGUITY_DURING_PROCESSING",
    "AUTHENTICATION_FAILURE",
    "AUTHORIZATION_FAILED",
    "CANNOT_BE_UPDATED",
    "CANNOT_PROCESS",
    "CONVERTED_RECORD",
    "CRITERIA_LIMIT_EXCEEDED",
    "DEPENDENT_FIELD_MISSING",
    "DEPENDENT_MISMATCH",
    "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
    "DUPLICATE_ALIAS",
    "DUPLICATE_DATA",
    "EXPECTED_FIELD_MISSING",
    "EXPECTED_PARAM_MISSING",
    "EXPIRED_VALUE",
    "FEATURE_NOT_SUPPORTED",
    "ID_ALREADY_CONVERTED",
    "ID_ALREADY_DELETED",
    "INTERNAL_ERROR",
    "INTERNAL_SERVER_ERROR",
    "INVALID_ALIAS",
    "INVALID_DATA",
    "INVALID_MODULE",
    "INVALID_OAUTHTOKEN",
    "INVALID_QUERY",
    "INVALID_REQUEST",
    "INVALID_REQUEST_METHOD",
    "INVALID_TOKEN",
    "INVALID_URL_PATTERN",
    "LICENSE_LIMIT_EXCEEDED",
    "LIMIT_EXCEEDED",
    "LIMIT_REACHED",
    "MANDATORY_NOT_FOUND",
    "MAPPING_MISMATCH",
    "MULTIPLE_OR_MULTI_ERRORS",
    "NOT_ALLOWED",
    "NOT_APPROVED",
    "NOT_REVIEWED",
    "NOT_SUPPORTED",
    "NO_PERMISSION",
    "OAUTH_SCOPE_MISMATCH",
    "PAGINATION_LIMIT_EXCEEDED",
    "PATTERN_NOT_MATCHED",
    "PROCESSING_ERROR",
    "RATE_LIMIT_EXCEEDED",
    "RECORD_IN_BLUEPRINT",
    "RECORD_LOCKED",
    "REQUEST_ENTITY_TOO_LARGE",
    "REQUEST_TIMEOUT",
    "REQUIRED_PARAM_MISSING",
    "RESOURCE_NOT_FOUND",
    "SERVICE_UNAVAILABLE",
    "SYNTAX_ERROR",
    "TOKEN_BOUND_DATA_MISMATCH",
    "TOO_MANY_REQUESTS",
    "UNABLE_TO_PARSE_DATA_TYPE",
    "access_denied",
    "invalid_client",
    "invalid_client_secret",
    "invalid_code",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_not_known_stands_in_no_log() {
        for (sent, decides, shown) in [
            ("RECORD_LOCKED", "RECORD_LOCKED", "RECORD_LOCKED"),
            ("invalid_client", "invalid_client", "invalid_client"),
            ("ada.lovelace", "ada.lovelace", "unknown"),
            ("two words", "unknown", "unknown"),
            ("", "unknown", "unknown"),
        ] {
            let code = Code::new(sent);
            assert_eq!(code.as_str(), decides);
            assert_eq!(
                (format!("{code}"), format!("{code:?}")),
                (shown.into(), shown.into())
            );
        }
        assert!(KNOWN.is_sorted());
    }
}
