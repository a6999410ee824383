//! COQL queries, built from types: no text is ever interpolated.

mod condition;

use std::fmt::Write as _;

use super::{ZohoError, refused};
pub use condition::{Comparison, Condition, FieldName, Literal};

/// One query. Names of modules and fields are ours; only [`Literal`]s come from outside.
#[derive(Clone, Debug)]
pub struct Select {
    /// What is asked for.
    pub columns: Vec<Column>,
    /// The module.
    pub from: &'static str,
    /// Which records; all where there is none.
    pub filter: Vec<Condition>,
    /// What sums are grouped by, at most four.
    pub group: &'static [&'static str],
    /// A column or alias, and its direction.
    pub order: Option<(&'static str, Direction)>,
    /// Rows to skip.
    pub offset: u32,
    /// Rows to answer, at most 2000.
    pub limit: u32,
}

/// A column of the answer.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Column {
    Field(&'static str),
    Sum {
        field: &'static str,
        alias: &'static str,
    },
    Count {
        alias: &'static str,
    },
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Direction {
    Ascending,
    Descending,
}

impl Select {
    /// The query as text. Refuses what Zoho would refuse or misread.
    pub fn render(&self) -> Result<String, ZohoError> {
        if self.limit == 0 || self.limit > MOST_ROWS || self.offset > LAST_OFFSET {
            return Err(refused("limit"));
        }
        let mut text = String::with_capacity(512);
        text.push_str("select ");
        for (n, column) in self.columns.iter().enumerate() {
            text.push_str(if n == 0 { "" } else { ", " });
            column.write(&mut text);
        }
        let _ = write!(text, " from {} where ", self.from);
        write_all(&self.filter, &mut text)?;
        if !self.group.is_empty() {
            let _ = write!(text, " group by {}", self.group.join(", "));
        }
        if let Some((column, direction)) = self.order {
            let _ = write!(text, " order by {column} {}", direction.name());
        }
        let _ = write!(text, " limit {}, {}", self.offset, self.limit);
        Ok(text)
    }

    /// What Zoho charges for it.
    pub fn credits(&self) -> u32 {
        match self.limit {
            0..=200 => 1,
            201..=1000 => 2,
            _ => 3,
        }
    }
}

impl Column {
    fn write(self, text: &mut String) {
        let _ = match self {
            Self::Field(name) => write!(text, "{name}"),
            // Upper case: Zoho knows no other spelling of aggregates.
            Self::Sum { field, alias } => write!(text, "SUM({field}) as {alias}"),
            Self::Count { alias } => write!(text, "COUNT(id) as {alias}"),
        };
    }
}

/// `where` is mandatory, and more than two conditions are nested pairwise: `((a and b) and c)`.
fn write_all(conditions: &[Condition], text: &mut String) -> Result<(), ZohoError> {
    let Some((first, others)) = conditions.split_first() else {
        text.push_str("id is not null");
        return Ok(());
    };
    if conditions.len() > MOST_CONDITIONS {
        return Err(refused("select_query"));
    }
    text.extend(std::iter::repeat_n('(', others.len()));
    first.write(text)?;
    for other in others {
        text.push_str(" and ");
        other.write(text)?;
        text.push(')');
    }
    Ok(())
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }
}

const MOST_ROWS: u32 = 2000;
const LAST_OFFSET: u32 = 100_000;
const MOST_CONDITIONS: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn select(filter: Vec<Condition>) -> Select {
        Select {
            columns: vec![Column::Field("id"), Column::Field("Amount")],
            from: "Deals",
            filter,
            group: &[],
            order: None,
            offset: 0,
            limit: 200,
        }
    }

    fn stage(value: &str) -> Condition {
        Condition::compare("Stage", Comparison::Equal, Literal::Text(value.into()))
    }

    /// Takes a quoted literal off the front, written apart from the code above: a quote stands for
    /// itself when doubled and ends the literal otherwise.
    fn literal(text: &str) -> Option<(String, &str)> {
        let mut rest = text.strip_prefix('\'')?;
        let mut value = String::new();
        loop {
            let at = rest.find('\'')?;
            value.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.strip_prefix('\'') {
                Some(after) => {
                    value.push('\'');
                    rest = after;
                }
                None => return Some((value, rest)),
            }
        }
    }

    #[test]
    fn conditions_are_nested_pairwise() {
        let number = Condition::compare("Amount", Comparison::AtLeast, Literal::Number(1e6));
        let query = select(vec![stage("a"), number.clone(), stage("b")]);
        assert_eq!(
            query.render().unwrap(),
            "select id, Amount from Deals where ((Stage = 'a' and Amount >= 1000000) and Stage = 'b') limit 0, 200"
        );
        assert!(
            select(vec![number])
                .render()
                .unwrap()
                .contains("where Amount >= 1000000 limit")
        );
        assert!(
            select(vec![])
                .render()
                .unwrap()
                .contains("where id is not null limit")
        );
    }

    #[test]
    fn sums_are_grouped_and_ordered_by_their_alias() {
        let query = Select {
            columns: vec![
                Column::Field("Stage"),
                Column::Sum {
                    field: "Amount",
                    alias: "total",
                },
                Column::Count { alias: "deals" },
            ],
            group: &["Stage"],
            order: Some(("total", Direction::Descending)),
            ..select(vec![stage("it's")])
        };
        assert_eq!(
            query.render().unwrap(),
            "select Stage, SUM(Amount) as total, COUNT(id) as deals from Deals where Stage = 'it''s' group by Stage order by total desc limit 0, 200"
        );
    }

    #[test]
    fn days_and_moments_are_quoted_with_the_offset_of_their_zone() {
        let day = jiff::civil::date(2026, 7, 1);
        let zone = jiff::tz::TimeZone::get("Asia/Kolkata").unwrap();
        let between = Condition::Between(
            "Created_Time".into(),
            Literal::Moment(day.to_zoned(zone).unwrap()),
            Literal::Day(day),
        );
        let text = select(vec![between]).render().unwrap();
        assert!(
            text.contains("Created_Time between '2026-07-01T00:00:00+05:30' and '2026-07-01'"),
            "{text}"
        );
    }

    #[test]
    fn what_zoho_would_misread_is_refused() {
        for value in ["a\\", r"\' or id is not null", "a\nb", "\0"] {
            assert!(select(vec![stage(value)]).render().is_err(), "{value:?}");
        }
        for number in [f64::NAN, f64::INFINITY] {
            let condition = Condition::compare("Amount", Comparison::Less, Literal::Number(number));
            assert!(select(vec![condition]).render().is_err());
        }
        assert!(
            select(vec![Condition::In("Stage".into(), vec![])])
                .render()
                .is_err()
        );
        for (offset, limit) in [(0, 0), (0, 2001), (100_001, 1)] {
            let query = Select {
                offset,
                limit,
                ..select(vec![])
            };
            assert!(query.render().is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_one_literal(value in r#"[a-z'\\" ]{0,12}|\PC{0,60}"#) {
            let Ok(text) = select(vec![stage(&value)]).render() else {
                prop_assert!(value.contains('\\') || value.chars().any(char::is_control));
                return Ok(());
            };
            let (before, _) = text.split_once('\'').unwrap();
            prop_assert_eq!(before, "select id, Amount from Deals where Stage = ");
            let (read, rest) = literal(&text[before.len()..]).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(rest, " limit 0, 200");
            // Nor does a parser that knows backslash escapes end the literal early.
            let body = &text[before.len() + 1..text.len() - rest.len() - 1];
            prop_assert!(!body.replace("''", "").contains('\''));
        }
    }
}
