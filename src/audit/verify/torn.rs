//! What a process that was killed leaves of the line that it was writing.

use serde::de::IgnoredAny;

use super::{Line, Place, Verifier, Wrong};

/// No line of the log, until it is known what follows.
pub(super) struct Left {
    at: Place,
    is_torn: bool,
}

impl Verifier {
    /// Takes what is no line of the log. On a stream the next process may have gone on in the line
    /// that a killed one had begun.
    pub(super) fn no_line(&mut self, at: Place, text: &[u8]) {
        if let Some((torn, rest)) = went_on(text)
            && let Some(line) = Line::read(rest)
            && is_torn(torn)
        {
            self.torn(at);
            self.next(at, &line);
            return;
        }
        if !is_torn(text) || self.left.len() == super::MOST {
            self.resolve(false);
            self.wrong(at, None, Wrong::NoLine);
            return;
        }
        self.left.push(Left {
            at,
            is_torn: !text.is_empty(),
        });
    }

    /// What was left is a line that a kill tore only where a run, or nothing, follows it; anywhere
    /// else somebody changed or added it. An empty line keeps a run apart from what was torn.
    pub(super) fn resolve(&mut self, begins: bool) {
        for Left { at, is_torn } in std::mem::take(&mut self.left) {
            match (begins, is_torn) {
                (true, true) => self.torn(at),
                (true, false) => {}
                (false, _) => self.wrong(at, None, Wrong::NoLine),
            }
        }
    }

    fn torn(&mut self, at: Place) {
        self.torn += 1;
        if !self.expected.open {
            self.wrong(at, None, Wrong::Torn);
        }
    }
}

/// Whether it is empty, or the beginning of a line.
fn is_torn(text: &[u8]) -> bool {
    let begins = text.iter().zip(BEGINNING).all(|(a, b)| a == b);
    let parsed = serde_json::from_slice::<IgnoredAny>(text);
    begins && parsed.is_err_and(|error| error.is_eof())
}

/// The beginning of a line, and the first line of a run behind it.
fn went_on(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut places = text.windows(BEGINNING.len());
    let at = places.rposition(|bytes| bytes == BEGINNING)?;
    text.split_at_checked(at).filter(|_| at > 0)
}

/// How every line begins.
const BEGINNING: &[u8] = b"{\"timestamp\":\"";
