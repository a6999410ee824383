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
/// in one of them. A salutation in front may be part of the first name, or none of the name. Where
/// there is room, two are also looked for within longer names, and the last name in front.
pub(super) fn person(name: &str) -> Criteria {
    let words: Vec<&str> = name.split_whitespace().collect();
    let titles = words.iter().take_while(|word| is_salutation(word)).count();
    let titles = if titles < words.len() { titles } else { 0 };
    let (bare, titled) = (words.split_at(titles).1, titles > 0);
    let is = |field, operator| Criteria::is(field, operator, bare.join(" "));
    let in_first = is(Field::FirstName, Operator::StartsWith);
    let in_last = is(Field::LastName, Operator::Equals);
    let behind_title = titled.then(|| is(Field::FirstName, Operator::Equals));
    if bare.len() == 1 {
        let either = in_first.or(is(Field::LastName, Operator::StartsWith));
        return behind_title.map_or(either.clone(), |first| either.or(first).or(in_last));
    }
    let (_, with_title) = words.split_at(titles.saturating_sub(1));
    let most = if titled { 2 } else { 3 };
    let mut ways: Vec<_> = parted(bare, 1, most, Operator::StartsWith).collect();
    ways.push(in_last.clone());
    ways.extend(parted(with_title, 2, 1, Operator::Equals).filter(|_| titled));
    ways.extend([in_first].into_iter().chain(behind_title));
    if let [first, last] = bare {
        ways.push(both(first, Operator::Equals, last));
    }
    if let Some(turned) = turned(&bare.join(" ")) {
        let place = if bare.concat().contains(',') {
            0
        } else {
            ways.len()
        };
        ways.insert(place, turned);
    }
    let fits = |all: &Criteria| all.conditions() <= MOST_OF_NAME && all.length() <= LONGEST_OF_NAME;
    let mut ways = ways.into_iter();
    let likeliest = ways.next().unwrap_or(in_last);
    ways.fold(likeliest, |all, other| {
        let wider = all.clone().or(other);
        if fits(&wider) { wider } else { all }
    })
}

/// The last name in front: before a comma, or the first of two words.
fn turned(name: &str) -> Option<Criteria> {
    let (last, first) = name.split_once(',').or_else(|| {
        let two = name.split_once(' ');
        two.filter(|(_, first)| !first.contains(' '))
    })?;
    let (last, first) = (last.trim(), first.trim());
    let named = !last.is_empty() && !first.is_empty();
    named.then(|| both(first, Operator::StartsWith, last))
}

/// A first name that begins so, and a last name.
fn both(first: &str, operator: Operator, last: &str) -> Criteria {
    let first = Criteria::is(Field::FirstName, Operator::StartsWith, first);
    first.and(Criteria::is(Field::LastName, operator, last))
}

