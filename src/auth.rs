//! Who is calling.

pub mod api_key;
pub mod caller;
pub mod failures;

pub use caller::{Caller, Proof, User};
