//! Standard output as a sink.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    os::fd::AsFd as _,
};

/// Standard output without the buffer of the standard library: after a write that came half-way
/// nobody could say what that buffer still holds, and lines would be written twice.
///
/// # Errors
/// When the process may not have another file descriptor.
pub(super) fn stdout() -> io::Result<impl Write + Send + 'static> {
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    if ends_torn().unwrap_or(false) {
        // If it cannot be written, whoever verifies the log finds the line behind it all the same.
        let _ = out.write_all(b"\n");
    }
    Ok(out)
}

/// Whether standard output goes to a file whose last line a process that was killed has left
/// unfinished. A pipe keeps nothing that could be looked at.
fn ends_torn() -> io::Result<bool> {
    if !File::from(io::stdout().as_fd().try_clone_to_owned()?)
        .metadata()?
        .is_file()
    {
        return Ok(false);
    }
    // It was opened for writing only, most often.
    let mut file = File::open("/proc/self/fd/1")?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last != [b'\n'])
}
