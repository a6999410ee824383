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

/// One word is a first or a last name. Several are a first and a last name, parted anywhere, or all
/// in one of them. Where a salutation is in front, the name is looked for without it as well.
pub(super) fn person(name: &str) -> Criteria {
    let words: Vec<&str> = name.split_whitespace().collect();
    let titles = words.iter().take_while(|word| is_salutation(word)).count();
    let bare = words.get(titles..).filter(|bare| !bare.is_empty());
    let bare = bare.unwrap_or(&words);
    let starts = |field, value: String| Criteria::is(field, Operator::StartsWith, value);
    let whole = bare.join(" ");
    let in_first = starts(Field::FirstName, whole.clone());
    if bare.len() == 1 {
        return in_first.or(starts(Field::LastName, whole));
    }
    let in_last = Criteria::is(Field::LastName, Operator::Equals, whole);
    let titled = if titles > 0 { words.as_slice() } else { &[] };
    let mut parted = splits(bare)
        .chain(splits(titled))
        .map(|(first, last)| starts(Field::FirstName, first).and(starts(Field::LastName, last)));
    let Some(likeliest) = parted.next() else {
        return in_first.or(in_last);
    };
    let fits = |others: &Criteria| {
        let all = likeliest.clone().or(others.clone());
        all.conditions() <= MOST_OF_NAME && all.length() <= LONGEST_OF_NAME
    };
    let others = parted.by_ref().take(MOST_SPLITS - 1).chain([in_first]);
    let others = others.fold(in_last, |others, other| {
        let wider = others.clone().or(other);
        if fits(&wider) { wider } else { others }
    });
    likeliest.or(others)
}

/// Each way to part words in two.
fn splits(words: &[&str]) -> impl Iterator<Item = (String, String)> {
    let ways = (1..words.len()).map(|at| words.split_at(at));
    ways.map(|(first, last)| (first.join(" "), last.join(" ")))
}

/// Zoho shows it in front of a lead's name and keeps it in a field of its own.
fn is_salutation(word: &str) -> bool {
    let word = word.strip_suffix('.').unwrap_or(word);
    SALUTATIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
}

/// The words of a company's name, of which an agent may know only some.
pub(super) fn company(name: &str) -> Criteria {
    let words = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let by = |operator| Criteria::is(Field::AccountName, operator, words.clone());
    by(Operator::StartsWith).or(by(Operator::Equals))
}

const LONGEST_SEARCH: usize = 200;
const SALUTATIONS: [&str; 5] = ["Mr", "Mrs", "Ms", "Dr", "Prof"];
const MOST_SPLITS: usize = 4;
/// With whose records may be seen, which is one more condition and 2,000 characters, it is what Zoho takes.
const MOST_OF_NAME: usize = 9;
const LONGEST_OF_NAME: usize = 950;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            by("Ann  Dyck"),
            "(((First_Name:starts_with:Ann)and(Last_Name:starts_with:Dyck))or\
             ((Last_Name:equals:Ann Dyck)or(First_Name:starts_with:Ann Dyck)))"
        );
    }

    fn has_split(criteria: &str, first: &str, last: &str) -> bool {
        criteria.contains(&format!(
            "((First_Name:starts_with:{first})and(Last_Name:starts_with:{last}))"
        ))
    }

    #[test]
    fn a_first_name_may_have_several_words() {
        let text = criteria("Anna Maria van der Berg", person);
        for (first, last) in [
            ("Anna", "Maria van der Berg"),
            ("Anna Maria", "van der Berg"),
            ("Anna Maria van", "der Berg"),
            ("Anna Maria van der", "Berg"),
        ] {
            assert!(has_split(&text, first, last), "{text}");
        }
        let text = criteria("Ana del Carmen de la Vega y Ruiz", person);
        assert!(
            has_split(&text, "Ana del Carmen", "de la Vega y Ruiz"),
            "{text}"
        );
    }

    #[test]
    fn a_salutation_in_front_is_no_part_of_a_name_or_one_as_well() {
        let text = criteria("prof. Dr Ada Byron", person);
        assert!(has_split(&text, "Ada", "Byron"), "{text}");
        assert!(has_split(&text, "prof. Dr Ada", "Byron"), "{text}");
        assert_eq!(criteria("Mrs. Byron", person), criteria("Byron", person));
        assert_eq!(
            criteria("Dr.", person),
            "((First_Name:starts_with:Dr.)or(Last_Name:starts_with:Dr.))"
        );
    }

    #[test]
    fn a_company_is_looked_for_by_its_beginning_and_by_its_words() {
        assert_eq!(
            criteria(" Acme  (UK) ", company),
            r"((Account_Name:starts_with:Acme \(UK\))or(Account_Name:equals:Acme \(UK\)))"
        );
    }

    proptest! {
        #[test]
        fn any_name_leaves_room_for_whose_records_may_be_seen(name in r"[A-Z(,]{1,9}( [a-z),]{1,9}){0,19}|\PC{1,200}|\({200}") {
            let Ok(Wanted::Criteria(by_name)) = Search::Name(name.clone()).wanted(person) else {
                return Ok(());
            };
            let owners = (0..100).map(|n| format!("68402170000006{n:05}").parse().unwrap());
            let seen = by_name.and(Criteria::OwnedBy(owners.collect()));
            prop_assert!(seen.render().is_ok(), "{}", name);
        }
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
