//! Conditions on records, which searches and queries are read into.

use std::cmp::Ordering;

use super::{
    cell::{Cell, fold},
    crm::{Crm, Record},
    schema::{Field, Module},
    sight::Sight,
};

/// The records, and whose rights say which of them are there.
#[derive(Clone, Copy)]
pub(super) struct Onlooker<'a> {
    pub(super) crm: &'a Crm,
    pub(super) sight: &'a Sight,
}

/// A condition.
#[derive(Debug)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Is(Test),
}

/// A comparison of one field with values of its own type.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) path: Path,
    pub(super) op: Op,
    pub(super) operands: Vec<Cell>,
}

/// A field, perhaps of a record that this one points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) through: Vec<Hop>,
    pub(super) field: &'static Field,
}

/// A lookup that is followed; a polymorphic one only into one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) field: &'static Field,
    pub(super) only: Option<Module>,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Holds,
    HoldsNot,
    StartsWith,
    In,
    NotIn,
    Between,
    NotBetween,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Null,
    NotNull,
    Like,
    NotLike,
}

impl Path {
    /// A field of the record itself.
    pub(super) fn direct(field: &'static Field) -> Self {
        Self {
            through: Vec::new(),
            field,
        }
    }

    /// The record that holds the field, and its module. One that is not seen is not there.
    pub(super) fn holder<'a>(
        &self,
        by: Onlooker<'a>,
        module: Module,
        record: &'a Record,
    ) -> Option<(Module, &'a Record)> {
        self.through
            .iter()
            .try_fold((module, record), |(_, record), hop| {
                by.crm
                    .follow(hop.field, record)
                    .filter(|(module, _)| hop.only.is_none_or(|only| only == *module))
                    .filter(|(module, record)| by.sight.sees(by.crm, *module, record))
            })
    }

    /// The modules that it leads into.
    pub(super) fn modules(&self) -> impl Iterator<Item = Module> {
        let hops = self.through.iter();
        hops.filter_map(|hop| hop.only.or(hop.field.target()))
    }

    /// The value at the end of the path.
    pub(super) fn value<'a>(
        &self,
        by: Onlooker<'a>,
        module: Module,
        record: &'a Record,
    ) -> Option<&'a Cell> {
        self.holder(by, module, record)?.1.get(self.field.name)
    }
}

impl Filter {
    /// Does something to each comparison.
    pub(super) fn each(&mut self, change: &mut impl FnMut(&mut Test)) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.each(change);
                }
            }
            Self::Is(test) => change(test),
        }
    }

    /// Whether the record meets the condition.
    pub(super) fn accepts(&self, by: Onlooker<'_>, module: Module, record: &Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.accepts(by, module, record)),
            Self::Any(parts) => parts.iter().any(|part| part.accepts(by, module, record)),
            Self::Is(test) => test.holds(test.path.value(by, module, record)),
        }
    }
}

impl Test {
    /// A null is unequal to everything, and neither greater nor less than anything.
    fn holds(&self, value: Option<&Cell>) -> bool {
        use Ordering::{Equal, Greater, Less};
        let first = || self.operands.first();
        let among =
            || value.is_some_and(|value| self.operands.iter().any(|operand| value.same(operand)));
        let ordered = |wanted: &[Ordering]| {
            value
                .zip(first())
                .and_then(|(a, b)| a.order(b))
                .is_some_and(|order| wanted.contains(&order))
        };
        match self.op {
            Op::Equal | Op::In => among(),
            Op::NotEqual | Op::NotIn => !among(),
            Op::Holds => self.on_text(value, holds),
            Op::HoldsNot => !self.on_text(value, holds),
            Op::StartsWith => self.on_text(value, begins),
            Op::Like => self.on_text(value, like),
            Op::NotLike => !self.on_text(value, like),
            Op::Between => self.between(value) == Some(true),
            Op::NotBetween => self.between(value) == Some(false),
            Op::Greater => ordered(&[Greater]),
            Op::GreaterEqual => ordered(&[Greater, Equal]),
            Op::Less => ordered(&[Less]),
            Op::LessEqual => ordered(&[Less, Equal]),
            Op::Null => value.is_none(),
            Op::NotNull => value.is_some(),
        }
    }

    fn on_text(&self, value: Option<&Cell>, test: impl Fn(&str, &str) -> bool) -> bool {
        let Some(text) = value.and_then(Cell::as_text).map(fold) else {
            return false;
        };
        self.operands
            .iter()
            .filter_map(Cell::as_text)
            .any(|part| test(&text, &fold(part)))
    }

    fn between(&self, value: Option<&Cell>) -> Option<bool> {
        let [low, high] = self.operands.as_slice() else {
            return None;
        };
        let value = value?;
        Some(value.order(low)? != Ordering::Less && value.order(high)? != Ordering::Greater)
    }
}

/// A text as the search index keeps it: folded, with one space for all that only parts words.
pub(super) fn tokens(text: &str) -> String {
    let parted = fold(text);
    let parts = parted.split(|letter: char| letter.is_whitespace() || PARTING.contains(&letter));
    let words: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    words.join(" ")
}

fn holds(text: &str, part: &str) -> bool {
    let part = tokens(part);
    !part.is_empty() && tokens(text).contains(&part)
}

fn begins(text: &str, part: &str) -> bool {
    let part = tokens(part);
    !part.is_empty() && tokens(text).starts_with(&part)
}

const PARTING: &[char] = &[
    '{', '}', '[', ']', '^', ':', '-', '/', '!', '?', '*', '_', '@',
];

/// SQL's `like` with `%` for any run of characters; both sides already folded.
fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('%');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_knows_its_wildcard() {
        for (text, pattern, expected) in [
            ("foxglove", "fox%", true),
            ("foxglove", "%love", true),
            ("foxglove", "%xgl%", true),
            ("foxglove", "foxglove", true),
            ("foxglove", "fox", false),
            ("foxglove", "%fox", false),
            ("foxglove", "f%g%e", true),
            ("foxglove", "f%z%e", false),
            ("foxglove", "%", true),
            ("aa", "a%aa", false),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn what_parts_words_makes_no_difference_to_a_search() {
        for (text, part, expected) in [
            ("Drummond-Hay", "drummond hay", true),
            ("Drummond Hay", "drummond-hay", true),
            ("a_b@c.example", "b@c", true),
            ("Drummond-Hay", "mond-h", true),
            ("Drummond-Hay", "hay drummond", false),
            ("Drummond-Hay", "*", false),
        ] {
            assert_eq!(holds(text, part), expected, "{text} {part}");
        }
        assert!(begins("O'Neil/Parts", "o'neil parts"));
        assert!(!begins("O'Neil/Parts", "parts"));
    }

    #[test]
    fn a_null_is_unequal_to_everything() {
        let field = Module::Deals.field("Amount").unwrap();
        let test = |op| Test {
            path: Path::direct(field),
            op,
            operands: vec![Cell::Number(5.0)],
        };
        assert!(test(Op::NotEqual).holds(None));
        assert!(!test(Op::Equal).holds(None));
        assert!(!test(Op::Less).holds(None));
        assert!(!test(Op::NotBetween).holds(None));
    }
}
