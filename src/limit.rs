//! How much a caller may call.

pub mod dimension;
mod guard;
pub mod in_flight;
pub mod local;
pub mod rules;
pub mod verdict;
pub mod window;

pub use dimension::Subject;
pub use guard::{Gate, Refused, limit};
pub use in_flight::InFlight;
pub use local::Limiter;
pub use rules::{Answer, BadLimit, Config, Rules};
pub use verdict::{Standing, Verdict};
