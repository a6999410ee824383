//! Several lists, each read page by page, as one that is newest first.

use std::{cmp::Reverse, str::FromStr};

use jiff::Timestamp;

use super::entry::{Entry, Kind};
use crate::{
    tools::{cursor::MAX_PAGE, record::instant},
    zoho::{Code, Listed, ZohoError},
};

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) kind: Kind,
    pub(super) page: u32,
    /// Entries of that page that were given before.
    pub(super) skip: usize,
    /// Where that page begins, of e-mails: Zoho names the place.
    pub(super) index: Option<String>,
}

/// One for each list that is not at its end.
pub(super) type Positions = Vec<Position>;

/// A page of one list, newest first.
#[derive(Debug)]
pub(super) struct Lane {
    position: Position,
    entries: std::iter::Peekable<std::vec::IntoIter<(Option<Timestamp>, Entry)>>,
    more_pages: bool,
    /// Where Zoho says that the next page begins.
    next_index: Option<String>,
    /// The list goes on where no page reaches.
    beyond_reach: bool,
    failure: Option<Failure>,
    /// Zoho does not show of all its entries when they took place.
    pub(super) untimed: bool,
}

/// Why a list could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may be read the next time.
    Passing,
    /// A field is hidden without which it is not known what may be seen.
    Hidden(Code),
}

impl Position {
    /// The beginning of a list.
    pub(super) fn start(kind: Kind) -> Self {
        Self {
            kind,
            page: 1,
            skip: 0,
            index: None,
        }
    }
}

/// A meeting is not as long as it runs.
fn is_older(time: Option<Timestamp>, entry: &Entry, since: Timestamp) -> bool {
    let runs = || {
        let end = instant(entry.until.as_deref());
        entry.kind == Kind::Events && end.is_some_and(|end| end > since)
    };
    time.is_none_or(|time| time < since && !runs())
}

impl Lane {
    /// What is left of a page. A list that is in order ends with the first entry that is older than
    /// `since`.
    pub(super) fn new(
        position: Position,
        listed: Listed<Entry>,
        size: u32,
        since: Option<Timestamp>,
    ) -> Self {
        let is_emails = position.kind == Kind::Emails;
        let mut entries: Vec<_> = listed
            .rows
            .into_iter()
            .map(|entry| {
                let time = entry.time.as_ref().or(entry.made.as_ref());
                (instant(time.map(String::as_str)), entry)
            })
            .collect();
        let untimed = entries.iter().any(|(_, entry)| entry.time.is_none());
        let mut reaches_since = false;
        if let Some(since) = since {
            entries.retain(|(time, entry)| {
                let is_older = is_older(*time, entry, since);
                reaches_since |= is_older && time.is_some();
                !is_older
            });
        }
        entries.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| y.id.cmp(&x.id)));
        let goes_on = listed.more && (position.kind.is_planned() || !reaches_since);
        let next_index = listed.index.filter(|index| is_emails && is_index(index));
        let reach = position.page.saturating_add(1).saturating_mul(size);
        let is_within_reach = match is_emails {
            true => next_index.is_some() && position.page < MAX_PAGE,
            false => reach <= MOST_LISTED,
        };
        let more_pages = goes_on && is_within_reach;
        entries.drain(..position.skip.min(entries.len()));
        let entries = entries.into_iter().peekable();
        Self {
            position,
            entries,
            more_pages,
            next_index,
            beyond_reach: goes_on && !more_pages,
            failure: None,
            untimed,
        }
    }

    /// A list that could not be read; the cursor tries it again, unless that is in vain.
    pub(super) fn failed(position: Position, error: &ZohoError) -> Self {
        Self {
            position,
            entries: Vec::new().into_iter().peekable(),
            more_pages: false,
            next_index: None,
            beyond_reach: false,
            failure: Some(match error {
                ZohoError::Hidden { field } => Failure::Hidden(field.clone()),
                _ => Failure::Passing,
            }),
            untimed: false,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.position.kind
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn is_tried_again(&self) -> bool {
        self.failure == Some(Failure::Passing)
    }

    pub(super) fn has_more(&self) -> bool {
        self.is_tried_again() || self.more_pages || self.beyond_reach || !self.is_used_up()
    }

    /// Whether nothing of the page is left.
    pub(super) fn is_used_up(&self) -> bool {
        self.entries.len() == 0
    }

    /// Whether it ends here although the CRM has more of it.
    pub(super) fn is_cut(&self) -> bool {
        self.beyond_reach && self.is_used_up()
    }

    /// Where it goes on after what was taken.
    pub(super) fn next(&self) -> Option<Position> {
        let Position { kind, page, .. } = self.position;
        if self.is_tried_again() || !self.is_used_up() {
            Some(self.position.clone())
        } else {
            self.more_pages.then(|| Position {
                kind,
                page: page + 1,
                skip: 0,
                index: self.next_index.clone(),
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
            .any(|lane| lane.more_pages && lane.is_used_up())
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
    let mut index = String::new();
    let positions = lanes.iter().filter_map(Lane::next).map(|position| {
        if let Some(place) = &position.index {
            index = format!("{INDEX}{place}");
        }
        let kind = Kind::ALL
            .iter()
            .position(|kind| *kind == position.kind)
            .unwrap_or_default();
        format!("{kind}.{}.{}", position.page, position.skip)
    });
    let positions = positions.collect::<Vec<_>>().join("-");
    positions + &index
}

/// Reads what [`write`] wrote.
pub(super) fn read(text: &str) -> Option<Positions> {
    let (text, index) = match text.split_once(INDEX) {
        Some((text, index)) => (text, Some(index).filter(|index| is_index(index))),
        None => (text, None),
    };
    let mut positions: Positions = text.split('-').map(position).collect::<Option<_>>()?;
    // Each list goes on in one place: what names it twice was not written here.
    let each_once = |kind: &Kind| positions.iter().filter(|at| at.kind == *kind).count() < 2;
    if !Kind::ALL.iter().all(each_once) {
        return None;
    }
    let emails = |position: &&mut Position| position.kind == Kind::Emails && position.page > 1;
    match (positions.iter_mut().find(emails), index) {
        (None, None) => {}
        (Some(position), Some(index)) => position.index = Some(index.to_owned()),
        _ => return None,
    }
    Some(positions)
}

/// What a cursor has room for.
fn is_index(text: &str) -> bool {
    (1..=LONGEST_INDEX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
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
    parts.next().is_none().then_some(Position {
        kind,
        page,
        skip,
        index: None,
    })
}

/// Rows of a page of any list but e-mails, if the role may have as many: a small one costs as much,
/// and up to here the order is not Zoho's.
pub(super) const PAGE: u32 = 200;
/// Zoho pages through the first 2,000 rows of a list.
const MOST_LISTED: u32 = 2000;
/// Behind the positions stands where e-mails go on.
const INDEX: char = '@';
const LONGEST_INDEX: usize = 128;

#[cfg(test)]
mod tests;
