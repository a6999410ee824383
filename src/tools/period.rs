//! Periods of time that a report is asked for, and the ones they are compared with.

use std::str::FromStr;

use jiff::{ToSpan, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    ToolError,
    input::{self, inline_schema},
};

/// A period as a caller names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Period {
    ThisMonth,
    LastMonth,
    #[default]
    ThisQuarter,
    LastQuarter,
    NextQuarter,
    ThisYear,
    LastYear,
    Last30Days,
    Last90Days,
    Year(i16),
    /// The first month of the quarter.
    Quarter(i16, i8),
    Month(i16, i8),
    Range(Date, Date),
}

/// What a report is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CompareTo {
    #[default]
    PreviousPeriod,
    PreviousYear,
    None,
}

/// The days of a period, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) first: Date,
    pub(super) last: Date,
    /// Whole months where the period is made of them: so the one before has whole months too.
    months: Option<i32>,
}

impl Period {
    /// The days, as seen from `today`.
    pub(super) fn days(self, today: Date) -> Result<Days, ToolError> {
        self.resolve(today).ok_or(OUT_OF_RANGE)
    }

    fn resolve(self, today: Date) -> Option<Days> {
        let month = today.first_of_month();
        let quarter = later(month, -i32::from((today.month() - 1) % 3))?;
        let year = today.first_of_year();
        match self {
            Self::ThisMonth => Days::months(month, 1),
            Self::LastMonth => Days::months(later(month, -1)?, 1),
            Self::ThisQuarter => Days::months(quarter, 3),
            Self::LastQuarter => Days::months(later(quarter, -3)?, 3),
            Self::NextQuarter => Days::months(later(quarter, 3)?, 3),
            Self::ThisYear => Days::months(year, 12),
            Self::LastYear => Days::months(later(year, -12)?, 12),
            Self::Last30Days => Days::range(today.checked_sub(29.days()).ok()?, today),
            Self::Last90Days => Days::range(today.checked_sub(89.days()).ok()?, today),
            Self::Year(year) => Days::months(Date::new(year, 1, 1).ok()?, 12),
            Self::Quarter(year, month) => Days::months(Date::new(year, month, 1).ok()?, 3),
            Self::Month(year, month) => Days::months(Date::new(year, month, 1).ok()?, 1),
            Self::Range(first, last) => Days::range(first, last),
        }
    }
}

impl CompareTo {
    /// The days to compare `days` with.
    pub(super) fn days(self, days: Days) -> Result<Option<Days>, ToolError> {
        match self {
            Self::PreviousPeriod => days.previous().ok_or(OUT_OF_RANGE).map(Some),
            Self::PreviousYear => days.year_before().ok_or(OUT_OF_RANGE).map(Some),
            Self::None => Ok(None),
        }
    }
}

impl Days {
    fn months(first: Date, months: i32) -> Option<Self> {
        let last = later(first, months)?.yesterday().ok()?;
        Some(Self {
            first,
            last,
            months: Some(months),
        })
    }

    fn range(first: Date, last: Date) -> Option<Self> {
        (first <= last).then_some(Self {
            first,
            last,
            months: None,
        })
    }

    /// The period of the same length that ends the day before this one begins.
    fn previous(self) -> Option<Self> {
        match self.months {
            Some(months) => Self::months(later(self.first, -months)?, months),
            None => {
                let last = self.first.yesterday().ok()?;
                Self::range(last.checked_sub(self.last - self.first).ok()?, last)
            }
        }
    }

    fn year_before(self) -> Option<Self> {
        let first = later(self.first, -12)?;
        match self.months {
            Some(months) => Self::months(first, months),
            None => Self::range(first, first.checked_add(self.last - self.first).ok()?),
        }
    }

    /// The day after the last.
    pub(super) fn end(self) -> Result<Date, ToolError> {
        self.last.tomorrow().map_err(|_| OUT_OF_RANGE)
    }

    /// Whether `today` is within it, so that its figures are not final.
    pub(super) fn is_running(self, today: Date) -> bool {
        (self.first..=self.last).contains(&today)
    }

