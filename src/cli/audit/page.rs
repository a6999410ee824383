//! What `zoho-mcp audit` prints. A log that was tampered with may not draw on the screen of
//! whoever reads it, and may not add a line to what is said of it.

use std::{
    fmt,
    io::{self, Write},
};

use crate::audit::event::is_hidden;

/// Standard output, or where a test looks.
pub(super) struct Page<W>(W);

impl<W: Write> Page<W> {
    pub(super) const fn new(out: W) -> Self {
        Self(out)
    }

    /// Writes one line, which is what `writeln!` asks for: whatever else in it would end a line,
    /// command a terminal or not be seen is escaped as in JSON.
    pub(super) fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        let text = line.to_string();
        let text = text.strip_suffix('\n').unwrap_or(&text);
        for c in text.chars() {
            if is_hidden(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(self.0, "\\u{unit:04x}")?;
                }
            } else {
                write!(self.0, "{c}")?;
            }
        }
        self.0.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// So many of something: `1 line`, `2 lines`.
pub(super) fn count(number: impl fmt::Display, word: &str) -> String {
    let number = number.to_string();
    let ending = if number == "1" { "" } else { "s" };
    format!("{number} {word}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(
            (count(1, "line"), count(0, "line")),
            ("1 line".into(), "0 lines".into())
        );
    }

    #[test]
    fn a_value_stays_in_its_line_and_commands_nothing() {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out);
        let value = "a\nPROVEN  b\r\u{1b}[2J\u{202e}c";
        writeln!(page, "run     {value}").unwrap();
        writeln!(page).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert_eq!(
            told,
            "run     a\\u000aPROVEN  b\\u000d\\u001b[2J\\u202ec\n\n"
        );
    }
}
