//! One value of one field: how it is read from a query or a body, compared, and kept.

use std::{cmp::Ordering, fmt, str::FromStr};

use jiff::{Timestamp, civil::Date};
use serde_json::Value;

use super::schema::Kind;

/// A record's id: 19 digits, shown as a string because it does not fit a double.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(pub(super) u64);

/// A value. A field without one is null and has no cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(Box<str>),
    Int(i64),
    Number(f64),
    Flag(bool),
    Day(Date),
    Moment(Timestamp),
    Ref(Id),
    Nested(Box<Value>),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The text is not the id of any record of any org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MalformedId;

impl FromStr for Id {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let well_formed =
            (15..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !well_formed {
            return Err(MalformedId);
        }
        text.parse().map(Self).map_err(|_| MalformedId)
    }
}

impl Cell {
    /// A piece of text.
    pub(super) fn text(text: impl Into<Box<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The value that a text stands for in a field of this kind.
    pub(super) fn read(kind: Kind, text: &str) -> Option<Self> {
        Some(match kind {
            Kind::Id | Kind::Lookup(_) | Kind::AnyLookup => Self::Ref(text.parse().ok()?),
            Kind::Int => Self::Int(text.parse().ok()?),
            Kind::Currency | Kind::Double => {
                let number: f64 = text.parse().ok()?;
                Self::Number(Some(number).filter(|n| n.is_finite())?)
            }
            Kind::Flag => Self::Flag(match text {
                "true" => true,
                "false" => false,
                _ => return None,
            }),
            Kind::Day => Self::Day(strict_day(text)?),
            // With parts of a second Zoho does not take `Z` for an offset.
            Kind::Moment if text.contains('.') && text.ends_with(['Z', 'z']) => return None,
            Kind::Moment => Self::Moment(text.parse().ok()?),
            Kind::Nested | Kind::Composed(_) => return None,
            _ => Self::text(text),
        })
    }

    /// The value that JSON stands for in a field of this kind; `None` when the type is wrong.
    pub(super) fn from_json(kind: Kind, value: &Value) -> Option<Self> {
        match (kind, value) {
            (Kind::Int, Value::Number(number)) => number
                .as_i64()
                .filter(|n| n.abs() < 1_000_000_000)
                .map(Self::Int),
            (Kind::Currency | Kind::Double, Value::Number(number)) => {
                number.as_f64().map(Self::Number)
            }
            (Kind::Flag, Value::Bool(flag)) => Some(Self::Flag(*flag)),
            (Kind::Int | Kind::Currency | Kind::Double | Kind::Flag, _) => None,
            (Kind::Lookup(_) | Kind::AnyLookup, Value::Object(object)) => {
                Self::read(kind, object.get("id")?.as_str()?)
            }
            (Kind::Nested, Value::Array(_)) => Some(Self::Nested(Box::new(value.clone()))),
            (_, Value::String(text)) => Self::read(kind, text),
            _ => None,
        }
    }

    /// The text of a textual cell.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a numeric cell.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The record that a lookup points at.
    pub(super) fn as_ref(&self) -> Option<Id> {
        match self {
            Self::Ref(id) => Some(*id),
            _ => None,
        }
    }

    /// Whether two cells say the same; text without regard to case, as Zoho compares.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.order(other) == Some(Ordering::Equal)
    }

    /// Which of two cells of one field comes first.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(fold(a).cmp(&fold(b))),
            (Self::Flag(a), Self::Flag(b)) => Some(a.cmp(b)),
            (Self::Day(a), Self::Day(b)) => Some(a.cmp(b)),
            (Self::Moment(a), Self::Moment(b)) => Some(a.as_second().cmp(&b.as_second())),
            (Self::Ref(a), Self::Ref(b)) => Some(a.cmp(b)),
            _ => self.as_number()?.partial_cmp(&other.as_number()?),
        }
    }
}

/// A text as it is compared.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// `2026-07-01` and nothing looser: a date parser alone would take a date with a time too.
fn strict_day(text: &str) -> Option<Date> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shape.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_fifteen_to_nineteen_digits() {
        assert_eq!(
            "6840217000001001001".parse(),
            Ok(Id(6_840_217_000_001_001_001))
        );
        for bad in [
            "",
            "12",
            "68402170000010010011",
            "684021700000100100a",
            "-84021700000100100",
        ] {
            assert_eq!(bad.parse::<Id>(), Err(MalformedId), "{bad}");
        }
    }

    #[test]
    fn values_that_are_not_of_the_fields_type_are_refused() {
        assert_eq!(Cell::read(Kind::Day, "2026-02-30"), None);
        assert_eq!(Cell::read(Kind::Day, "2026-02-03T10:00"), None);
        assert_eq!(Cell::read(Kind::Currency, "inf"), None);
        assert_eq!(Cell::read(Kind::Moment, "2026-02-03T10:00:00"), None);
        assert_eq!(Cell::read(Kind::Moment, "2026-02-03T10:00:00.761Z"), None);
        for good in ["2026-02-03T10:00:00+05:30", "2026-02-03T10:00:00Z"] {
            assert!(Cell::read(Kind::Moment, good).is_some(), "{good}");
        }
        assert_eq!(Cell::from_json(Kind::Int, &serde_json::json!(1.5)), None);
        assert_eq!(
            Cell::from_json(Kind::Int, &serde_json::json!(99_999_999_999_i64)),
            None
        );
    }
}
