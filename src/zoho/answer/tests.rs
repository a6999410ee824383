//! What Zoho's answers are taken for.

use super::*;
use proptest::prelude::*;

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        retry_after: None,
        date: None,
        remaining: None,
        body: bytes::Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn read(status: u16, body: &str) -> String {
    described(Effect::Read, status, body)
}

fn refused_field(body: &str) -> String {
    match judge(Effect::Read, &reply(400, body)) {
        Err(Fault::Failed(ZohoError::Input {
            field: Some(field), ..
        })) => field.as_str().to_owned(),
        _ => String::new(),
    }
}

fn described(effect: Effect, status: u16, body: &str) -> String {
    match judge(effect, &reply(status, body)) {
        Ok(()) => "ok".into(),
        Err(Fault::TokenRefused) => "token".into(),
        Err(Fault::Failed(error)) => format!("{error:?}"),
    }
}

#[test]
fn a_column_is_what_is_wrong_only_where_nothing_stands_beside_it() {
    let query = |details: &str| {
        let body = format!(r#"{{"code":"INVALID_QUERY","details":{details},"status":"error"}}"#);
        refused_field(&body)
    };
    assert_eq!(query(r#"{"column_name":"Amount"}"#), "Amount");
    assert_eq!(query(r#"{"column_name":"Amount","operator":"like"}"#), "");
    let search = |beside: &str| {
        let reason = "the field is not available for search";
        query(&format!(
            r#"{{"reason":"{reason}","api_name":"Last_Name"{beside}}}"#
        ))
    };
    assert_eq!(search(""), "Last_Name");
    assert_eq!(search(r#","operator":"like""#), "");
    assert_eq!(search(r#","value":"x""#), "");
    let too_wild = r#"{"reason":"More than one wildcard(*) not allowed","api_name":"Last_Name"}"#;
    assert_eq!(query(too_wild), "");
}

#[test]
fn every_class_of_complaint_is_told_by_its_code() {
    for (status, code, expected) in [
        (401, "INVALID_TOKEN", "token"),
        (401, "AUTHENTICATION_FAILURE", "Credentials"),
        (401, "OAUTH_SCOPE_MISMATCH", "Forbidden"),
        (403, "NO_PERMISSION", "Forbidden"),
        (400, "AUTHORIZATION_FAILED", "Forbidden"),
        (400, "INVALID_MODULE", "Input"),
        (404, "INVALID_URL_PATTERN", "Input"),
        (400, "MANDATORY_NOT_FOUND", "Input"),
        (400, "SOMETHING_NEW", "Input"),
        (400, "RECORD_LOCKED", "Conflict"),
        (412, "ALREADY_MODIFIED", "Conflict"),
        (429, "TOO_MANY_REQUESTS", "Busy"),
        (400, "RATE_LIMIT_EXCEEDED", "Busy"),
        (500, "INTERNAL_ERROR", "Unavailable { problem: Status(500)"),
        (
            503,
            "SERVICE_UNAVAILABLE",
            "Unavailable { problem: Status(503)",
        ),
    ] {
        for details in [r#""details":{},"#, r#""details":[],"#, ""] {
            let bare = format!(r#"{{"code":"{code}",{details}"message":"m","status":"error"}}"#);
            assert!(read(status, &bare).starts_with(expected), "{bare}");
            let wrapped = format!(r#"{{"data":[{bare}]}}"#);
            assert!(read(status, &wrapped).starts_with(expected), "{wrapped}");
        }
    }
}

#[test]
fn both_kinds_of_429_are_told_apart() {
    for body in [
        r#"{"code":"TOO_MANY_REQUESTS","message":"Number of API requests for the 24 hour period is exceeded","status":"error"}"#,
        r#"{"code":429,"error":"TOO_MANY_REQUESTS","error_info":"Many requests fired than the allowed limit for the past 24 hours."}"#,
    ] {
        assert!(read(429, body).starts_with("CreditsSpent"), "{body}");
    }
    for body in [r#"{"code":429,"details":[]}"#, "<html>slow down</html>", ""] {
        assert!(read(429, body).starts_with("Busy"), "{body}");
    }
}

#[test]
fn a_missing_record_is_not_an_input_error() {
    for details in [
        r#"{"resource_path_index":2}"#,
        r#"{"api_name":"id","json_path":"$.data[0].Parent_Id.id"}"#,
        r#"{"api_name":"Who_Id","json_path":"$.data[0].Who_Id"}"#,
        r#"{"expected_data_type":"bigint","api_name":"What_Id"}"#,
    ] {
        let body = format!(r#"{{"code":"INVALID_DATA","details":{details},"status":"error"}}"#);
        assert_eq!(read(400, &body), "NotFound");
    }
    let body = r#"{"code":"INVALID_DATA","details":{"api_name":"Phone"},"status":"error"}"#;
    assert_eq!(refused_field(body), "Phone");
    let nested = r#"{"code":"MULTIPLE_OR_MULTI_ERRORS","details":{"errors":[{"code":"X","details":{"api_name":"Email"}}]}}"#;
    assert_eq!(refused_field(nested), "Email");
}

#[test]
fn nonsense_is_unavailable_to_a_reader_and_ambiguous_to_a_writer() {
    for (status, body, problem) in [
        (200, "<html>maintenance</html>", "Unreadable"),
        (200, "", "Unreadable"),
        (200, r#"{"data":["#, "Broken"),
        (502, "<html>", "Status(502)"),
        (302, "", "Status(302)"),
    ] {
        assert_eq!(
            read(status, body),
            format!("Unavailable {{ problem: {problem} }}")
        );
        let write = described(Effect::Write, status, body);
        assert_eq!(write, format!("Ambiguous {{ problem: {problem} }}"));
    }
    assert!(described(Effect::Write, 403, "<html>").starts_with("Unavailable"));
    assert_eq!(read(204, ""), "ok");
    assert!(described(Effect::Write, 204, "").starts_with("Ambiguous"));
}

#[test]
fn a_refusal_without_a_word_is_no_server_error() {
    for effect in [Effect::Read, Effect::Write] {
        for body in ["", "<html>bad request</html>", "{}"] {
            for status in [413, 415, 422] {
                let told = described(effect, status, body);
                assert_eq!(
                    told, "Input { code: unknown, field: None }",
                    "{status} {body}"
                );
            }
            let told = described(effect, 404, body);
            assert_eq!(told, "Unavailable { problem: Status(404) }", "{body}");
        }
        let told = described(effect, 400, "<html>bad request</html>");
        assert_eq!(told, "Input { code: unknown, field: None }");
    }
    let named = [302, 404, 408, 500, 503].map(|status| Problem::Status(status).name());
    let names = [
        "unexpected_status",
        "refused",
        "timeout",
        "server_error",
        "server_error",
    ];
    assert_eq!(named, names);
}

#[test]
fn rows_of_an_error_with_a_good_status_are_the_error() {
    let body = r#"{"code":"NO_PERMISSION","details":{},"message":"x","status":"error"}"#;
    let error = rows::<crate::zoho::Reference>(&reply(200, body)).unwrap_err();
    assert!(matches!(error, ZohoError::Forbidden { .. }));
    let cut = rows::<crate::zoho::Reference>(&reply(200, r#"{"data":[{"id":"1"}"#));
    assert!(matches!(
        cut,
        Err(ZohoError::Unavailable {
            problem: Problem::Broken
        })
    ));
}

proptest! {
    #[test]
    fn no_body_panics_or_is_repeated(status in 100..600_u16, body in ".{0,80}") {
        let _ = read(status, &body);
        let secret = serde_json::json!({"code": format!("{body} secret"), "message": "secret"});
        prop_assert!(!read(status, &secret.to_string()).contains("secret"));
    }
}
