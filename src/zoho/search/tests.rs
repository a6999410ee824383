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
