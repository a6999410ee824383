//! What a caller may touch.
