//! Who is calling.

pub mod api_key;
pub mod authenticator;
pub mod caller;
pub mod failures;

pub use api_key::Keys;
pub use authenticator::{AuthFailure, Authenticator, Directory, FailureKind};
pub use caller::{Caller, Proof, User};
