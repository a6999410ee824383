//! What happened: one JSON object a line, in order, chained, never lost in silence.

mod chain;
mod config;
pub mod event;
mod execution_id;
mod head;
mod lifecycle;
mod line;
mod lost;
mod meter;
mod recorder;
pub mod redact;
mod sign;
mod sink;
mod stdout;
mod upstream;
pub mod verify;
mod writer;

pub use config::{BadConfig, Config, OnFailure};
pub use event::{Event, Kind};
pub use head::{BadHead, Head};
pub use lost::MOST_CLIENTS;
pub use recorder::{Audit, Room, SinkUnavailable, Unwritten};
pub use redact::{Class, Classes, Redacted, Redactor};
pub use sign::{BadKey, PublicKey, SigningKey};
pub use sink::CannotOpen;
pub use upstream::Requests;
