//! Answers that a fault spoils on their way.

use http::{Response, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    clock::date,
    fault::{Fault, Kind},
    reply::{Body, Reply},
};

/// The answer whole, unless the fault has it otherwise.
pub(super) fn spoil(reply: Reply, fault: &Fault, now: Timestamp) -> Response<Body> {
    match fault.fault {
        Kind::Truncate => reply.truncated(),
        Kind::Drip => reply.dripping(fault.delay()),
        Kind::ContentType if reply.has_body() => {
            let kind = fault.content_type().to_owned();
            reply.with(header::CONTENT_TYPE, kind).whole()
        }
        Kind::Extra => reply.changed(enrich).whole(),
        Kind::Oversize => reply.changed(inflate).whole(),
        Kind::Skew => {
            let mut response = reply.whole();
            if let Some(date) = date(fault.clock(now)) {
                response.headers_mut().insert(header::DATE, date);
            }
            response
        }
        _ => reply.whole(),
    }
}

/// Adds to every object what no version so far has.
fn enrich(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(enrich);
            object.insert(
                "$novelty".into(),
                json!({ "kind": "UNHEARD_OF", "list": [1, null, {}] }),
            );
            object.insert("Novelty__s".into(), json!("NEW_VALUE"));
        }
        Value::Array(elements) => elements.iter_mut().for_each(enrich),
        _ => {}
    }
}

fn inflate(value: &mut Value) {
    if let Value::Object(object) = value {
        object.insert("padding".into(), json!("x".repeat(OVERSIZE)));
    }
}

/// A client reads eight MiB at the most.
const OVERSIZE: usize = 9 * 1024 * 1024;
