//! Cached checks of what this daemon depends on.
