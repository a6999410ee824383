//! Who is calling.

pub mod api_key;
pub mod authenticator;
pub mod caller;
mod config;
mod discovery;
pub mod evidence;
mod failure;
pub mod failures;
pub mod freshness;
mod guard;
pub mod jwt;
mod lease;
pub mod mtls;
pub mod presented;
pub mod proof;
pub mod repeats;
pub mod scopes;
pub mod whole;

pub use api_key::Keys;
pub use authenticator::{Authenticator, Directory, Entry};
pub use caller::{Caller, User};
pub use config::{ApiKeys, Config};
pub use discovery::{PATH as METADATA_PATH, ROOT_PATH as METADATA_ROOT, protected_resource};
pub use failure::{AuthFailure, FailureKind, Lapse};
pub use guard::{Gate, authenticate};
pub use jwt::{Tokens, config::Issuer};
pub use lease::Lease;
pub use mtls::Mtls;
pub use proof::{Credentials, Proof, Way};
pub use scopes::Scopes;
