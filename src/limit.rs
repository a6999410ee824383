//! How much a caller may call.
