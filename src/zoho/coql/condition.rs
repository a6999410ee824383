//! What a record must fulfil to be in a query's answer.

use std::{borrow::Cow, fmt, fmt::Write as _, str::FromStr};

use jiff::{Zoned, civil::Date};

use super::super::{RecordId, ZohoError, refused};

/// The name of a field: one of ours, or one that Zoho's own description of a module has. Letters,
/// digits and underscores only, so that it ends nothing that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName(Cow<'static, str>);

/// The text is no name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a field's name has 1 to 100 letters, digits and underscores")]
pub struct NotAFieldName;

impl From<&'static str> for FieldName {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl FromStr for FieldName {
    type Err = NotAFieldName;

    fn from_str(name: &str) -> Result<Self, NotAFieldName> {
        let fits = (1..=100).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        fits.then(|| Self(Cow::Owned(name.to_owned())))
            .ok_or(NotAFieldName)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a record must fulfil.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Condition {
    Compare(FieldName, Comparison, Literal),
    Between(FieldName, Literal, Literal),
    In(FieldName, Vec<Literal>),
    NotIn(FieldName, Vec<Literal>),
    StartsWith(FieldName, String),
    Empty(FieldName),
    NotEmpty(FieldName),
    Both(Box<Condition>, Box<Condition>),
    Either(Box<Condition>, Box<Condition>),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    AtLeast,
    Greater,
}

/// A value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Literal {
    Text(String),
    Number(f64),
    Day(Date),
    Moment(Zoned),
    Id(RecordId),
    Flag(bool),
}

impl Condition {
    /// One field compared with one value.
    pub fn compare(field: impl Into<FieldName>, how: Comparison, value: Literal) -> Self {
        Self::Compare(field.into(), how, value)
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::Both(Box::new(self), Box::new(other))
    }

    /// One holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::Either(Box::new(self), Box::new(other))
    }

    /// The field has one of the values, of which there may be more than one list of a query takes;
    /// nothing where there are none.
    pub fn among(field: &FieldName, values: &[Literal]) -> Option<Self> {
        let lists = values.chunks(MOST_VALUES);
        let lists = lists.map(|some| Self::In(field.clone(), some.to_vec()));
        lists.reduce(Self::or)
    }

    /// The field has none of the values; nothing where there are none.
    pub fn not_among(field: &FieldName, values: &[Literal]) -> Option<Self> {
        let lists = values.chunks(MOST_VALUES);
        let lists = lists.map(|some| Self::NotIn(field.clone(), some.to_vec()));
        lists.reduce(Self::and)
    }

    /// Whether a query can hold its values: some texts Zoho's parsers would take for something else.
    pub fn can_be_asked(&self) -> bool {
        self.write(&mut String::new()).is_ok()
    }

    pub(super) fn write(&self, text: &mut String) -> Result<(), ZohoError> {
        match self {
            Self::Compare(field, comparison, value) => {
                let _ = write!(text, "{field} {} ", comparison.name());
                value.write(text)
            }
            Self::Between(field, from, to) => {
                let _ = write!(text, "{field} between ");
                from.write(text)?;
                text.push_str(" and ");
                to.write(text)
            }
            Self::StartsWith(field, start) => write_start(field, start, text),
            Self::Empty(field) => {
                let _ = write!(text, "{field} is null");
                Ok(())
            }
            Self::NotEmpty(field) => {
                let _ = write!(text, "{field} is not null");
                Ok(())
            }
            Self::Both(left, right) => write_pair(left, "and", right, text),
            Self::Either(left, right) => write_pair(left, "or", right, text),
            Self::In(field, values) => write_list(field, "in", values, text),
            Self::NotIn(field, values) => write_list(field, "not in", values, text),
        }
    }
}

fn write_pair(
    left: &Condition,
    word: &str,
    right: &Condition,
    text: &mut String,
) -> Result<(), ZohoError> {
    text.push('(');
    left.write(text)?;
    let _ = write!(text, " {word} ");
    right.write(text)?;
    text.push(')');
    Ok(())
}

/// `%` stands for any text in a pattern, and Zoho has no way to write a `%` that does not.
fn write_start(field: &FieldName, start: &str, text: &mut String) -> Result<(), ZohoError> {
    if start.is_empty() || start.contains('%') {
        return Err(refused("select_query"));
    }
    let _ = write!(text, "{field} like ");
    quote(&format!("{start}%"), text)
}

fn write_list(
    field: &FieldName,
    word: &str,
    values: &[Literal],
    text: &mut String,
) -> Result<(), ZohoError> {
    if values.is_empty() || values.len() > MOST_VALUES {
        return Err(refused("select_query"));
    }
    let _ = write!(text, "{field} {word} (");
    for (n, value) in values.iter().enumerate() {
        text.push_str(if n == 0 { "" } else { ", " });
        value.write(text)?;
    }
    text.push(')');
    Ok(())
}

