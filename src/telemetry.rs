//! The operational log.
