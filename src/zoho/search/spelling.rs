//! What people write around a name that is none of it, and what they write in several ways.

/// `O’Neil` of `O'Neil`, and the reverse: people and programs write either.
pub(super) fn with_other_apostrophes(name: &str) -> Option<String> {
    let typographic = name.contains(TYPOGRAPHIC);
    match typographic || name.contains('\'') {
        true if typographic => Some(name.replace(TYPOGRAPHIC, "'")),
        true => Some(name.replace('\'', "’")),
        false => None,
    }
}

/// Without quotes around it and commas at its ends, if anything else is there.
pub(super) fn bare(name: &str) -> &str {
    let mut bare = trimmed(name);
    while let Some(quoted) = bare
        .strip_prefix(QUOTES)
        .and_then(|rest| rest.strip_suffix(QUOTES))
    {
        bare = trimmed(quoted);
    }
    if bare.is_empty() { name } else { bare }
}

fn trimmed(name: &str) -> &str {
    name.trim_matches(|c: char| c.is_whitespace() || c == ',')
}

/// Whether nothing else is there.
pub(super) fn is_empty(name: &str) -> bool {
    let around = |c: char| c.is_whitespace() || c == ',' || QUOTES.contains(&c);
    name.chars().all(around)
}

/// `Ada Byron` of `Ada Byron, PhD, MBA` and of `Ada Byron PhD`. Where the CRM has them in the last name,
/// that begins so all the same.
pub(super) fn without_degrees(name: &str) -> &str {
    let mut rest = name;
    while let Some((front, end)) = rest.rsplit_once(',')
        && !trimmed(front).is_empty()
        && end.split_whitespace().all(is_degree)
    {
        rest = trimmed(front);
    }
    // Without a comma, it may be all of a last name.
    while let Some((front, end)) = rest.rsplit_once(char::is_whitespace)
        && front.split_whitespace().count() > 1
        && is_degree(end)
    {
        rest = trimmed(front);
    }
    rest
}

fn is_degree(word: &str) -> bool {
    let word = word.replace('.', "");
    DEGREES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(&word))
}

/// What stands behind a name.
const DEGREES: [&str; 12] = [
    "Jr", "Sr", "II", "III", "IV", "PhD", "MD", "MBA", "MSc", "BSc", "CPA", "Esq",
];
const QUOTES: [char; 10] = ['"', '\'', '`', '“', '”', '„', '‘', '’', '«', '»'];
const TYPOGRAPHIC: [char; 5] = ['’', '‘', 'ʼ', '´', '`'];
