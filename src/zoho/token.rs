//! The access token: one refresh in flight, whoever needs it.
