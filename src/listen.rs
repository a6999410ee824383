//! Sockets, deadlines, the peer's address, draining.
