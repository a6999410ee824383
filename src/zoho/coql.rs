//! COQL queries, built from types: no text is ever interpolated.
