//! Standard output as a sink.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd as _,
};

/// Standard output without the buffer of the standard library: after a write that came half-way
/// nobody could say what that buffer still holds, and lines would be written twice.
///
/// # Errors
/// When the process may not have another file descriptor.
pub(super) fn stdout() -> io::Result<impl Write + Send + 'static> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}
