//! What no client would send.
