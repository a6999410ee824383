//! The JSON-RPC envelope, read once and strictly: what the guards decide on is what the protocol
//! library will see, or the request ends here.

mod envelope;
mod guard;
mod headers;
mod unreadable;
mod values;

pub use envelope::Call;
pub use guard::{Limits, read};
pub use unreadable::Unreadable;
