//! Zoho misbehaves.
