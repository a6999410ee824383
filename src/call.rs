//! The JSON-RPC envelope, read once and strictly: what the guards decide on is what the protocol
//! library will see, or the request ends here.

mod asked;
mod bodies;
mod envelope;
mod guard;
mod headers;
mod unreadable;
mod values;

pub use asked::Asked;
pub use bodies::{Bodies, SHARES};
pub use envelope::Call;
pub use guard::{Gate, read};
pub use unreadable::{LONGEST_ID, Unreadable};
