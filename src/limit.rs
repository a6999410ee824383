//! How much a caller may call.

mod blocked;
mod claim;
mod crowd;
pub mod dimension;
mod guard;
pub mod in_flight;
mod indivisible;
mod keeper;
mod limiter;
mod local;
mod lookups;
mod merge;
mod names;
pub mod rules;
mod shared;
mod slip;
mod trial;
mod unreached;
pub mod usage;
pub mod verdict;
pub mod window;

pub use crowd::{Crowd, crowd};
pub use dimension::Subject;
pub use guard::{Gate, Refused, Seat, is_exempt, limit, limit_request};
pub use in_flight::InFlight;
pub use indivisible::{Indivisible, indivisible};
pub use limiter::{Admission, Limiter, Standing as StoreStanding};
pub use names::Names;
pub use rules::{Answer, BadLimit, Config, Rules};
pub use slip::{Scarce, Shortage, Slip};
pub use trial::Trial;
pub use unreached::{Unreached, unreached};
pub(crate) use verdict::seconds_to_wait;
pub use verdict::{Standing, Verdict};
