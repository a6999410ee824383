//! What a caller may touch: `decide` is a pure function from policy, caller and tool to a
//! [`Grant`] with obligations, or a [`Denial`].

pub mod grant;
pub mod role;

pub use grant::{Denial, Effect, Grant, Permission};
pub use role::{Client, Policy, Role, Visibility};
