//! The table of dimensions.
