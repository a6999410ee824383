//! The table of dimensions: what is counted, for whom, and against which quota.

use std::sync::Arc;

use super::rules::Rules;
use crate::{auth::User, setting::Limit};

/// The call that asks to be admitted.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The name under `[clients]`.
    pub client: &'a Arc<str>,
    /// The person behind the client.
    pub user: Option<&'a User>,
    /// The tool that is called, where the request is a call of a tool.
    pub tool: Option<&'a str>,
    /// A call that is asked about again under the same id counts once.
    pub request_id: uuid::Uuid,
}

/// One row of the table.
pub struct Dimension {
    /// What callers are told was violated.
    pub name: &'static str,
    /// The limit, where the dimension applies to the call.
    pub limit: fn(&Rules, &Subject<'_>) -> Option<Limit>,
    /// Whose window it is.
    pub whose: fn(&Subject<'_>) -> Whose,
}

/// Whose window it is, within one dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Everybody's, or everybody's for whom there is no place.
    Everybodys,
    /// A client's.
    Clients(Arc<str>),
    /// A person's.
    Users(User),
    /// A client's with one tool.
    ClientsTool(Arc<str>, Box<str>),
}

/// All dimensions. A call has to fit into each that applies.
pub static DIMENSIONS: [Dimension; 4] = [
    Dimension {
        name: "global",
        limit: |rules, _| Some(rules.global),
        whose: |_| Whose::Everybodys,
    },
    Dimension {
        name: "client",
        limit: |rules, subject| {
            let own = rules.clients.get(subject.client).copied();
            Some(own.unwrap_or(rules.client))
        },
        whose: |subject| Whose::Clients(Arc::clone(subject.client)),
    },
    Dimension {
        name: "user",
        limit: |rules, subject| subject.user.map(|_| rules.user),
        whose: |subject| match subject.user {
            Some(user) => Whose::Users(user.clone()),
            None => Whose::Everybodys,
        },
    },
    Dimension {
        name: "client:tool",
        limit: |rules, subject| rules.tools.get(subject.tool?).copied(),
        whose: |subject| {
            let tool = subject.tool.unwrap_or_default();
            Whose::ClientsTool(Arc::clone(subject.client), tool.into())
        },
    },
];
