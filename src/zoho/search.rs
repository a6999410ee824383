//! How records are looked for, the same in every module.

use super::{
    ZohoError,
    criteria::{Criteria, Field, Operator},
    refused,
    scope::Wanted,
};

/// What records are looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Any searchable field has the word(s).
    Word(String),
    /// The e-mail address, whole or in part.
    Email(String),
    /// A phone number.
    Phone(String),
    /// What the record is called; each module says which fields that is.
    Name(String),
}

impl Search {
    /// What is asked of Zoho; what it would refuse is refused here.
    pub(super) fn wanted(&self, by_name: fn(&str) -> Criteria) -> Result<Wanted, ZohoError> {
        let (parameter, value, least) = match self {
            Self::Word(word) => ("word", word, 2),
            Self::Email(email) => ("email", email, 1),
            Self::Phone(phone) => ("phone", phone, 3),
            Self::Name(name) => ("criteria", name, 1),
        };
        let value = value.trim();
        let length = value.chars().count();
        if length < least || length > LONGEST_SEARCH || value.chars().any(char::is_control) {
            return Err(refused(parameter));
        }
        match self {
            Self::Phone(_) if !is_phone(value) => Err(refused(parameter)),
            Self::Name(_) => Ok(Wanted::Criteria(by_name(value))),
            _ => Ok(Wanted::Parameter(parameter, value.to_owned())),
        }
    }
}

fn is_phone(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    number
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'(' | b')' | b'.'))
}

/// One word is a first or a last name; several are both, or a last name of several words.
pub(super) fn person(name: &str) -> Criteria {
    let mut words = name.split_whitespace();
    let first = words.next().unwrap_or_default();
    let rest = words.collect::<Vec<_>>().join(" ");
    let starts = |field, value: &str| Criteria::is(field, Operator::StartsWith, value);
    if rest.is_empty() {
        return starts(Field::FirstName, first).or(starts(Field::LastName, first));
    }
    let whole = Criteria::is(Field::LastName, Operator::Equals, format!("{first} {rest}"));
    starts(Field::FirstName, first)
        .and(starts(Field::LastName, &rest))
        .or(whole)
}

/// The words of a company's name, of which an agent may know only some.
pub(super) fn company(name: &str) -> Criteria {
    let words = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let by = |operator| Criteria::is(Field::AccountName, operator, words.clone());
    by(Operator::StartsWith).or(by(Operator::Equals))
}

const LONGEST_SEARCH: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn criteria(name: &str, by_name: fn(&str) -> Criteria) -> String {
        match Search::Name(name.into()).wanted(by_name).unwrap() {
            Wanted::Criteria(criteria) => criteria.render().unwrap(),
            Wanted::Parameter(..) => panic!("no criteria"),
        }
    }

    #[test]
    fn a_name_is_looked_for_in_both_its_parts() {
        let by = |name: &str| criteria(name, person);
        assert_eq!(
            by(" Ann "),
            "((First_Name:starts_with:Ann)or(Last_Name:starts_with:Ann))"
        );
        assert_eq!(
            by("Ann  van Dyck"),
            "(((First_Name:starts_with:Ann)and(Last_Name:starts_with:van Dyck))or(Last_Name:equals:Ann van Dyck))"
        );
    }

    #[test]
    fn a_company_is_looked_for_by_its_beginning_and_by_its_words() {
        assert_eq!(
            criteria(" Acme  (UK) ", company),
            r"((Account_Name:starts_with:Acme \(UK\))or(Account_Name:equals:Acme \(UK\)))"
        );
    }

    #[test]
    fn searches_that_zoho_would_refuse_are_refused() {
        for by in [
            Search::Word("x".into()),
            Search::Word(" ".into()),
            Search::Email(String::new()),
            Search::Email("a\nb".into()),
            Search::Phone("12".into()),
            Search::Phone("12 or 1".into()),
            Search::Name("\t".into()),
            Search::Word("x".repeat(201)),
        ] {
            let result = by.wanted(person);
            assert!(matches!(result, Err(ZohoError::Unasked { .. })), "{by:?}");
        }
        let phone = Search::Phone("+49 (0)30-1.2".into());
        assert!(phone.wanted(person).is_ok());
    }
}
