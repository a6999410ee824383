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
mod tests;
