//! The exact sliding window: arithmetic only.
