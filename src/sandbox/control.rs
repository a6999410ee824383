//! `/__sim`: the controls of whoever tests with the sandbox.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{desk::Desk, fault::Fault, schema::Module};
use crate::setting::Span;

/// The clock's order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: Span,
}

/// Answers a control with a status and a body.
pub(super) fn answer(desk: &Desk, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    match (method, path) {
        ("GET", "/__sim/faults") => (200, json!({"faults": desk.faults().list()})),
        ("POST", "/__sim/faults") => add_fault(desk, body),
        ("DELETE", "/__sim/faults") => (200, json!({"cleared": desk.faults().clear()})),
        ("GET", "/__sim/journal") => (
            200,
            json!({"requests": desk.journal().entries().collect::<Vec<_>>()}),
        ),
        ("GET", "/__sim/state") => (200, state(desk)),
        ("POST", "/__sim/clock") => advance(desk, body),
        ("POST", "/__sim/reset") => {
            desk.reset();
            (200, json!({"status": "success"}))
        }
        ("GET", "/__sim/settings") => (200, settings(desk)),
        ("POST", "/__sim/settings") => change_settings(desk, body),
        (
            _,
            "/__sim/faults" | "/__sim/journal" | "/__sim/state" | "/__sim/settings"
            | "/__sim/clock" | "/__sim/reset",
        ) => (
            405,
            json!({"error": "this control does not know that method"}),
        ),
        _ => (
            404,
            json!({"error": "there are /__sim/faults, journal, state, settings, clock and reset"}),
        ),
    }
}

fn add_fault(desk: &Desk, body: &[u8]) -> (u16, Value) {
    let fault: Fault = match read(body) {
        Ok(fault) => fault,
        Err(refusal) => return refusal,
    };
    let mut faults = desk.faults();
    match faults.add(fault) {
        Ok(()) => (201, json!({"faults": faults.list()})),
        Err(refused) => (400, json!({"error": refused.to_string()})),
    }
}

fn change_settings(desk: &Desk, body: &[u8]) -> (u16, Value) {
    let changes: Value = match read(body) {
        Ok(changes) => changes,
        Err(refusal) => return refusal,
    };
    match desk.settings().with(changes) {
        Ok(changed) => {
            desk.set(changed);
            (200, settings(desk))
        }
        Err(refused) => (400, json!({"error": refused.to_string()})),
    }
}

fn settings(desk: &Desk) -> Value {
    json!({"settings": *desk.settings()})
}

fn advance(desk: &Desk, body: &[u8]) -> (u16, Value) {
    let order: Advance = match read(body) {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    if !desk.clock.advance(order.advance.duration()) {
        return (
            400,
            json!({"error": "the clock does not go further than ten years ahead"}),
        );
    }
    (200, clock(desk))
}

fn state(desk: &Desk) -> Value {
    let now = desk.clock.now();
    let crm = desk.crm();
    let modules: Map<String, Value> = Module::ROUTED
        .iter()
        .map(|module| (module.name().to_owned(), json!(crm.table(*module).len())))
        .collect();
    json!({
        "modules": modules,
        "users": crm.users.len(),
        "tokens": desk.tokens().counts(now),
        "credits": desk.ledger.credits(now),
        "requests": desk.ledger.requests(),
        "faults": desk.faults().list().len(),
        "clock": clock(desk),
    })
}

fn clock(desk: &Desk) -> Value {
    json!({"now": desk.clock.now().to_string(), "offset_ms": desk.clock.offset_ms()})
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, Value)> {
    serde_json::from_slice(body).map_err(|error| (400, json!({"error": error.to_string()})))
}
