use super::*;
use crate::zoho::error::{Code, Full, Problem};

#[test]
fn a_busy_zoho_says_when_to_come_back() {
    let busy = ToolError::from(ZohoError::Busy {
        retry_after: Duration::from_millis(1200),
        full: Full::Zoho,
    });
    assert!(busy.advice().contains("in 2 seconds"), "{}", busy.advice());
    assert_eq!(busy.kind(), "zoho_busy");
    let soon = ToolError::from(ZohoError::Busy {
        retry_after: Duration::from_secs(1),
        full: Full::Ours,
    });
    assert!(soon.advice().ends_with("in 1 second."), "{}", soon.advice());
    let refused = ToolError::from(ZohoError::TokenRefused {
        retry_after: Duration::from_secs(8),
    });
    let told = refused.advice();
    assert!(told.contains("Try again in 8 seconds;"), "{told}");
}

#[test]
fn a_server_without_a_token_says_so_and_not_that_zoho_is_busy() {
    let throttled = ToolError::from(ZohoError::TokenThrottled {
        retry_after: Duration::from_secs(301),
    });
    assert_eq!(throttled.kind(), "zoho_token_throttled");
    let told = throttled.advice();
    assert!(told.contains("before 6 minutes have passed"), "{told}");
    for (seconds, told) in [
        (1, "1 second has"),
        (60, "60 seconds have"),
        (89, "89 seconds have"),
        (90, "2 minutes have"),
        (119 * 60, "119 minutes have"),
        (1447 * 60, "25 hours have"),
    ] {
        assert_eq!(passed(Duration::from_secs(seconds)), told);
    }
}

#[test]
fn an_upstream_code_never_reaches_the_agent() {
    let code = || Code::new("SOME_UPSTREAM_TEXT");
    for error in [
        ZohoError::Input {
            code: code(),
            field: Some(code()),
        },
        ZohoError::Forbidden { code: code() },
        ZohoError::Conflict { code: code() },
        ZohoError::Credentials { code: code() },
        ZohoError::Unavailable {
            problem: Problem::Status(503),
        },
    ] {
        let error = ToolError::from(error);
        assert!(!error.advice().contains("UPSTREAM"), "{}", error.advice());
        assert!(
            error
                .kind()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_')
        );
    }
}

#[test]
fn a_wait_that_the_advice_names_is_told_as_a_number_as_well() {
    let retry_after = Duration::from_millis(29_500);
    let (problem, full) = (Problem::Timeout, Full::Ours);
    let waits: [ToolError; 8] = [
        ToolError::KeyInUse { retry_after },
        ToolError::KeyUnsettled { retry_after },
        ToolError::KeysUnavailable,
        ZohoError::Busy { retry_after, full }.into(),
        ZohoError::Overloaded { retry_after }.into(),
        ZohoError::TokenRefused { retry_after }.into(),
        ZohoError::Unavailable { problem }.into(),
        ZohoError::NoToken { problem }.into(),
    ];
    for error in waits {
        assert_eq!(error.retry_after_seconds(), Some(30), "{error}");
        assert!(error.advice().contains("30 seconds"), "{}", error.advice());
    }
    let throttled = ToolError::from(ZohoError::TokenThrottled { retry_after });
    assert_eq!(throttled.retry_after_seconds(), Some(30));
    for error in [ToolError::KeyReused, ZohoError::NotFound.into()] {
        assert_eq!(error.retry_after_seconds(), None, "{error}");
    }
}
