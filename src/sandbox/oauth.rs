//! The accounts server, which gives and revokes tokens.

use jiff::Timestamp;
use serde_json::json;

use super::{desk::Desk, problem::Problem, query::Query, reply::Reply, token};

/// Answers a form body, or the same names in the URL.
pub(super) fn answer(
    desk: &Desk,
    method: &str,
    path: &str,
    (query, body): (&str, &[u8]),
    now: Timestamp,
) -> Reply {
    let form = std::str::from_utf8(body)
        .ok()
        .and_then(Query::parse)
        .unwrap_or_default();
    let form = form.followed_by(Query::parse(query).unwrap_or_default());
    let (status, body) = match (method, path) {
        ("POST", "/oauth/v2/token") => match token::fresh() {
            Ok(fresh) => desk.tokens().mint(&form, fresh, &desk.url, now),
            Err(_) => (500, json!({"error": "server_error"})),
        },
        ("POST", "/oauth/v2/token/revoke") => {
            desk.tokens().revoke(form.get("token").unwrap_or_default())
        }
        ("GET", "/oauth/serverinfo") => (
            200,
            json!({"result": "success", "locations": {"us": desk.url}}),
        ),
        _ => {
            let problem = Problem::unknown_route();
            (problem.status, problem.body())
        }
    };
    Reply::json(status, Some(&body))
}
