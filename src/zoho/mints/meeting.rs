//! What is asked of the slots when they are met in Redis, and what comes of it.

use std::time::Duration;

use tokio::time::Instant;

use super::table::Table;

/// In what a table is read and changed.
#[derive(Clone, Copy)]
pub(in crate::zoho) struct Around {
    /// In milliseconds, by the clock of Redis.
    pub(in crate::zoho) clock: u64,
    /// The same by ours.
    pub(in crate::zoho) now: Instant,
    /// How many instances there may be.
    pub(in crate::zoho) replicas: u32,
    /// Redis has had its data for so short a time that others may not have told it yet what it lost.
    pub(in crate::zoho) is_fresh: bool,
}

/// What is to lie in Redis next, and what it means for who wants to mint.
pub(in crate::zoho) struct Meeting {
    pub(in crate::zoho) table: Table,
    pub(super) around: Around,
    pub(in crate::zoho) outcome: Outcome,
    /// Others may not have said yet what they have.
    pub(super) is_fresh: bool,
    /// Nothing is kept free for one more instance.
    pub(super) is_full: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zoho) enum Outcome {
    /// Nothing was wanted.
    Told,
    /// The attempt has a slot, as soon as the table lies in Redis.
    Granted,
    /// Another instance has a slot that it will give up in a moment.
    Wait,
    /// For so long there is none.
    Spent(Duration),
}
