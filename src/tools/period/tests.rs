use super::*;
use jiff::civil::date;
use proptest::prelude::*;

fn days(text: &str) -> (String, String) {
    let days = text
        .parse::<Period>()
        .unwrap()
        .days(date(2026, 2, 15))
        .unwrap();
    (days.first.to_string(), days.last.to_string())
}

#[test]
fn each_name_means_these_days() {
    for (text, first, last) in [
        ("this_month", "2026-02-01", "2026-02-28"),
        ("last_month", "2026-01-01", "2026-01-31"),
        ("this_quarter", "2026-01-01", "2026-03-31"),
        ("last_quarter", "2025-10-01", "2025-12-31"),
        ("next_quarter", "2026-04-01", "2026-06-30"),
        ("this_year", "2026-01-01", "2026-12-31"),
        ("last_year", "2025-01-01", "2025-12-31"),
        ("last_30_days", "2026-01-17", "2026-02-15"),
        ("last_90_days", "2025-11-18", "2026-02-15"),
        ("2024", "2024-01-01", "2024-12-31"),
        ("2024-Q4", "2024-10-01", "2024-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2024-02-29..2024-03-01", "2024-02-29", "2024-03-01"),
    ] {
        assert_eq!(days(text), (first.into(), last.into()), "{text}");
    }
}

#[test]
fn what_names_no_period_is_refused_and_told_why() {
    use NotAPeriod::{NoDate, OutOfCalendar, Reversed, TooLong, Unreadable};
    for (text, why) in [
        ("", Unreadable),
        ("today", Unreadable),
        ("24", Unreadable),
        ("2024-Q5", Unreadable),
        ("2024-00", NoDate),
        ("2024-13", NoDate),
        ("2026-13-45", NoDate),
        ("2026-12-24", Unreadable),
        ("2024-1", Unreadable),
        ("2024-02-30..2024-03-01", NoDate),
        ("2024-03-01..2024-02-01", Reversed),
        ("2019-01-01..2024-01-01", TooLong),
        ("2000-01-01..2026-01-01", TooLong),
        ("1999", OutOfCalendar),
        ("2101", OutOfCalendar),
        ("+024", Unreadable),
        ("2024-Q1 ", Unreadable),
    ] {
        assert_eq!(text.parse::<Period>(), Err(why), "{text}");
    }
    assert!("2019-01-01..2023-12-31".parse::<Period>().is_ok());
}

#[test]
fn whole_months_are_compared_with_whole_months() {
    let march = Period::Month(2024, 3).days(date(2026, 1, 1)).unwrap();
    let february = march.previous().unwrap();
    assert_eq!(
        (february.first, february.last),
        (date(2024, 2, 1), date(2024, 2, 29))
    );
    let before = february.year_before().unwrap();
    assert_eq!(
        (before.first, before.last),
        (date(2023, 2, 1), date(2023, 2, 28))
    );
}

#[test]
fn a_running_period_is_compared_with_as_many_days() {
    let against = |period: Period, compare_to: CompareTo, today| {
        let days = period.days(today).unwrap();
        compare_to.days(days, today).unwrap().unwrap().shown()
    };
    let (quarter, previous) = (Period::ThisQuarter, CompareTo::PreviousPeriod);
    let today = date(2026, 5, 14);
    assert_eq!(against(quarter, previous, today), "2026-01-01..2026-02-13");
    let year = CompareTo::PreviousYear;
    assert_eq!(against(quarter, year, today), "2025-04-01..2025-05-14");
    // The one before is shorter.
    let month = Period::ThisMonth;
    let end = date(2026, 3, 31);
    assert_eq!(against(month, previous, end), "2026-02-01..2026-02-28");
    let over = Period::LastQuarter;
    assert_eq!(against(over, previous, today), "2025-10-01..2025-12-31");
    let ahead = Period::NextQuarter.days(today).unwrap();
    assert!(ahead.is_ahead(today) && !ahead.is_running(today));
}

#[test]
fn more_than_twelve_months_are_not_split() {
    let period: Period = "2024-01-15..2025-01-14".parse().unwrap();
    assert!(period.days(date(2026, 1, 1)).unwrap().each_month().is_err());
    let period: Period = "2024-01-15..2024-12-14".parse().unwrap();
    assert_eq!(
        period
            .days(date(2026, 1, 1))
            .unwrap()
            .each_month()
            .unwrap()
            .len(),
        12
    );
}

fn a_day() -> impl Strategy<Value = Date> {
    (0..36_000i32).prop_map(|n| date(2001, 1, 1).checked_add(n.days()).unwrap())
}

fn a_period() -> impl Strategy<Value = Period> {
    prop_oneof![
        Just(Period::ThisMonth),
        Just(Period::LastMonth),
        Just(Period::ThisQuarter),
        Just(Period::LastQuarter),
        Just(Period::NextQuarter),
        Just(Period::ThisYear),
        Just(Period::LastYear),
        Just(Period::Last30Days),
        Just(Period::Last90Days),
        (2001..2100i16).prop_map(Period::Year),
        (2001..2100i16, 0..4i8).prop_map(|(y, q)| Period::Quarter(y, q * 3 + 1)),
        (2001..2100i16, 1..=12i8).prop_map(|(y, m)| Period::Month(y, m)),
        (a_day(), 0..1800i32).prop_map(|(d, n)| Period::Range(d, d.checked_add(n.days()).unwrap())),
    ]
}

proptest! {
    #[test]
    fn a_period_is_never_empty_and_the_previous_one_adjoins(period in a_period(), today in a_day()) {
        let days = period.days(today).unwrap();
        prop_assert!(days.first <= days.last);
        let previous = days.previous().unwrap();
        prop_assert!(previous.first <= previous.last);
        prop_assert_eq!(previous.end().unwrap(), days.first);
        let year = days.year_before().unwrap();
        prop_assert!(year.first <= year.last && year.first < days.first);
    }

    #[test]
    fn the_months_of_a_period_are_contiguous_and_complete(period in a_period(), today in a_day()) {
        let days = period.days(today).unwrap();
        if let Ok(months) = days.each_month() {
            prop_assert_eq!(months[0].first, days.first);
            prop_assert_eq!(months[months.len() - 1].last, days.last);
            for pair in months.windows(2) {
                prop_assert_eq!(pair[0].end().unwrap(), pair[1].first);
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,24}") {
        let _ = text.parse::<Period>();
    }
}