    /// The months it touches, the first and the last cut where it begins and ends.
    pub(super) fn each_month(self) -> Result<Vec<Self>, ToolError> {
        let mut months = Vec::new();
        let mut first = self.first;
        while first <= self.last {
            if months.len() == MAX_MONTHS {
                return Err(ToolError::Argument {
                    argument: "period",
                    problem: "with group_by=month it may touch at most 12 months",
                });
            }
            let last = first.last_of_month().min(self.last);
            months.push(Self {
                first,
                last,
                months: None,
            });
            first = last.tomorrow().map_err(|_| OUT_OF_RANGE)?;
        }
        Ok(months)
    }

    /// `first..last`: what [`Period`] reads.
    pub(super) fn shown(self) -> String {
        format!("{}..{}", self.first, self.last)
    }
}

fn later(date: Date, months: i32) -> Option<Date> {
    date.checked_add(months.months()).ok()
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        Ok(match text {
            "this_month" => Self::ThisMonth,
            "last_month" => Self::LastMonth,
            "this_quarter" => Self::ThisQuarter,
            "last_quarter" => Self::LastQuarter,
            "next_quarter" => Self::NextQuarter,
            "this_year" => Self::ThisYear,
            "last_year" => Self::LastYear,
            "last_30_days" => Self::Last30Days,
            "last_90_days" => Self::Last90Days,
            _ => return calendar(text),
        })
    }
}

fn calendar(text: &str) -> Result<Period, NotAPeriod> {
    if let Some((first, last)) = text.split_once("..") {
        let day = |text| bounded(input::day(text).ok_or(NotAPeriod::NoDate)?);
        let (first, last) = (day(first)?, day(last)?);
        if last < first {
            return Err(NotAPeriod::Reversed);
        }
        return match first.checked_add(MAX_YEARS.years()) {
            Ok(end) if last < end => Ok(Period::Range(first, last)),
            _ => Err(NotAPeriod::TooLong),
        };
    }
    let (year, part) = match text.split_once('-') {
        Some((year, part)) => (year, Some(part)),
        None => (text, None),
    };
    if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotAPeriod::Unreadable);
    }
    let number = year.parse().map_err(|_| NotAPeriod::Unreadable)?;
    let year = bounded(Date::new(number, 1, 1).map_err(|_| NotAPeriod::NoDate)?)?.year();
    let digits = |tens: u8, ones: u8| i8::try_from((tens - b'0') * 10 + (ones - b'0'));
    match part.map(str::as_bytes) {
        None => Ok(Period::Year(year)),
        Some([b'Q' | b'q', quarter @ b'1'..=b'4']) => {
            let quarter = digits(b'0', *quarter).map_err(|_| NotAPeriod::NoDate)?;
            Ok(Period::Quarter(year, quarter * 3 - 2))
        }
        Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => match digits(*tens, *ones) {
            Ok(month @ 1..=12) => Ok(Period::Month(year, month)),
            _ => Err(NotAPeriod::NoDate),
        },
        Some([b'0'..=b'9', b'0'..=b'9', b'-', b'0'..=b'9', b'0'..=b'9']) => {
            input::day(text).ok_or(NotAPeriod::NoDate)?;
            Err(NotAPeriod::Unreadable)
        }
        Some(_) => Err(NotAPeriod::Unreadable),
    }
}

fn bounded(date: Date) -> Result<Date, NotAPeriod> {
    match (2000..=2100).contains(&date.year()) {
        true => Ok(date),
        false => Err(NotAPeriod::OutOfCalendar),
    }
}

/// Why the text names no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAPeriod {
    #[error("{}", input::NO_PERIOD)]
    Unreadable,
    #[error("{}", input::NO_DATE)]
    NoDate,
    #[error("{}", input::OUT_OF_CALENDAR)]
    OutOfCalendar,
    #[error("{}", input::ENDS_BEFORE_IT_BEGINS)]
    Reversed,
    #[error("{}", input::TOO_LONG)]
    TooLong,
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

inline_schema!([] Period, "Period", { "type": "string", "maxLength": 22 });

const MAX_MONTHS: usize = 12;
const MAX_YEARS: i32 = 5;
const OUT_OF_RANGE: ToolError = ToolError::Argument {
    argument: "period",
    problem: "it reaches outside the calendar; use years from 2000 to 2100",
};

#[cfg(test)]
mod tests {
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
            (a_day(), 0..1800i32)
                .prop_map(|(d, n)| Period::Range(d, d.checked_add(n.days()).unwrap())),
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
}
