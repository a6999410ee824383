//! Several lists, each read page by page, as one that is newest first.

use std::{cmp::Reverse, str::FromStr};

use jiff::Timestamp;

use super::entry::{Entry, Kind};
use crate::{
    tools::{cursor::MAX_PAGE, record::instant},
    zoho::Listed,
};

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) kind: Kind,
    pub(super) page: u32,
    /// Entries of that page that were given before.
    pub(super) skip: usize,
}

/// One for each list that is not at its end.
pub(super) type Positions = Vec<Position>;

/// A page of one list, newest first.
#[derive(Debug)]
pub(super) struct Lane {
    position: Position,
    entries: std::iter::Peekable<std::vec::IntoIter<(Option<Timestamp>, Entry)>>,
    more_pages: bool,
    /// The list goes on where no page reaches.
    beyond_reach: bool,
    failed: bool,
}

impl Position {
    /// The beginning of a list.
    pub(super) fn start(kind: Kind) -> Self {
        Self {
            kind,
            page: 1,
            skip: 0,
        }
    }
}

impl Lane {
    /// What is left of a page. Zoho's lists are newest first, so that a page on which all is
    /// older than `since` is the last.
    pub(super) fn new(
        position: Position,
        listed: Listed<Entry>,
        size: u32,
        since: Option<Timestamp>,
    ) -> Self {
        let mut entries: Vec<_> = listed
            .rows
            .into_iter()
            .map(|entry| (instant(entry.time.as_deref()), entry))
            .filter(|(time, _)| since.is_none_or(|since| time.is_some_and(|time| time >= since)))
            .collect();
        entries.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| y.id.cmp(&x.id)));
        let goes_on = listed.more && !entries.is_empty();
        let reach = position.page.saturating_add(1).saturating_mul(size);
        let more_pages = goes_on && position.kind != Kind::Emails && reach <= MOST_LISTED;
        entries.drain(..position.skip.min(entries.len()));
        let entries = entries.into_iter().peekable();
        Self {
            position,
            entries,
            more_pages,
            beyond_reach: goes_on && !more_pages,
            failed: false,
        }
    }

    /// A list that could not be read; the cursor tries it again.
    pub(super) fn failed(position: Position) -> Self {
        Self {
            position,
            entries: Vec::new().into_iter().peekable(),
            more_pages: false,
            beyond_reach: false,
            failed: true,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.position.kind
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn has_more(&self) -> bool {
        self.failed || self.more_pages || self.beyond_reach || self.entries.len() > 0
    }

    /// Where it goes on after what was taken.
    fn next(&self) -> Option<Position> {
        let Position { kind, page, .. } = self.position;
        if self.failed || self.entries.len() > 0 {
            Some(self.position)
        } else {
            self.more_pages.then_some(Position {
                kind,
                page: page + 1,
                skip: 0,
            })
        }
    }
}

/// Takes the newest entries of all lanes. It ends early where a lane's page is used up while the
/// list goes on: what comes next there is not known yet, and could be newer than the others.
pub(super) fn newest(lanes: &mut [Lane], most: usize) -> Vec<Entry> {
    let mut taken = Vec::new();
    while taken.len() < most {
        if lanes
            .iter()
            .any(|lane| lane.more_pages && lane.entries.len() == 0)
        {
            break;
        }
        let ahead = lanes.iter_mut().filter_map(|lane| {
            let time = lane.entries.peek()?.0;
            Some((time, Reverse(lane.position.kind), lane))
        });
        // Within one instant the order of the kinds decides, so that it is the same every time.
        let Some((_, _, lane)) = ahead.max_by_key(|(time, kind, _)| (*time, *kind)) else {
            break;
        };
        taken.extend(lane.entries.next().map(|(_, entry)| entry));
        lane.position.skip += 1;
    }
    taken
}

/// The positions after [`newest`] as text for a cursor; empty at the end of all lists.
pub(super) fn write(lanes: &[Lane]) -> String {
    let positions = lanes.iter().filter_map(Lane::next).map(|position| {
        let kind = Kind::ALL
            .iter()
            .position(|kind| *kind == position.kind)
            .unwrap_or_default();
        format!("{kind}.{}.{}", position.page, position.skip)
    });
    positions.collect::<Vec<_>>().join("-")
}

/// Reads what [`write`] wrote.
pub(super) fn read(text: &str) -> Option<Positions> {
    text.split('-').map(position).collect()
}

fn position(text: &str) -> Option<Position> {
    let mut parts = text.split('.');
    let kind = *Kind::ALL.get(usize::from_str(parts.next()?).ok()?)?;
    let page = u32::from_str(parts.next()?)
        .ok()
        .filter(|page| (1..=MAX_PAGE).contains(page))?;
    let skip = usize::from_str(parts.next()?)
        .ok()
        .filter(|skip| *skip <= 200)?;
    parts
        .next()
        .is_none()
        .then_some(Position { kind, page, skip })
}

/// Zoho pages through the first 2,000 rows of a list.
const MOST_LISTED: u32 = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::record::tests::id;
    use crate::zoho::notes::Note;
    use proptest::prelude::*;

    /// An entry at a second, since the epoch.
    fn entry(kind: Kind, number: u64, second: i64) -> Entry {
        let note = Note {
            id: id(number),
            title: None,
            content: None,
            owner: None,
            created_time: Some(Timestamp::from_second(second).unwrap().to_string()),
            modified_time: None,
        };
        let mut entry = Entry::from(note);
        entry.kind = kind;
        entry
    }

    /// A Zoho that has these lists, newest first.
    fn fetch(
        lists: &[(Kind, Vec<i64>)],
        at: Position,
        size: usize,
        since: Option<Timestamp>,
    ) -> Lane {
        let seconds = &lists.iter().find(|(kind, _)| *kind == at.kind).unwrap().1;
        let from = (at.page as usize - 1) * size;
        let rows: Vec<Entry> = seconds
            .iter()
            .enumerate()
            .skip(from)
            .take(size)
            .map(|(n, second)| entry(at.kind, n as u64 + 1, *second))
            .collect();
        let more = from + rows.len() < seconds.len();
        Lane::new(
            at,
            Listed { rows, more },
            u32::try_from(size).unwrap(),
            since,
        )
    }

    fn walk(
        lists: &[(Kind, Vec<i64>)],
        size: usize,
        since: Option<Timestamp>,
    ) -> Vec<(Kind, String, i64)> {
        let mut positions: Positions = lists
            .iter()
            .map(|(kind, _)| Position::start(*kind))
            .collect();
        let mut all = Vec::new();
        for _ in 0..1000 {
            let mut lanes: Vec<Lane> = positions
                .iter()
                .map(|at| fetch(lists, *at, size, since))
                .collect();
            let page = newest(&mut lanes, size);
            assert!(page.len() <= size);
            all.extend(page.into_iter().map(|entry| {
                let second = instant(entry.time.as_deref()).unwrap().as_second();
                (entry.kind, entry.id, second)
            }));
            let text = write(&lanes);
            if text.is_empty() {
                return all;
            }
            positions = read(&text).unwrap();
        }
        panic!("the walk does not end");
    }

    #[test]
    fn the_newest_of_all_lists_come_first() {
        let lists = [(Kind::Notes, vec![9, 5, 1]), (Kind::Tasks, vec![9, 7])];
        let order: Vec<_> = walk(&lists, 10, None)
            .into_iter()
            .map(|(kind, _, at)| (kind, at))
            .collect();
        assert_eq!(
            order,
            [
                (Kind::Notes, 9),
                (Kind::Tasks, 9),
                (Kind::Tasks, 7),
                (Kind::Notes, 5),
                (Kind::Notes, 1),
            ]
        );
    }

    #[test]
    fn since_cuts_the_older_ones() {
        let lists = [(Kind::Notes, vec![9, 5, 4, 3, 2, 1])];
        let since = Timestamp::from_second(5).unwrap();
        let order: Vec<_> = walk(&lists, 2, Some(since))
            .into_iter()
            .map(|(_, _, at)| at)
            .collect();
        assert_eq!(order, [9, 5]);
    }

    #[test]
    fn the_end_of_what_zoho_pages_through_is_told_and_not_walked_into() {
        let listed = || Listed {
            rows: vec![entry(Kind::Notes, 1, 1)],
            more: true,
        };
        let at = |kind, page| Position {
            page,
            ..Position::start(kind)
        };
        for (position, goes_on) in [
            (at(Kind::Notes, 9), true),
            (at(Kind::Notes, 10), false),
            (at(Kind::Emails, 1), false),
        ] {
            let mut lanes = [Lane::new(position, listed(), 200, None)];
            assert_eq!(newest(&mut lanes, 200).len(), 1);
            assert!(lanes[0].has_more());
            assert_eq!(!write(&lanes).is_empty(), goes_on, "{position:?}");
        }
    }

    #[test]
    fn a_position_that_is_none_is_refused() {
        for text in [
            "", "0", "0.1", "6.1.0", "0.0.0", "0.1.201", "0.1.0.0", "0.1.0-", "a.b.c",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_failed_list_is_tried_again() {
        let at = Position {
            kind: Kind::Calls,
            page: 2,
            skip: 3,
        };
        assert_eq!(read(&write(&[Lane::failed(at)])).unwrap(), [at]);
    }

    proptest! {
        #[test]
        fn page_by_page_nothing_is_lost_doubled_or_out_of_order(
            notes in prop::collection::vec(0..50i64, 0..30),
            tasks in prop::collection::vec(0..50i64, 0..30),
            calls in prop::collection::vec(0..50i64, 0..30),
            size in 1..12usize,
        ) {
            let mut lists = [(Kind::Notes, notes), (Kind::Tasks, tasks), (Kind::Calls, calls)];
            lists.iter_mut().for_each(|(_, seconds)| seconds.sort_by_key(|second| -second));
            let all = walk(&lists, size, None);
            prop_assert!(all.is_sorted_by_key(|(_, _, second)| -second));
            let mut seen: Vec<_> = all.iter().map(|(kind, id, _)| (*kind, id.clone())).collect();
            seen.sort();
            let before = seen.len();
            seen.dedup();
            prop_assert_eq!(seen.len(), before);
            prop_assert_eq!(before, lists.iter().map(|(_, seconds)| seconds.len()).sum::<usize>());
        }
    }
}
