//! Search criteria, built from types: no text is ever interpolated.
