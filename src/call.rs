//! The JSON-RPC envelope, read once.
