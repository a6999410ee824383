//! How much a caller may call.

pub mod dimension;
pub mod local;
pub mod window;
