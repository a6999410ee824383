//! The limiter in this process's memory.