/// Words as a first name of so many or more of them and a last name. What is `most` stands for every
/// way that remains: as much of the first name as all of these have, and the last word of the other.
fn parted(
    words: &[&str],
    least: usize,
    most: usize,
    first: Operator,
) -> impl Iterator<Item = Criteria> {
    let ways = words.len().saturating_sub(least);
    (1..=ways.min(most)).map(move |way| {
        let (name, last) = words.split_at(least + way - 1);
        let (operator, last) = match last.last() {
            Some(word) if way == most && ways > most => (Operator::Equals, (*word).to_owned()),
            _ => (Operator::StartsWith, last.join(" ")),
        };
        Criteria::is(Field::FirstName, first, name.join(" ")).and(Criteria::is(
            Field::LastName,
            operator,
            last,
        ))
    })
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
const SALUTATIONS: [&str; 16] = [
    "Mr", "Mrs", "Ms", "Dr", "Prof", "Miss", "Mx", "Sir", "Dame", "Herr", "Frau", "M", "Mme", "Sr",
    "Sra", "Ing",
];
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
            "((((((First_Name:starts_with:Ann)and(Last_Name:starts_with:Dyck))or\
             (Last_Name:equals:Ann Dyck))or(First_Name:starts_with:Ann Dyck))or\
             ((First_Name:starts_with:Ann)and(Last_Name:equals:Dyck)))or\
             ((First_Name:starts_with:Dyck)and(Last_Name:starts_with:Ann)))"
        );
        assert_eq!(
            by("Dr.  Ann"),
            "((((First_Name:starts_with:Ann)or(Last_Name:starts_with:Ann))or\
             (First_Name:equals:Ann))or(Last_Name:equals:Ann))"
        );
        assert_eq!(
            by("Dr."),
            "((First_Name:starts_with:Dr.)or(Last_Name:starts_with:Dr.))"
        );
    }

    /// Whether Zoho finds somebody: `equals` on a text is that it has all the words.
    fn finds(criteria: &Criteria, first: &str, last: &str) -> bool {
        match criteria {
            Criteria::Both(left, right) => finds(left, first, last) && finds(right, first, last),
            Criteria::Either(left, right) => finds(left, first, last) || finds(right, first, last),
            Criteria::Is(field, operator, value) => {
                let held = if *field == Field::FirstName {
                    first
                } else {
                    last
                }
                .to_lowercase();
                let value = value.to_lowercase();
                match operator {
                    Operator::StartsWith => held.starts_with(&value),
                    Operator::Equals => value
                        .split(' ')
                        .all(|word| held.split(' ').any(|held| held == word)),
                }
            }
            Criteria::OwnedBy(_) => true,
        }
    }

    #[test]
    fn a_last_name_may_be_known_in_part_where_the_first_has_few_words() {
        for (name, first, last) in [
            ("Anna van der Be", "Anna", "van der Berg"),
            ("Anna Maria van der Be", "Anna Maria", "van der Berg"),
            ("A B C Da", "A B C", "Dahl"),
            ("Frau Ada By", "Ada", "Byron"),
            ("Frau Ada By", "Frau Ada", "Byron"),
        ] {
            assert!(finds(&person(name), first, last), "{name}");
        }
        let found = person("Ana Sol de la Vega Ruiz");
        for (first, last) in [
            ("Ana", "Ruiz"),
            ("Ana Sol", "Ruiz"),
            ("Ana Sol de", "la Vega"),
        ] {
            assert!(!finds(&found, first, last), "{first} {last}");
        }
    }

    #[test]
    fn a_person_of_two_words_is_found_within_a_longer_name_and_by_the_last_name_first() {
        for (name, first, last) in [
            ("Anna Olsen", "Anna Maria", "van der Berg Olsen"),
            ("Frau Anna Olsen", "Anna Maria", "van der Berg Olsen"),
            ("Olsen Anna", "Anna", "Olsen"),
            ("Quarterstaff, Wilhelmina", "Wilhelmina", "Quarterstaff"),
            ("van der Berg, Anna", "Anna Maria", "van der Berg Olsen"),
            ("Berg, Anna Maria", "Anna Maria", "Berg"),
        ] {
            assert!(finds(&person(name), first, last), "{name}");
        }
        for name in ["Olsen,", ", Anna", "Olsen, Dr."] {
            assert!(person(name).render().is_ok(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_found_however_its_words_are_parted(
            words in prop::collection::vec("[a-zA-Z]{1,8}", 2..=12),
            titles in prop::collection::vec(
                prop::sample::select(vec!["Dr.", "prof", "Sra.", "MISS", "m."]), 0..=2),
        ) {
            let typed: Vec<&str> = titles.iter().copied().chain(words.iter().map(String::as_str)).collect();
            let criteria = person(&typed.join(" "));
            prop_assert!(criteria.conditions() <= MOST_OF_NAME && criteria.length() <= LONGEST_OF_NAME);
            for from in 0..=titles.len() {
                let held = typed.split_at(from).1;
                for at in 0..=held.len() {
                    let (first, last) = held.split_at(at);
                    let (first, last) = (first.join(" "), last.join(" "));
                    let last = if last.is_empty() { "Other" } else { &last };
                    prop_assert!(finds(&criteria, &first, last), "{typed:?}: {first} | {last}");
                }
            }
        }
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
