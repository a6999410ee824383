//! What happened: one JSON object a line, in order, chained, never lost in silence.

pub mod chain;
pub mod event;
pub mod redact;
pub mod sink;
pub mod stdout;

pub use event::{Event, Kind};
pub use redact::{Class, Classes, Redacted, Redactor};
pub use sink::{Audit, Config, OnFailure, SinkUnavailable};
pub use stdout::stdout;
