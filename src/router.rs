//! The walk of a request.
