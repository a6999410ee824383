//! What a role may.
