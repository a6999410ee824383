//! How much a caller may call.

mod blocked;
mod claim;
pub mod dimension;
mod guard;
pub mod in_flight;
mod keeper;
mod limiter;
mod local;
mod merge;
mod names;
pub mod rules;
mod shared;
mod trial;
mod unreached;
pub mod usage;
pub mod verdict;
pub mod window;

pub use dimension::Subject;
pub use guard::{CREDITS, Gate, Refused, Seat, Shortage, Slip, limit};
pub use in_flight::InFlight;
pub use limiter::{Admission, Limiter, Standing as StoreStanding};
pub use names::Names;
pub use rules::{Answer, BadLimit, Config, Rules};
pub use trial::Trial;
pub use unreached::{Unreached, unreached};
pub use verdict::{Standing, Verdict};
