//! Search criteria, built from types: no text is ever interpolated.

use super::{RecordId, ZohoError, refused};

/// A condition that records are searched by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Criteria {
    /// One field compared with one value.
    Is(Field, Operator, String),
    /// The record belongs to one of these users.
    OwnedBy(Vec<RecordId>),
    /// Both hold.
    Both(Box<Criteria>, Box<Criteria>),
    /// One holds.
    Either(Box<Criteria>, Box<Criteria>),
}

/// The fields that are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub enum Field {
    FirstName,
    LastName,
    AccountName,
}

/// How text is compared. Zoho's `equals` on text behaves like "contains the words".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operator {
    Equals,
    StartsWith,
}

impl Criteria {
    /// One condition.
    pub fn is(field: Field, operator: Operator, value: impl Into<String>) -> Self {
        Self::Is(field, operator, value.into())
    }

    /// Both conditions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::Both(Box::new(self), Box::new(other))
    }

    /// Either condition.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::Either(Box::new(self), Box::new(other))
    }

    /// The `criteria` parameter, not yet percent-encoded. Refuses what Zoho would misread.
    pub fn render(&self) -> Result<String, ZohoError> {
        let mut text = String::with_capacity(128);
        self.write(&mut text)?;
        if self.conditions() > MOST_CONDITIONS || text.chars().count() > LONGEST {
            return Err(refused("criteria"));
        }
        Ok(text)
    }

    /// How many comparisons it has.
    pub(super) fn conditions(&self) -> usize {
        match self {
            Self::Is(..) | Self::OwnedBy(_) => 1,
            Self::Both(left, right) | Self::Either(left, right) => {
                left.conditions() + right.conditions()
            }
        }
    }

    /// How many characters it is written with.
    pub(super) fn length(&self) -> usize {
        let mut text = String::new();
        match self.write(&mut text) {
            Ok(()) => text.chars().count(),
            Err(_) => usize::MAX,
        }
    }

    fn write(&self, text: &mut String) -> Result<(), ZohoError> {
        text.push('(');
        match self {
            Self::Is(field, operator, value) => {
                text.push_str(field.name());
                text.push_str(operator.name());
                escape(value, text)?;
            }
            Self::OwnedBy(users) => write_owners(users, text)?,
            Self::Both(left, right) => pair(left, "and", right, text)?,
            Self::Either(left, right) => pair(left, "or", right, text)?,
        }
        text.push(')');
        Ok(())
    }
}

fn pair(left: &Criteria, word: &str, right: &Criteria, text: &mut String) -> Result<(), ZohoError> {
    left.write(text)?;
    text.push_str(word);
    right.write(text)
}

/// An empty list would be every record, or none: Zoho does not say.
fn write_owners(users: &[RecordId], text: &mut String) -> Result<(), ZohoError> {
    if users.is_empty() || users.len() > MOST_OWNERS {
        return Err(refused("criteria"));
    }
    let ids: Vec<&str> = users.iter().map(RecordId::as_str).collect();
    let operator = if ids.len() == 1 { "equals" } else { "in" };
    text.push_str("Owner:");
    text.push_str(operator);
    text.push(':');
    text.push_str(&ids.join(","));
    Ok(())
}

fn escape(value: &str, text: &mut String) -> Result<(), ZohoError> {
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return Err(refused("criteria"));
    }
    for c in value.chars() {
        if matches!(c, '(' | ')' | ',' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    Ok(())
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::FirstName => "First_Name",
            Self::LastName => "Last_Name",
            Self::AccountName => "Account_Name",
        }
    }
}

impl Operator {
    fn name(self) -> &'static str {
        match self {
            Self::Equals => ":equals:",
            Self::StartsWith => ":starts_with:",
        }
    }
}

const MOST_CONDITIONS: usize = 10;
const LONGEST: usize = 3000;
const MOST_OWNERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn last_name(value: &str) -> Criteria {
        Criteria::is(Field::LastName, Operator::Equals, value)
    }

    /// Reads criteria back, written apart from the code above. `None` for what does not parse.
    fn parse(text: &str) -> Option<(Vec<String>, &str)> {
        let mut rest = text.strip_prefix('(')?;
        let mut values = Vec::new();
        if rest.starts_with('(') {
            let (left, after) = parse(rest)?;
            let after = after.strip_prefix("and").or(after.strip_prefix("or"))?;
            let (right, after) = parse(after)?;
            values.extend(left.into_iter().chain(right));
            rest = after;
        } else {
            let (_, after) = rest.split_once(':')?;
            let (_, after) = after.split_once(':')?;
            let (mut value, mut end, mut chars) = (String::new(), None, after.char_indices());
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => value.push(chars.next()?.1),
                    ')' => {
                        end = Some(at);
                        break;
                    }
                    '(' | ',' => return None,
                    c => value.push(c),
                }
            }
            values.push(value);
            rest = &after[end?..];
        }
        Some((values, rest.strip_prefix(')')?))
    }

    #[test]
    fn it_reads_as_zoho_documents_it() {
        let criteria =
            last_name("Burns,B").and(Criteria::is(Field::FirstName, Operator::StartsWith, "M"));
        assert_eq!(
            criteria.render().unwrap(),
            r"((Last_Name:equals:Burns\,B)and(First_Name:starts_with:M))"
        );
    }

    #[test]
    fn owners_are_one_or_a_list_and_never_none() {
        let ids = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect();
        let owned = |owners| last_name("a").and(Criteria::OwnedBy(owners)).render();
        assert_eq!(
            owned(ids(&["7"])).unwrap(),
            "((Last_Name:equals:a)and(Owner:equals:7))"
        );
        assert_eq!(
            owned(ids(&["7", "8"])).unwrap(),
            "((Last_Name:equals:a)and(Owner:in:7,8))"
        );
        assert!(owned(vec![]).is_err());
        let crowd: Vec<String> = (0..101).map(|id| id.to_string()).collect();
        let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
        assert!(owned(ids(&crowd)).is_err());
        let most: Vec<String> = (0..100)
            .map(|id| format!("68402170000006{id:05}"))
            .collect();
        let most: Vec<&str> = most.iter().map(String::as_str).collect();
        assert!(owned(ids(&most)).is_ok());
    }

    #[test]
    fn what_zoho_would_misread_is_refused() {
        for value in ["", " ", "a\nb", "a\0", "\u{85}"] {
            assert!(last_name(value).render().is_err(), "{value:?}");
        }
        assert!(last_name(&"x".repeat(3000)).render().is_err());
        let many = (0..10).fold(last_name("a"), |all, _| all.or(last_name("b")));
        assert!(many.render().is_err());
    }

    proptest! {
        #[test]
        fn any_value_stays_the_one_value(a in r#"[a-z(),\\'":]{1,9}|\PC{1,60}"#, b in r"\PC{1,60}") {
            let criteria = last_name(&a).or(last_name(&b));
            if let Ok(text) = criteria.render() {
                let (values, rest) = parse(&text).unwrap();
                prop_assert_eq!(rest, "");
                prop_assert_eq!(values, vec![a, b]);
            } else {
                prop_assert!(a.trim().is_empty() || b.trim().is_empty()
                    || a.chars().chain(b.chars()).any(char::is_control));
            }
        }
    }
}
