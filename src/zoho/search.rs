//! How records are looked for, the same in every module.

mod spelling;

use super::{
    ZohoError,
    criteria::{Criteria, Field, Operator},
    refused,
    scope::Wanted,
};
use spelling::{bare, is_empty, with_other_apostrophes, without_degrees};

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
    /// Whether nothing is left of it without what people write around names.
    pub fn is_empty(&self) -> bool {
        let (Self::Word(text) | Self::Email(text) | Self::Phone(text) | Self::Name(text)) = self;
        is_empty(text)
    }

    /// What is asked of Zoho; what it would refuse is refused here.
    pub(super) fn wanted(&self, by_name: fn(&str) -> Criteria) -> Result<Wanted, ZohoError> {
        let (parameter, value, least) = match self {
            Self::Word(word) => ("word", word, 2),
            Self::Email(email) => ("email", email, 1),
            Self::Phone(phone) => ("phone", phone, 3),
            Self::Name(name) => ("criteria", name, 1),
        };
        let value = match self {
            Self::Word(_) => bare(value),
            _ => value.trim(),
        };
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

/// A name is read in several ways, the likeliest first, and as many of them are asked as Zoho takes.
pub(super) fn person(name: &str) -> Criteria {
    let name = without_degrees(bare(name));
    as_spelled(name, persons).unwrap_or_else(|| last(HAS, name))
}

/// A salutation in front, as in `Frau Ada Byron`, may be part of the first name, or none of the name.
fn persons(name: &str) -> Vec<Criteria> {
    let words: Vec<&str> = name.split_whitespace().collect();
    let (titled, words) = without_salutations(&words);
    let whole = words.join(" ");
    let turned = last_name_in_front(&whole);
    let others = match words {
        [_] => one_word(&whole, titled),
        _ => several_words(words, titled, turned.is_some()),
    };
    turned.into_iter().flatten().chain(others).collect()
}

/// As many of the ways as Zoho takes; the likeliest one with the other kind of apostrophes as well.
fn as_spelled(name: &str, ways: fn(&str) -> Vec<Criteria>) -> Option<Criteria> {
    let mut all = ways(name);
    if let Some(other) = with_other_apostrophes(name) {
        let mut others = ways(&other).into_iter();
        let second = 1.min(all.len());
        all.splice(second..second, others.next());
        all.extend(others);
    }
    let fits = |all: &Criteria| all.conditions() <= MOST_OF_NAME && all.length() <= LONGEST_OF_NAME;
    all.into_iter().reduce(|all, other| {
        let wider = all.clone().or(other);
        if fits(&wider) { wider } else { all }
    })
}

/// `Olsen, Anna`, `Olsen,Anna` or `Olsen, Dr. Anna`, also of Anna van der Berg Olsen.
fn last_name_in_front(name: &str) -> Option<[Criteria; 2]> {
    let (last_name, rest) = name.split_once(',')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (titled, words) = without_salutations(&words);
    let (first_name, last_name) = (words.join(" "), last_name.trim());
    let named = !first_name.is_empty() && !last_name.is_empty();
    named.then(|| {
        let within = first(if titled { HAS } else { BEGINS }, &first_name);
        let begins = first(BEGINS, &first_name).and(last(BEGINS, last_name));
        [begins, within.and(last(HAS, last_name))]
    })
}

/// `Ada` is a first or a last name; both may have more in front where a salutation was.
fn one_word(word: &str, titled: bool) -> Vec<Criteria> {
    let mut ways = vec![first(BEGINS, word), last(BEGINS, word)];
    if titled {
        ways.extend([first(HAS, word), last(HAS, word)]);
    }
    ways
}

fn several_words(words: &[&str], titled: bool, turned: bool) -> Vec<Criteria> {
    let whole = words.join(" ");
    let most = if titled || turned { 2 } else { 3 };
    // `Anna Maria van der Be`: a first name of one word, of two, and so on.
    let mut ways: Vec<_> = parted(words, most, if titled { HAS } else { BEGINS }).collect();
    // `van der Berg`: all in the last name.
    ways.push(last(HAS, &whole));
    // `Frau Ad Byron`: where the salutation is none of the name, its beginning will do.
    ways.extend(parted(words, 1, BEGINS).filter(|_| titled));
    // `Anna Maria`: all in the first name.
    ways.push(first(BEGINS, &whole));
    ways.extend(titled.then(|| first(HAS, &whole)));
    if let ([one, other], false) = (words, turned) {
        // Likelier than all in the first name, unless that may have the salutation.
        let at = ways.len().saturating_sub(usize::from(!titled));
        // `Anna Olsen`, of Anna Maria van der Berg Olsen.
        let within = first(BEGINS, one).and(last(HAS, other));
        // `Olsen Anna`.
        let turned = first(BEGINS, other).and(last(BEGINS, one));
        ways.splice(at..at, [within, turned]);
    }
    ways
}

/// Words as a first name of one or more of them and a last name. What is `most` stands for every way
/// that remains: as much of the first name as all of these have, and the last word of the other.
fn parted(words: &[&str], most: usize, operator: Operator) -> impl Iterator<Item = Criteria> {
    let ways = words.len().saturating_sub(1);
    (1..=ways.min(most)).map(move |way| {
        let (first_name, last_name) = words.split_at(way);
        let last_name = match last_name.last() {
            Some(word) if way == most && ways > most => last(HAS, word),
            _ => last(BEGINS, &last_name.join(" ")),
        };
        first(operator, &first_name.join(" ")).and(last_name)
    })
}

fn first(operator: Operator, name: &str) -> Criteria {
    Criteria::is(Field::FirstName, operator, name)
}

fn last(operator: Operator, name: &str) -> Criteria {
    Criteria::is(Field::LastName, operator, name)
}

/// Whether there were any in front, and the words behind them. Of nothing but those, all are a name.
fn without_salutations<'a, 'b>(words: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    let count = words.iter().take_while(|word| is_salutation(word)).count();
    match words.split_at(count) {
        (_, []) => (false, words),
        (titles, rest) => (!titles.is_empty(), rest),
    }
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
    let words = bare(name).split_whitespace().collect::<Vec<_>>().join(" ");
    as_spelled(&words, companies).unwrap_or_else(|| Criteria::is(Field::AccountName, HAS, &words))
}

fn companies(words: &str) -> Vec<Criteria> {
    let by = |operator| Criteria::is(Field::AccountName, operator, words);
    vec![by(BEGINS), by(HAS)]
}

/// On a text `equals` finds what has the words, wherever they stand.
const HAS: Operator = Operator::Equals;
const BEGINS: Operator = Operator::StartsWith;
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
             (Last_Name:equals:Ann Dyck))or\
             ((First_Name:starts_with:Ann)and(Last_Name:equals:Dyck)))or\
             ((First_Name:starts_with:Dyck)and(Last_Name:starts_with:Ann)))or\
             (First_Name:starts_with:Ann Dyck))"
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
            ("Quarterstaff,Wilhelmina", "Wilhelmina", "Quarterstaff"),
            ("Quarterstaff, Dr. Wilhelmina", "Wilhelmina", "Quarterstaff"),
            (
                "Quarterstaff, Dr. Wilhelmina",
                "Dr. Wilhelmina",
                "Quarterstaff",
            ),
            ("Frau Olsen, Anna", "Anna", "Olsen"),
            ("Olsen, Anna", "Anna Maria", "van der Berg Olsen"),
            ("Olsen,Anna", "Anna", "van der Berg Olsen"),
            ("J. R. Tolk, Jr.", "J. R.", "Tolk, Jr."),
            ("Dr. J. R. Tolk, Jr.", "Dr. J. R.", "Tolk, Jr."),
            ("Frau An Dyck", "Anna", "Dyck"),
        ] {
            assert!(finds(&person(name), first, last), "{name}");
        }
        for name in ["Olsen, Dr.", ",", "Dr. ,", "\"\"", "'", ", PhD", "'', Jr."] {
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
    fn what_stands_around_a_name_and_how_its_apostrophe_is_written_does_not_matter() {
        for (name, first, last) in [
            ("Olsen,", "Anna", "Olsen"),
            (", Anna", "Anna", "Olsen"),
            ("\"Anna Olsen\"", "Anna", "Olsen"),
            ("“Olsen, Anna”,", "Anna", "Olsen"),
            ("'Anna'", "Anna", "Olsen"),
            ("Anna Olsen, PhD", "Anna", "Olsen"),
            ("Dr. Anna Olsen, Ph.D., MBA", "Anna", "Olsen"),
            ("Olsen, Anna, Jr.", "Anna", "Olsen"),
            ("Anna O’Neil", "Anna", "O'Neil"),
            ("Anna O'Neil", "Anna", "O’Neil"),
            ("O´Neil, Anna", "Anna", "O'Neil"),
            ("o'neil", "Anna", "O’Neil"),
            ("Anna O`Neil", "Anna", "O'Neil"),
            ("Anna Olsen PhD", "Anna", "Olsen"),
            ("Dr. Anna Olsen Jr. MBA", "Anna", "Olsen"),
            ("Anna Olsen PhD", "Anna", "Olsen PhD"),
            ("Olsen PhD", "Anna", "Olsen PhD"),
            ("O'Neil Anna", "Anna", "O'Neil"),
            ("Anna O'Neil", "Anna Maria", "van Dam O'Neil"),
        ] {
            assert!(finds(&person(name), first, last), "{name}");
        }
        assert!(!finds(&person("Olsen, Sven"), "Anna", "Olsen"));
        let company = company("\"Tom's Diner\"").render().unwrap();
        assert!(company.contains("Tom's Diner)") && company.contains("Tom’s Diner)"));
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
