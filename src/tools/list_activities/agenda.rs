//! Three lists, each by time, as one, and where each of them goes on.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    tools::{input, record::instant},
    zoho::{
        Listed,
        agenda::{Activity, Kind},
    },
};

/// How much of each list was given, and when the first page was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    given: [u32; Kind::ALL.len()],
    pub(super) began: Timestamp,
}

impl Position {
    pub(super) fn start(now: Timestamp) -> Self {
        Self {
            given: [0; Kind::ALL.len()],
            began: now,
        }
    }

    /// Reads what was written of one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut given = [0; Kind::ALL.len()];
        for offset in &mut given {
            *offset = parts.next()?.parse().ok().filter(|it| *it <= MOST_LISTED)?;
        }
        let began = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        parts.next().is_none().then_some(Self { given, began })
    }

    pub(super) fn offset(&self, kind: Kind) -> u32 {
        self.given.get(kind as usize).copied().unwrap_or_default()
    }

    /// Whether Zoho gives what comes next.
    pub(super) fn is_within_reach(&self) -> bool {
        self.given.iter().all(|offset| *offset <= MOST_LISTED)
    }

    fn give(&mut self, kind: Kind) {
        if let Some(given) = self.given.get_mut(kind as usize) {
            *given = given.saturating_add(1);
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for offset in self.given {
            write!(f, "{offset}.")?;
        }
        write!(f, "{}", self.began.as_second())
    }
}

/// Takes the earliest of all lists, of which each has as many as that or is whole; moves the position
/// on, and says whether there are more.
pub(super) fn earliest(
    lists: Vec<Listed<Activity>>,
    most: u32,
    zone: &TimeZone,
    at: &mut Position,
) -> (Vec<Activity>, bool) {
    let mut more = lists.iter().any(|list| list.more);
    let mut all: Vec<(Option<Timestamp>, Activity)> = lists
        .into_iter()
        .flat_map(|list| list.rows)
        .map(|activity| (begins(&activity, zone), activity))
        .collect();
    // Stable: within one instant the order of the kinds and that of Zoho's lists hold.
    all.sort_by_key(|(begins, activity)| (*begins, activity.kind));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    more |= all.len() > most;
    all.truncate(most);
    for (_, activity) in &all {
        at.give(activity.kind);
    }
    (
        all.into_iter().map(|(_, activity)| activity).collect(),
        more,
    )
}

/// A task is due from the beginning of its day.
fn begins(activity: &Activity, zone: &TimeZone) -> Option<Timestamp> {
    let time = activity.time.as_deref();
    let day = time.and_then(input::day);
    match day {
        Some(day) => Some(day.to_zoned(zone.clone()).ok()?.timestamp()),
        None => instant(time),
    }
}

/// A query reaches 100,000 rows.
const MOST_LISTED: u32 = 99_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::record::tests::id;
    use proptest::prelude::*;

    fn activity(kind: Kind, number: u64, second: i64) -> Activity {
        Activity {
            kind,
            id: id(number),
            subject: None,
            status: None,
            priority: None,
            time: Some(Timestamp::from_second(second).unwrap().to_string()),
            end_time: None,
            venue: None,
            direction: None,
            who: None,
            what: None,
            owner: None,
        }
    }

    fn page(lists: &[Vec<i64>; 3], at: &Position, size: u32) -> Vec<Listed<Activity>> {
        let list = |(kind, seconds): (&Kind, &Vec<i64>)| {
            let from = at.offset(*kind) as usize;
            let rows = seconds.iter().enumerate().skip(from).take(size as usize);
            let rows = rows.map(|(n, second)| activity(*kind, n as u64 + 1, *second));
            Listed {
                rows: rows.collect(),
                more: seconds.len() > from + size as usize,
                index: None,
            }
        };
        Kind::ALL.iter().zip(lists).map(list).collect()
    }

    proptest! {
        #[test]
        fn page_by_page_everything_comes_once_and_in_order(
            mut lists in prop::array::uniform3(prop::collection::vec(0_i64..50, 0..20)),
            size in 1_u32..9,
        ) {
            lists.iter_mut().for_each(|list| list.sort_unstable());
            let mut at = Position::start(Timestamp::UNIX_EPOCH);
            let (mut seen, mut pages) = (Vec::new(), 0);
            loop {
                let lists = page(&lists, &at, size);
                let (found, more) = earliest(lists, size, &TimeZone::UTC, &mut at);
                seen.extend(found.iter().map(|it| (instant(it.time.as_deref()), it.kind, it.id.clone())));
                at = Position::read(&at.to_string()).unwrap();
                pages += 1;
                prop_assert!(pages <= 61);
                if !more {
                    break;
                }
            }
            prop_assert!(seen.is_sorted_by_key(|(time, kind, _)| (*time, *kind)));
            prop_assert_eq!(seen.len(), lists.iter().map(Vec::len).sum::<usize>());
            seen.dedup();
            prop_assert_eq!(seen.len(), lists.iter().map(Vec::len).sum::<usize>());
        }
    }

    #[test]
    fn a_position_from_elsewhere_is_none() {
        for text in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.x.4",
            "100000.0.0.4",
            "1.2.3.99999999999999",
        ] {
            assert_eq!(Position::read(text), None, "{text}");
        }
    }
}
