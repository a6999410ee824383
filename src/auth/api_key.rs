//! API keys: what they look like, the document that holds their hashes, the check.
