//! What is known of a request before it is answered: who calls, and in what it is written.

use http::{HeaderMap, header};
use jiff::tz::TimeZone;

use super::{Caller, Head};
use crate::sandbox::{desk::Desk, ledger::InFlight, problem::Problem, token::Live};

/// A caller of the CRM with a place among the requests in flight.
pub(super) struct Admitted {
    pub(super) live: Live,
    pub(super) zone: TimeZone,
    pub(super) in_flight: InFlight,
}

/// Who calls the CRM, if the request is one of its own; unauthenticated requests cost nothing.
pub(super) fn admit(desk: &Desk, head: &Head) -> Caller {
    if !head.path.starts_with("/crm/") {
        return None;
    }
    let token = head
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let Some(token) = token.and_then(|value| value.strip_prefix("Zoho-oauthtoken ")) else {
        return Some(Err(Problem::unauthenticated()));
    };
    let live = desk.tokens().check(token.trim(), head.now);
    Some(live.ok_or_else(Problem::invalid_token).and_then(|live| {
        let zone = {
            let crm = desk.crm();
            let user = crm.user(live.user);
            let email = user.map(|user| user.email.clone());
            desk.journal().amend(head.seq, |entry| entry.user = email);
            user.map_or(TimeZone::UTC, |user| user.zone.clone())
        };
        let in_flight = desk.ledger.enter(is_heavy(head), head.now)?;
        Ok(Admitted {
            live,
            zone,
            in_flight,
        })
    }))
}

/// Queries, and lists of a module that are sorted or of a view, have a limit of their own.
fn is_heavy(head: &Head) -> bool {
    let module = head.path.strip_prefix("/crm/v8/");
    let module = module.filter(|name| !name.contains('/'));
    let sorted = || head.query.contains("sort_by=") || head.query.contains("cvid=");
    module.is_some_and(|name| name == "coql" || (head.method == "GET" && sorted()))
}

/// Whether a body can be JSON by its own word. Without one, or with the one of curl, it can.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/x-www-form-urlencoded"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}
