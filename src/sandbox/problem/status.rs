//! What goes with a status that is not asked for: each API has words of its own for some.

use super::Problem;
use crate::sandbox::{cell::Id, schema::Module};

impl Problem {
    /// What whoever answers a request says with a status.
    pub(in crate::sandbox) fn on(method: &str, path: &str, status: u16) -> Self {
        let other = Self::with_status(status);
        match status {
            403 => denied(method, path).unwrap_or(other),
            500 if is_of_a_list(method, path) => Self {
                message: "Unexpected and unhandled exception in Server".into(),
                ..other
            },
            500 if path.ends_with("/__timeline") => Self {
                code: "INTERNAL_SERVER_ERROR",
                ..other
            },
            503 if path.ends_with("/search") => Self {
                message: "Service temporarily unavailable for maintenance".into(),
                ..other
            },
            _ => other,
        }
    }
}

/// Whether a request is for a related list, or for one of it.
fn is_of_a_list(method: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(3).collect();
    match parts.as_slice() {
        [module, id, list] | [module, id, list, _] if method == "GET" => {
            let apart = [
                "actions",
                "__timeline",
                "Locking_Information__s",
                "Emails",
                "Notes",
            ];
            Module::parse(module).is_some() && id.parse::<Id>().is_ok() && !apart.contains(list)
        }
        _ => false,
    }
}

/// What may not be done with the records of a module.
fn denied(method: &str, path: &str) -> Option<Problem> {
    let parts: Vec<&str> = path.strip_prefix("/crm/v8/")?.split('/').collect();
    let (module, rest) = parts.split_first()?;
    let module = Module::parse(module)?.name();
    let (right, message) = match (method, rest) {
        ("GET", ["search"]) => {
            let message = "Permission denied to read";
            return Some(Problem::plain(403, "NO_PERMISSION", message));
        }
        ("POST", [_, "actions", "get_related_records_count"]) => {
            let message = "You do not have permission to read records from the module";
            return Some(Problem::plain(403, "NO_PERMISSION", message));
        }
        (_, ["deleted"]) => return None,
        ("GET", [] | [_]) => ("View", DENIED),
        ("POST", [] | ["upsert"]) => ("Create", DENIED),
        ("PUT", [] | [_]) => ("Edit", DENIED),
        ("DELETE", [] | [_]) => ("Delete", NOT_DELETED),
        ("GET", [_, _] | [_, _, _]) if is_of_a_list(method, path) => {
            ("View", "Permission denied to read related records")
        }
        _ => return None,
    };
    Some(Problem::denied(right, module, message))
}

/// How records are denied to whoever reads or writes them.
pub(in crate::sandbox) const DENIED: &str = "Permission denied";
/// The same of deletions.
pub(in crate::sandbox) const NOT_DELETED: &str = "Permission denied to delete";
