//! What Zoho answers a write of one record.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Problem, RecordId, ZohoError, answer::unreadable, http::Reply, retry::Effect, row::moment,
};

/// What Zoho says of a record that it made or changed.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Written {
    pub id: RecordId,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
    #[serde(rename = "Modified_Time", default, deserialize_with = "moment")]
    pub modified_time: Option<String>,
}

/// What became of the one element of a write: decided by its own status, not by HTTP's.
pub(super) fn written(reply: &Reply) -> Result<Written, ZohoError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: Vec<Element<'a>>,
    }
    #[derive(Deserialize)]
    struct Element<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
        #[serde(borrow)]
        details: Option<&'a RawValue>,
    }
    let nonsense = |error| unreadable(Effect::Write, reply, &error);
    let envelope: Envelope<'_> = serde_json::from_slice(&reply.body).map_err(nonsense)?;
    let details = match envelope.data.first() {
        Some(element) if element.status == "success" => element.details,
        _ => None,
    };
    let details = details.map_or("", RawValue::get);
    // A success that names no record, or the complaint of a refused element.
    serde_json::from_str(details).map_err(|error| match nonsense(error) {
        ZohoError::Ambiguous { .. } => ZohoError::Ambiguous {
            problem: Problem::Unreadable,
        },
        complaint => complaint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Written, ZohoError> {
        written(&Reply {
            status: http::StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            date: None,
            remaining: None,
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn a_write_is_judged_by_its_element_whatever_the_status() {
        let done = r#"{"data":[{"code":"SUCCESS","details":{"Created_Time":"2026-05-14T12:54:39+03:00","id":"57"},"message":"record added","status":"success"}]}"#;
        let not = r#"{"data":[{"code":"INVALID_DATA","details":{"api_name":"id","json_path":"$.data[0].Parent_Id.id"},"message":"x","status":"error"}]}"#;
        let bare = r#"{"code":"EXPECTED_FIELD_MISSING","details":{"expected_fields":[{"api_name":"Note_Title"}]},"status":"error"}"#;
        for status in [200, 201, 202, 207, 400] {
            assert_eq!(answer(status, done).unwrap().id.as_str(), "57");
            assert!(matches!(answer(status, not), Err(ZohoError::NotFound)));
            assert!(matches!(
                answer(status, bare),
                Err(ZohoError::Input { field: Some(_), .. })
            ));
        }
    }

    #[test]
    fn a_success_that_cannot_be_read_is_ambiguous() {
        for body in [
            r#"{"data":[{"status":"success"}]}"#,
            r#"{"data":[{"status":"success","details":[]}]}"#,
            r#"{"data":[]}"#,
            r#"{}"#,
        ] {
            assert!(
                matches!(answer(201, body), Err(ZohoError::Ambiguous { .. })),
                "{body}"
            );
        }
    }
}