impl Literal {
    fn write(&self, text: &mut String) -> Result<(), ZohoError> {
        let _ = match self {
            Self::Text(value) => return quote(value, text),
            Self::Number(number) if number.is_finite() => write!(text, "{number}"),
            Self::Number(_) => return Err(refused("select_query")),
            Self::Day(date) => write!(text, "'{date}'"),
            Self::Moment(at) => write!(text, "'{}'", at.strftime("%Y-%m-%dT%H:%M:%S%:z")),
            Self::Id(id) => write!(text, "'{id}'"),
            Self::Flag(flag) => write!(text, "{flag}"),
        };
        Ok(())
    }
}

/// Doubles quotes. Some of Zoho's parsers take a backslash for an escape and others do not: no query
/// with one means the same to both, so it is refused.
fn quote(value: &str, text: &mut String) -> Result<(), ZohoError> {
    let unfit = value.chars().any(|c| c == '\\' || c.is_control()) || value.len() > LONGEST_TEXT;
    if unfit {
        return Err(refused("select_query"));
    }
    text.push('\'');
    text.push_str(&value.replace('\'', "''"));
    text.push('\'');
    Ok(())
}

impl Comparison {
    fn name(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::AtLeast => ">=",
            Self::Greater => ">",
        }
    }
}

const MOST_VALUES: usize = 100;
const LONGEST_TEXT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(condition: &Condition) -> Result<String, ZohoError> {
        let mut text = String::new();
        condition.write(&mut text).map(|()| text)
    }

    #[test]
    fn either_and_both_stand_in_brackets() {
        let old = Condition::compare("A", Comparison::Less, Literal::Number(1.0));
        let none = Condition::Empty("A".into()).and(Condition::NotEmpty("B".into()));
        assert_eq!(
            written(&old.or(none)).unwrap(),
            "(A < 1 or (A is null and B is not null))"
        );
    }

    #[test]
    fn a_beginning_is_a_pattern_and_holds_none() {
        let starts = |text: &str| written(&Condition::StartsWith("A".into(), text.to_owned()));
        assert_eq!(starts("O'").unwrap(), "A like 'O''%'");
        for unfit in ["5%", "", "\\", r"a\", r"a\b"] {
            assert!(starts(unfit).is_err(), "{unfit}");
        }
        let equals = |text: &str| {
            let text = Literal::Text(text.to_owned());
            Condition::compare("A", Comparison::Equal, text).can_be_asked()
        };
        assert!(equals("5%") && equals("it's") && !equals(r"a\b") && !equals(r"a\"));
    }

    /// The texts in a query, as a parser reads them to which a backslash is an escape or is none.
    fn texts(query: &str, escapes: bool) -> Vec<String> {
        let (mut all, mut chars) = (Vec::new(), query.chars().peekable());
        while chars.by_ref().any(|c| c == '\'') {
            let mut text = String::new();
            while let Some(c) = chars.next() {
                match c {
                    '\\' if escapes => text.extend(chars.next()),
                    '\'' if chars.next_if_eq(&'\'').is_none() => break,
                    c => text.push(c),
                }
            }
            all.push(text);
        }
        all
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_to_every_parser_or_refused(value in r"[a-c'%\\]{1,6}") {
            for how in [Comparison::Equal, Comparison::NotEqual] {
                let equals = written(&Condition::compare("A", how, Literal::Text(value.clone())));
                prop_assert_eq!(equals.is_err(), value.contains('\\'));
                for escapes in [false, true].iter().filter(|_| equals.is_ok()) {
                    prop_assert_eq!(texts(equals.as_ref().unwrap(), *escapes), [value.clone()]);
                }
            }
            let starts = written(&Condition::StartsWith("A".into(), value.clone()));
            prop_assert_eq!(starts.is_err(), value.contains(['%', '\\']));
            if let Ok(query) = starts {
                prop_assert_eq!(texts(&query, true), [format!("{value}%")]);
                prop_assert_eq!(texts(&query, false), [format!("{value}%")]);
            }
        }
    }

    #[test]
    fn a_name_cannot_hold_anything_but_a_name() {
        assert_eq!("Stage".parse(), Ok(FieldName::from("Stage")));
        for name in [
            "",
            "1a",
            "a b",
            "a'",
            "a.b",
            "a)",
            "é",
            "_a",
            &"a".repeat(101),
        ] {
            assert_eq!(name.parse::<FieldName>(), Err(NotAFieldName), "{name}");
        }
    }
}
