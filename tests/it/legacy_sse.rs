//! The older transport.
