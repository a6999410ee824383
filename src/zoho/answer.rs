//! Reads what Zoho answered: what went wrong, by its code and never by its wording, and rows.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Listed, Problem, Purse, ZohoError,
    error::{Code, Full},
    http::Reply,
    retry::Effect,
};

/// Why an answer is not what was asked for.
#[derive(Debug)]
pub(super) enum Fault {
    /// The access token is not valid (any more); the request was not executed.
    TokenRefused,
    Failed(ZohoError),
}

/// Judges an answer as far as its envelope goes.
pub(super) fn judge(effect: Effect, reply: &Reply) -> Result<(), Fault> {
    // A write is judged by the elements in its answer: Zoho uses all of these for refused elements.
    let of_elements =
        effect == Effect::Write && matches!(reply.status.as_u16(), 200 | 201 | 202 | 207 | 400);
    if reply.status == StatusCode::NO_CONTENT && effect == Effect::Read {
        return Ok(());
    }
    if reply.status.is_success() || of_elements {
        return match shape(&reply.body) {
            Ok(()) => Ok(()),
            Err(_) if reply.status.is_client_error() => Err(complaint_of(effect, reply)),
            Err(problem) => Err(Fault::Failed(broken(effect, problem))),
        };
    }
    Err(complaint_of(effect, reply))
}

/// The error of an exchange that broke on the way.
pub(super) fn broken(effect: Effect, problem: Problem) -> ZohoError {
    match effect {
        Effect::Write if problem != Problem::Connect => ZohoError::Ambiguous { problem },
        _ => ZohoError::Unavailable { problem },
    }
}

/// Rows of a list; an empty body is an empty list.
pub(super) fn rows<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<Listed<T>, ZohoError> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        #[serde(
            alias = "Emails",
            alias = "email_related_list",
            alias = "users",
            alias = "org",
            alias = "fields"
        )]
        data: Vec<T>,
        info: Option<Info>,
    }
    #[derive(Deserialize)]
    struct Info {
        more_records: Option<bool>,
        next_index: Option<Value>,
    }
    if reply.body.is_empty() {
        return Ok(Listed {
            rows: Vec::new(),
            more: false,
            index: None,
        });
    }
    match serde_json::from_slice::<Envelope<T>>(&reply.body) {
        Ok(Envelope { data, info }) => Ok(Listed {
            rows: data,
            more: info.as_ref().and_then(|info| info.more_records) == Some(true),
            index: info.and_then(|info| match info.next_index? {
                Value::String(index) => Some(index),
                Value::Number(index) => Some(index.to_string()),
                _ => None,
            }),
        }),
        Err(error) => Err(unreadable(Effect::Read, reply, &error)),
    }
}

/// The error of a body that is not what it should be: a complaint that came with a good status, or
/// nonsense.
pub(super) fn unreadable(effect: Effect, reply: &Reply, error: &serde_json::Error) -> ZohoError {
    match Complaint::read(&reply.body) {
        Some(complaint) => match class(effect, reply.status, reply.retry_after, &complaint) {
            Fault::Failed(error) => error,
            Fault::TokenRefused => ZohoError::Credentials {
                code: complaint.code,
            },
        },
        None if error.is_eof() => broken(effect, Problem::Broken),
        None => broken(effect, Problem::Unreadable),
    }
}

/// A JSON object from end to end, as far as a glance can tell: maintenance pages are HTML with
/// status 200, and a body cut short has no end.
fn shape(body: &[u8]) -> Result<(), Problem> {
    let body = body.trim_ascii();
    match (body.first(), body.last()) {
        (Some(b'{'), Some(b'}')) => Ok(()),
        (Some(b'{'), _) => Err(Problem::Broken),
        _ => Err(Problem::Unreadable),
    }
}

fn complaint_of(effect: Effect, reply: &Reply) -> Fault {
    match Complaint::read(&reply.body) {
        Some(complaint) => class(effect, reply.status, reply.retry_after, &complaint),
        None => wordless(effect, reply.status, reply.retry_after),
    }
}

/// What Zoho says is wrong.
struct Complaint {
    code: Code,
    field: Option<Code>,
    /// The record that the request is about does not exist.
    on_record: bool,
    /// The daily credits are spent, not just the requests of this moment.
    credits: bool,
}

impl Complaint {
    /// Tolerates what Zoho was seen to send: wrapped in `data[]` or bare, a code that is text or a
    /// number or called `error`, details that are an object, a list or missing.
    fn read(body: &[u8]) -> Option<Self> {
        if body.len() > LARGEST_COMPLAINT {
            return None;
        }
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = match value.get("data").and_then(Value::as_array) {
            Some(elements) => elements
                .iter()
                .find(|element| element.get("status").and_then(Value::as_str) != Some("success"))?,
            None => &value,
        };
        let text = |key| object.get(key).and_then(Value::as_str);
        let number = object.get("code").and_then(Value::as_u64);
        let code = match (text("code").or(text("error")), number) {
            (Some(code), _) => Code::new(code),
            (None, Some(number)) => Code::new(&number.to_string()),
            (None, None) => return None,
        };
        let details = object.get("details").unwrap_or(&Value::Null);
        let wording = [text("message"), text("error_info")];
        Some(Self {
            on_record: is_on_record(details),
            field: field(details),
            credits: wording.into_iter().flatten().any(is_about_credits),
            code,
        })
    }
}

