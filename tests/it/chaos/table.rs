//! What is expected of each fault of each thing that the daemon needs.

use crate::passage::Fault;

/// What is to be seen while it lasts.
#[derive(Clone, Copy)]
pub(super) enum Cell {
    /// What `/health` and the log say, and what becomes of calls: no other answer may come.
    Expect {
        state: &'static str,
        answers: &'static [&'static str],
    },
    /// There is no such fault of this, and why.
    No(&'static str),
}

/// A fault, and what is expected where it hits.
pub(super) struct Row {
    pub(super) fault: Fault,
    pub(super) redis: Cell,
    pub(super) zoho: Cell,
    pub(super) issuer: Cell,
    pub(super) secrets: Cell,
    pub(super) log: Cell,
}

const SERVED: &[&str] = &["reads served", "writes served"];
const TOLD: &[&str] = &["reads told", "writes told"];
const EITHER: &[&str] = &["reads served", "writes served", "reads told", "writes told"];

/// In between, when it is well and ill by turns.
pub(super) const ANY: &str = "any";

const FINE: Cell = Cell::Expect {
    state: "healthy",
    answers: SERVED,
};
/// Each instance counts its share of the limits by itself.
const SHARES: Cell = Cell::Expect {
    state: "degraded, redis down",
    answers: SERVED,
};
const DOWN: Cell = Cell::Expect {
    state: "degraded, zoho_api down",
    answers: TOLD,
};
/// What was good last serves on, and one event says so.
const KEPT: Cell = Cell::Expect {
    state: "healthy, last good",
    answers: SERVED,
};
/// The same, which `/health` says too once it has lasted for a few looks.
const STALE: Cell = Cell::Expect {
    state: "degraded, last good",
    answers: SERVED,
};
/// Another instance may have a log that works.
const UNRECORDED: Cell = Cell::Expect {
    state: "unhealthy, audit_log down",
    answers: &["reads served", "writes told"],
};
/// A pipe that nobody reads takes what fits into it first.
const FILLING: Cell = Cell::Expect {
    state: "unhealthy, audit_log down",
    answers: &["reads served", "writes served", "writes told"],
};
const NOBODY_SERVED_WRONG: Cell = Cell::Expect {
    state: ANY,
    answers: SERVED,
};

const fn row(fault: Fault, [redis, zoho, issuer, secrets, log]: [Cell; 5]) -> Row {
    Row {
        fault,
        redis,
        zoho,
        issuer,
        secrets,
        log,
    }
}

const NO_NAME: Cell = Cell::No("a file is not found by a name of a network");
const NO_TLS: Cell = Cell::No("a file shows no certificate");
const SAYS_NOTHING: Cell = Cell::No("a file answers nothing that could be wrong");
const NO_PAGE: Cell = Cell::No("Redis speaks no HTTP: this is noise");

/// Redis, Zoho, issuer, Secrets Manager, audit log.
pub(super) const TABLE: [Row; 14] = [
    row(Fault::Refused, [SHARES, DOWN, KEPT, STALE, UNRECORDED]),
    // A log that is moved away is begun anew.
    row(Fault::Reset, [SHARES, DOWN, KEPT, STALE, FINE]),
    row(Fault::Silent, [SHARES, DOWN, KEPT, STALE, FILLING]),
    row(Fault::NameGone, [SHARES, DOWN, KEPT, STALE, NO_NAME]),
    row(Fault::Expired, [SHARES, DOWN, KEPT, STALE, NO_TLS]),
    row(
        Fault::Flapping,
        [
            NOBODY_SERVED_WRONG,
            Cell::Expect {
                state: ANY,
                answers: EITHER,
            },
            NOBODY_SERVED_WRONG,
            NOBODY_SERVED_WRONG,
            Cell::Expect {
                state: ANY,
                answers: &["reads served", "writes served", "writes told"],
            },
        ],
    ),
    row(Fault::Slow, [SHARES, FINE, FINE, FINE, FINE]),
    row(Fault::Drip, [SHARES, DOWN, KEPT, STALE, SAYS_NOTHING]),
    // Half a line at the end of a log is taken away.
    row(Fault::Cut, [SHARES, DOWN, KEPT, STALE, FINE]),
    row(Fault::Garbage, [SHARES, DOWN, KEPT, STALE, SAYS_NOTHING]),
    row(Fault::Page, [NO_PAGE, DOWN, KEPT, STALE, SAYS_NOTHING]),
    row(Fault::Failing, [SHARES, DOWN, KEPT, STALE, UNRECORDED]),
    row(
        Fault::Denied,
        [
            SHARES,
            Cell::Expect {
                state: "degraded, zoho_api credentials_refused",
                answers: TOLD,
            },
            KEPT,
            STALE,
            UNRECORDED,
        ],
    ),
    row(
        Fault::Busy,
        [
            SHARES,
            // It answers: there is nothing wrong with it.
            Cell::Expect {
                state: "healthy",
                answers: TOLD,
            },
            KEPT,
            STALE,
            UNRECORDED,
        ],
    ),
];
