//! What commands print. Whoever reads may have seen enough and gone (`zoho-mcp check … | head -1`):
//! the command then goes on in silence, and its exit code is what it would have been.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Somebody who need not listen to the end.
pub(super) struct Heard<W> {
    out: W,
    gone: bool,
}

impl<W: Write> Heard<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, gone: false }
    }

    /// Does it, unless nobody is there to read.
    fn unless_gone<T>(
        &mut self,
        act: impl FnOnce(&mut W) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        if self.gone {
            return Ok(None);
        }
        match act(&mut self.out) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(None)
            }
            done => done.map(Some),
        }
    }
}

impl<W: Write> Write for Heard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.unless_gone(|out| out.write(bytes))?;
        Ok(written.unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_gone(W::flush).map(drop)
    }
}

/// Standard output, for what a command was asked for.
pub(super) fn standard() -> Heard<io::StdoutLock<'static>> {
    Heard::new(io::stdout().lock())
}

/// Standard error, for what there is to say beside it.
pub(super) fn notes() -> Heard<io::Stderr> {
    Heard::new(io::stderr())
}

/// Says one thing on standard error; if that cannot be written there is nowhere to say so.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails with this each time.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_who_has_gone_is_no_error_and_a_full_disk_is_one() {
        let mut gone = Heard::new(Failing(io::ErrorKind::BrokenPipe));
        assert!(writeln!(gone, "a").is_ok() && writeln!(gone, "b").is_ok());
        assert!(gone.flush().is_ok());
        let mut full = Heard::new(Failing(io::ErrorKind::StorageFull));
        assert!(writeln!(full, "a").is_err() && full.flush().is_err());
    }
}
