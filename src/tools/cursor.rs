//! Cursors: where a list goes on, bound to the tool and the arguments that began it. They hold
//! nothing secret; the digest keeps an agent from going on in another list by mistake.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{ToolError, input::Line};

/// A cursor as an argument.
pub(super) type CursorText = Line<MAX>;

/// What a cursor is bound to: the tool, its arguments but the cursor, and the rows of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding([u8; 32]);

impl Binding {
    /// `arguments` serialise without their cursor.
    pub(super) fn new(tool: &str, arguments: &impl Serialize, size: u32) -> Self {
        Self(digest(&(tool, arguments, size)))
    }

    /// The cursor for a position, which is a short text of printable ASCII.
    pub(super) fn cursor(&self, position: &str) -> String {
        let mut text = String::from(VERSION);
        for byte in position.bytes().chain(self.seal(position)) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The position in a cursor that this binding made.
    pub(super) fn position(&self, cursor: &CursorText) -> Result<String, ToolError> {
        let bytes = cursor.as_str().strip_prefix(VERSION).and_then(unhex);
        let bytes = bytes.ok_or(MALFORMED)?;
        let at = bytes.len().checked_sub(SEAL).ok_or(MALFORMED)?;
        let (position, seal) = bytes.split_at(at);
        let position = std::str::from_utf8(position).map_err(|_| MALFORMED)?;
        if seal != self.seal(position) {
            return Err(ToolError::Argument {
                argument: "cursor",
                problem: "it belongs to a call with other arguments; repeat them all unchanged \
                          beside the cursor, or leave the cursor out to start again",
            });
        }
        Ok(position.to_owned())
    }

    fn seal(&self, position: &str) -> [u8; SEAL] {
        let whole = Sha256::new()
            .chain_update(self.0)
            .chain_update(position)
            .finalize();
        let mut seal = [0; SEAL];
        seal.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        seal
    }
}

/// SHA-256 of a value's JSON text. Types with a fixed order of fields give the same digest for
/// the same arguments, however a client ordered them.
pub(super) fn digest(value: &impl Serialize) -> [u8; 32] {
    let text = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(text).into()
}

/// The number of a page, 1 where there is no cursor.
pub(super) fn page(binding: &Binding, cursor: Option<&CursorText>) -> Result<u32, ToolError> {
    let Some(cursor) = cursor else { return Ok(1) };
    let number: u32 = binding.position(cursor)?.parse().map_err(|_| MALFORMED)?;
    (1..=MAX_PAGE)
        .contains(&number)
        .then_some(number)
        .ok_or(MALFORMED)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

/// Zoho lists go to 100,000 rows; a page has at least one.
pub(super) const MAX_PAGE: u32 = 100_000;
pub(super) const MALFORMED: ToolError = ToolError::Argument {
    argument: "cursor",
    problem: "it is not a cursor of this tool; copy it whole from the last answer, or leave it \
              out to start again",
};
const MAX: usize = 512;
const SEAL: usize = 10;
const VERSION: &str = "c1";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(cursor: &str) -> CursorText {
        serde_json::from_value(json!(cursor)).unwrap()
    }

    #[test]
    fn a_cursor_is_bound_to_tool_arguments_and_page_size() {
        let binding = Binding::new("search_contacts", &json!({"query": "a"}), 20);
        let cursor = text(&binding.cursor("3"));
        assert_eq!(page(&binding, Some(&cursor)).unwrap(), 3);
        assert_eq!(page(&binding, None).unwrap(), 1);
        for other in [
            Binding::new("search_contacts", &json!({"query": "b"}), 20),
            Binding::new("search_contacts", &json!({"query": "a"}), 21),
            Binding::new("get_deal_summary", &json!({"query": "a"}), 20),
        ] {
            let refusal = page(&other, Some(&cursor)).unwrap_err().to_string();
            assert!(refusal.contains("other arguments"), "{refusal}");
        }
    }

    #[test]
    fn a_cursor_from_elsewhere_is_refused() {
        let binding = Binding::new("t", &(), 1);
        for cursor in ["c1", "c", "x", "c1zz", "c2ff", "c1é", "c1123"] {
            assert!(page(&binding, Some(&text(cursor))).is_err(), "{cursor}");
        }
        for position in ["0", "-1", "100001", "4294967296", "x"] {
            assert!(
                page(&binding, Some(&text(&binding.cursor(position)))).is_err(),
                "{position}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_position_comes_back_whole(position in "[0-9.-]{0,100}") {
            let binding = Binding::new("t", &1, 1);
            let cursor = binding.cursor(&position);
            prop_assert!(cursor.len() <= MAX);
            prop_assert_eq!(binding.position(&text(&cursor)).unwrap(), position);
        }
    }
}
