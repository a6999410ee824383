//! Failed logins by address, limited before any work.
