//! Everything that is held, built once from the configuration.