fn field(details: &Value) -> Option<Code> {
    let named = |details: &Value| {
        ["api_name", "param_name", "column_name"]
            .iter()
            .find_map(|key| details.get(key).and_then(Value::as_str).map(Code::new))
    };
    // What stands beside a column, or beside a field that is searched, is what is wrong with it.
    let has = |key| details.get(key).is_some();
    let alone = details.as_object().is_none_or(|all| all.len() == 1);
    let reason = details.get("reason").and_then(Value::as_str);
    let is_unshown = reason.is_none_or(|reason| reason.contains("not available"));
    if (has("column_name") && !alone) || has("operator") || has("value") || !is_unshown {
        return None;
    }
    named(details).or_else(|| {
        let nested = details.get("errors").or(details.get("expected_fields"))?;
        let first = nested.as_array()?.first()?;
        named(first.get("details").unwrap_or(first))
    })
}

/// All our requests name one record at most, in their path, as the parent of a note or as what an
/// activity is about.
fn is_on_record(details: &Value) -> bool {
    let text = |key| details.get(key).and_then(Value::as_str).unwrap_or("");
    let in_path = details
        .get("resource_path_index")
        .and_then(Value::as_u64)
        .is_some_and(|index| index >= 1);
    in_path
        || text("api_name") == "id"
        || LINKS
            .iter()
            .any(|link| text("api_name") == *link || text("json_path").contains(link))
}

/// The one place that reads wording: both kinds of 429 come with the same code.
fn is_about_credits(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("24 hour") || message.contains("24-hour") || message.contains("credit")
}

fn class(
    effect: Effect,
    status: StatusCode,
    retry_after: Option<Duration>,
    complaint: &Complaint,
) -> Fault {
    let code = complaint.code.clone();
    Fault::Failed(match (status.as_u16(), code.as_str()) {
        (_, "INVALID_TOKEN" | "INVALID_OAUTHTOKEN") => return Fault::TokenRefused,
        (429, _) | (_, "TOO_MANY_REQUESTS" | "RATE_LIMIT_EXCEEDED" | "429") => {
            throttled(complaint.credits, retry_after)
        }
        (500.., _) => broken(effect, Problem::Status(status.as_u16())),
        (_, "INTERNAL_ERROR" | "INTERNAL_SERVER_ERROR" | "SERVICE_UNAVAILABLE") => {
            broken(effect, Problem::Status(500))
        }
        (300..=399, _) => broken(effect, Problem::Status(status.as_u16())),
        (403, _) | (_, "NO_PERMISSION" | "AUTHORIZATION_FAILED" | "OAUTH_SCOPE_MISMATCH") => {
            ZohoError::Forbidden { code }
        }
        (401, _) | (_, "AUTHENTICATION_FAILURE") => ZohoError::Credentials { code },
        (412, _) => ZohoError::Conflict { code },
        (_, text) if STATE.contains(&text) => ZohoError::Conflict { code },
        (_, "INVALID_DATA") if complaint.on_record => ZohoError::NotFound,
        _ => ZohoError::Input {
            code,
            field: complaint.field.clone(),
        },
    })
}

/// The class of an answer without a readable complaint.
fn wordless(effect: Effect, status: StatusCode, retry_after: Option<Duration>) -> Fault {
    let problem = Problem::Status(status.as_u16());
    Fault::Failed(match status.as_u16() {
        401 => return Fault::TokenRefused,
        429 => throttled(false, retry_after),
        // What was sent is the reason.
        400 | 413..=415 | 422 => ZohoError::Input {
            code: Code::new(""),
            field: None,
        },
        // Refused outright: nothing was written.
        400..=407 | 409..=499 => ZohoError::Unavailable { problem },
        _ => broken(effect, problem),
    })
}

fn throttled(credits: bool, retry_after: Option<Duration>) -> ZohoError {
    if credits {
        ZohoError::CreditsSpent {
            retry_after: retry_after.unwrap_or(CREDITS_PAUSE),
            whose: Purse::Zoho,
        }
    } else {
        ZohoError::Busy {
            retry_after: retry_after.unwrap_or_default().min(LONGEST_BUSY),
            full: Full::Zoho,
        }
    }
}

/// The fields of ours that name the record that another one is about.
const LINKS: [&str; 3] = ["Parent_Id", "Who_Id", "What_Id"];
/// The record is in a state that does not allow what was asked.
const STATE: [&str; 8] = [
    "ALREADY_MODIFIED",
    "RECORD_LOCKED",
    "CONVERTED_RECORD",
    "RECORD_IN_BLUEPRINT",
    "NOT_APPROVED",
    "NOT_REVIEWED",
    "NOT_ALLOWED",
    "CANNOT_PROCESS",
];
const LARGEST_COMPLAINT: usize = 64 * 1024;
/// Requests in flight end soon, whatever a proxy says.
const LONGEST_BUSY: Duration = Duration::from_secs(60);
/// The window of credits slides: some come back within the hour.
const CREDITS_PAUSE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
