//! The connection to Redis, and what happens when it is gone. Rooms above share one connection and
//! one breaker: they ask through [`Store::run`], which answers within `[redis] timeout` or says
//! why not.

mod access;
mod breaker;
mod cause;
mod caution;
mod config;
mod inbox;
mod keeper;
mod leases;
mod link;
mod patience;
mod replicas;
mod rights;
mod script;
mod seal;
mod tls;

pub use access::Access;
pub use breaker::{Store, Unrenewed};
pub use cause::{Cause, Unavailable};
pub use caution::Caution;
pub use config::{AtStart, BadStore, Config, Kind, Passwords, Url};
pub use inbox::Inbox;
pub use keeper::Keeper;
pub use leases::{Lease, Leases};
pub use link::{Link, Process};
pub use script::Script;
pub use seal::{BadKey, Seal};
