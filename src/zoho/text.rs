//! Text that came out of the CRM. It is data for the agent, never instruction, so characters that
//! hide or reorder text are gone before anything else can touch it.

use std::fmt;

use serde::de::{Error, Visitor};

/// Free text from a record, cleaned when it is read: no invisible, bidirectional or control
/// characters. Newline and tab stay, and a joiner where spelling needs one.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
#[schemars(transparent, inline)]
pub struct CrmText(String);

impl CrmText {
    /// Cleans `text`.
    pub fn clean(text: &str) -> Self {
        if is_clean(text) {
            return Self(text.to_owned());
        }
        let mut clean = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        let mut before = None;
        while let Some(c) = chars.next() {
            let shown = match (before, chars.peek()) {
                (Some(before), Some(next)) if joins(before, c, *next) => Some(c),
                _ => seen(c),
            };
            clean.extend(shown);
            before = shown.or(before);
        }
        Self(clean)
    }

    /// The cleaned text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for CrmText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Cleaner)
    }
}

/// Reads text, and numbers as text: a customised field may hold either.
struct Cleaner;

impl Visitor<'_> for Cleaner {
    type Value = CrmText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CrmText, E> {
        Ok(CrmText::clean(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<CrmText, E> {
        Ok(if is_clean(&text) {
            CrmText(text)
        } else {
            CrmText::clean(&text)
        })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<CrmText, E> {
        Ok(CrmText(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<CrmText, E> {
        Ok(CrmText(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<CrmText, E> {
        Ok(CrmText(number.to_string()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<CrmText, E> {
        Ok(CrmText(truth.to_string()))
    }
}

fn is_clean(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    text.bytes().all(plain) || text.chars().all(|c| seen(c) == Some(c))
}

/// What a reader gets to see of a character.
fn seen(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => Some(c),
        '\u{2028}' | '\u{2029}' => Some('\n'),
        // Soft hyphen; combining joiner; Mongolian vowel separator; zero widths; invisible operators and
        // deprecated format controls; byte order mark; interlinear annotations.
        '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' => {
            None
        }
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' => None,
        // Bidirectional marks and overrides.
        '\u{61c}' | '\u{202a}'..='\u{202e}' => None,
        // Tags and the supplement of variation selectors: text that no reader sees and models read.
        '\u{e0000}'..='\u{e0fff}' => None,
        _ if c.is_control() => None,
        _ => Some(c),
    }
}

/// Whether that is a joiner which belongs between those two: Persian, Hindi and others spell words
/// with one, emoji are made of several. In words of Latin letters alone it would only hide them.
fn joins(before: char, joiner: char, next: char) -> bool {
    let word = |c: char| c.is_alphanumeric() || is_of_joined_script(c);
    let either = is_of_joined_script(before) || is_of_joined_script(next);
    let within_word = either && word(before) && word(next);
    match joiner {
        ZERO_WIDTH_NON_JOINER => within_word,
        ZERO_WIDTH_JOINER => {
            within_word || ((is_emoji(before) || before == EMOJI_STYLE) && is_emoji(next))
        }
        _ => false,
    }
}

/// Arabic to Sinhala, Myanmar, Khmer and Mongolian: letters, and the marks that stand on them.
fn is_of_joined_script(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{18af}')
        && seen(c) == Some(c)
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const EMOJI_STYLE: char = '\u{fe0f}';

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_hides_or_reorders_text_is_gone() {
        let hidden = "a\u{200b}b\u{202e}c\u{2066}d\u{61c}e\u{e0041}f\u{e0101}g\u{ad}h\u{feff}i\0j\u{85}k\u{1b}[31ml\r\nm\u{2028}n\to";
        assert_eq!(CrmText::clean(hidden).as_str(), "abcdefghijk[31ml\nm\nn\to");
    }

    #[test]
    fn ordinary_text_of_any_language_stays() {
        for text in [
            "",
            "Müller & Söhne",
            "山田太郎",
            "مرحبا",
            "<b>x</b>",
            "👍 ok",
        ] {
            assert_eq!(CrmText::clean(text).as_str(), text);
        }
    }

    #[test]
    fn a_joiner_stays_where_spelling_needs_it_and_nowhere_else() {
        for text in [
            "می\u{200c}خواهم",
            "PDF\u{200c}ها",
            "क्\u{200d}ष",
            "👩\u{200d}👩\u{200d}👧",
            "🏳\u{fe0f}\u{200d}🌈",
            "👩🏽\u{200d}⚕\u{fe0f}",
        ] {
            assert_eq!(CrmText::clean(text).as_str(), text);
        }
        for (text, shown) in [
            ("\u{200c}می\u{200d}", "می"),
            ("می\u{200c}\u{200d}\u{200c}خواهم", "می\u{200c}خواهم"),
            ("می\u{200b}\u{200c}خواهم", "می\u{200c}خواهم"),
            ("می\u{200c}\u{200b}خواهم", "میخواهم"),
            ("می\u{200c} خواهم", "می خواهم"),
            ("ig\u{200d}nore", "ignore"),
            ("👩\u{200c}👧", "👩👧"),
            ("a\u{200d}👧", "a👧"),
        ] {
            assert_eq!(CrmText::clean(text).as_str(), shown, "{text:?}");
        }
    }

    #[test]
    fn escapes_of_json_are_cleaned_too_and_numbers_are_text() {
        let text: CrmText = serde_json::from_str(r#""a\u202eb\u0000c""#).unwrap();
        assert_eq!(text.as_str(), "abc");
        let number: CrmText = serde_json::from_str("12").unwrap();
        assert_eq!(number.as_str(), "12");
        assert!(serde_json::from_str::<CrmText>("{}").is_err());
    }

    /// Written apart from the code above, by code point.
    fn hidden(c: char) -> bool {
        let n = c as u32;
        (n < 0x20 && n != 9 && n != 10)
            || (0x7f..=0x9f).contains(&n)
            || n == 0xad
            || n == 0x61c
            || (0x200b..=0x200f).contains(&n) && !is_joiner(c)
            || (0x2028..=0x202e).contains(&n)
            || (0x2060..=0x2069).contains(&n)
            || n == 0xfeff
            || (0xe0000..=0xe01ef).contains(&n)
    }

    fn is_joiner(c: char) -> bool {
        c == '\u{200c}' || c == '\u{200d}'
    }

    fn nasty() -> impl Strategy<Value = String> {
        let any = prop_oneof![
            3 => any::<char>(),
            2 => proptest::char::range('\0', '\u{ff}'),
            2 => proptest::char::range('\u{2000}', '\u{2070}'),
            2 => proptest::sample::select(vec!['\u{200c}', '\u{200d}', 'م', 'ی', '👩', '\u{fe0f}']),
            1 => proptest::char::range('\u{e0000}', '\u{e0200}'),
        ];
        proptest::collection::vec(any, 0..40).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nothing_hidden_survives_and_cleaning_twice_changes_nothing(text in nasty()) {
            let once = CrmText::clean(&text);
            prop_assert!(!once.as_str().chars().any(hidden));
            let shown: Vec<char> = once.as_str().chars().collect();
            let ends = [shown.first(), shown.last()];
            prop_assert!(!ends.into_iter().flatten().any(|c| is_joiner(*c)));
            prop_assert!(!shown.windows(2).any(|two| two.iter().all(|c| is_joiner(*c))));
            prop_assert_eq!(&CrmText::clean(once.as_str()), &once);
            let read: CrmText = serde_json::from_str(&serde_json::to_string(&text).unwrap()).unwrap();
            prop_assert_eq!(read, once);
        }
    }
}
