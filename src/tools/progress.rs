//! How far a long call is, told to a client that asked for it.

/// Where progress goes; nowhere when the client sent no progress token.
#[derive(Default)]
pub struct Progress {}

impl Progress {
    /// Reports that `done` of `total` steps are done.
    pub async fn report(&self, _done: u32, _total: u32, _message: &'static str) {}
}
