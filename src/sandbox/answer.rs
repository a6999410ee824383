//! What a handler gives back, before it becomes an HTTP response.

use serde_json::{Value, json};

use super::{cell::Id, problem::Problem, schema::Module};

/// A status, a body or none, what it cost and what it changed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) credits: u32,
    pub(super) committed: Vec<(Module, Id)>,
}

impl Answer {
    /// A body with status 200.
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body: Some(body),
            credits: 1,
            committed: Vec::new(),
        }
    }

    /// Nothing found: 204, no body, no content type.
    pub(super) fn empty() -> Self {
        Self {
            status: 204,
            body: None,
            credits: 1,
            committed: Vec::new(),
        }
    }

    /// Nothing newer than what the caller has.
    pub(super) fn not_modified() -> Self {
        Self {
            status: 304,
            ..Self::empty()
        }
    }

    /// The same answer for another price.
    pub(super) fn costing(mut self, credits: u32) -> Self {
        self.credits = credits;
        self
    }

    /// A problem, in `data[]` or by itself.
    pub(super) fn refused(problem: &Problem, in_data: bool) -> Self {
        if in_data {
            Self::wrapped(problem)
        } else {
            Self::bare(problem)
        }
    }

    /// A problem as reads report it.
    pub(super) fn bare(problem: &Problem) -> Self {
        Self {
            status: problem.status,
            ..Self::ok(problem.body())
        }
    }

    /// A problem as writes report it. Who may not call at all is told without the wrapping.
    pub(super) fn wrapped(problem: &Problem) -> Self {
        if problem.is_of_rows() {
            Self {
                status: problem.status,
                ..Self::ok(json!({"data": [problem.body()]}))
            }
        } else {
            Self::bare(problem)
        }
    }
}
