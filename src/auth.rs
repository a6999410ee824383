//! Who is calling.

pub mod api_key;
pub mod authenticator;
pub mod caller;
mod config;
pub mod failures;
mod guard;
pub mod mtls;

pub use api_key::Keys;
pub use authenticator::{AuthFailure, Authenticator, Directory, FailureKind};
pub use caller::{Caller, Proof, User};
pub use config::{ApiKeys, Config};
pub use guard::{Gate, authenticate};
pub use mtls::Mtls;
