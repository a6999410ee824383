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
    /// The days to compare `days` with, as seen from `today`: as many of the earlier period as the
    /// running one has had, so that like is compared with like.
    pub(super) fn days(self, days: Days, today: Date) -> Result<Option<Days>, ToolError> {
        let before = match self {
            Self::PreviousPeriod => days.previous().ok_or(OUT_OF_RANGE)?,
            Self::PreviousYear => days.year_before().ok_or(OUT_OF_RANGE)?,
            Self::None => return Ok(None),
        };
        let had = days.is_running(today).then(|| today - days.first);
        let until = had.and_then(|had| before.first.checked_add(had).ok());
        Ok(Some(match until {
            Some(until) if until < before.last => Days {
                last: until,
                months: None,
                ..before
            },
            _ => before,
        }))
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

    /// Whether it has not begun, so that a comparison says nothing.
    pub(super) fn is_ahead(self, today: Date) -> bool {
        today < self.first
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
mod tests;
