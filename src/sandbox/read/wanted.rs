//! What a search looks for, and where.

use super::Reader;
use crate::sandbox::{
    cell::fold,
    crm::Record,
    filter::Filter,
    schema::{Kind, Module},
};

/// What a search looks for.
pub(super) enum Wanted {
    Criteria(Filter),
    Email(String),
    Phone(String),
    Words(Vec<String>),
}

impl Wanted {
    /// Whether a record is what is looked for.
    pub(super) fn accepts(&self, reader: &Reader<'_>, module: Module, record: &Record) -> bool {
        let texts = |fits: fn(Kind) -> bool| {
            module
                .fields()
                .filter(move |field| fits(field.kind) && !reader.sight.hides(module, field.name))
                .filter_map(|field| record.text(field.name))
        };
        match self {
            Self::Criteria(filter) => filter.accepts(reader.onlooker(), module, record),
            Self::Email(part) => {
                texts(|kind| kind == Kind::Email).any(|email| fold(email).contains(part))
            }
            Self::Phone(digits) => texts(|kind| kind == Kind::Phone).any(|phone| {
                phone
                    .chars()
                    .filter(char::is_ascii_digit)
                    .collect::<String>()
                    .contains(digits)
            }),
            // Each word has to begin a word of the record, in whatever field.
            Self::Words(words) => {
                let begins = |word: &String| {
                    texts(Kind::is_textual).any(|text| begins_a_word(&fold(text), word))
                };
                !words.is_empty() && words.iter().all(begins)
            }
        }
    }
}

fn begins_a_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|letter| !letter.is_alphanumeric())
    })
}
