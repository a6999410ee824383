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

/// A Zoho that has these lists, as they are.
fn fetch(lists: &[(Kind, Vec<i64>)], at: &Position, since: Option<Timestamp>) -> Lane {
    let seconds = &lists.iter().find(|(kind, _)| *kind == at.kind).unwrap().1;
    let size = match at.kind {
        Kind::Emails => 10,
        _ => PAGE as usize,
    };
    let from = match &at.index {
        Some(index) => index.strip_prefix("x@").unwrap().parse().unwrap(),
        None => (at.page as usize - 1) * size,
    };
    let rows: Vec<Entry> = seconds
        .iter()
        .enumerate()
        .skip(from)
        .take(size)
        .map(|(n, second)| entry(at.kind, n as u64 + 1, *second))
        .collect();
    let more = from + rows.len() < seconds.len();
    Lane::new(
        at.clone(),
        Listed {
            rows,
            more,
            index: (more && at.kind == Kind::Emails).then(|| format!("x@{}", from + size)),
        },
        PAGE,
        since,
    )
}

/// What the tool reads from there.
fn from(lists: &[(Kind, Vec<i64>)], at: &Position, since: Option<Timestamp>) -> Lane {
    let lane = fetch(lists, at, since);
    match lane.next() {
        Some(next) if lane.is_used_up() => from(lists, &next, since),
        _ => lane,
    }
}

/// All pages together.
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
        let mut lanes: Vec<Lane> = positions.iter().map(|at| from(lists, at, since)).collect();
        let page = newest(&mut lanes, size);
        assert!(page.len() <= size);
        assert!(
            !page.is_empty() || write(&lanes).is_empty(),
            "an empty page goes on"
        );
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
fn what_was_planned_long_ago_is_found_behind_pages_of_what_is_over() {
    let since = Timestamp::from_second(5).unwrap();
    for kind in [Kind::Events, Kind::Calls, Kind::Tasks] {
        let mut seconds = vec![1; 2 * PAGE as usize];
        seconds.push(9);
        let lists = [(kind, seconds)];
        assert_eq!(walk(&lists, 2, Some(since)).len(), 1, "{kind:?}");
    }
}

#[test]
fn a_list_in_order_is_not_read_on_behind_what_is_too_old() {
    let since = Timestamp::from_second(5).unwrap();
    for (oldest, goes_on) in [(4, false), (5, true)] {
        let mut seconds = vec![9; 250];
        seconds[199] = oldest;
        for kind in [Kind::Notes, Kind::Deals] {
            let lists = [(kind, seconds.clone())];
            let lane = fetch(&lists, &Position::start(kind), Some(since));
            assert_eq!(lane.more_pages, goes_on, "{kind:?} {oldest}");
        }
    }
}

#[test]
fn the_end_of_what_zoho_pages_through_is_told_and_not_walked_into() {
    let listed = || Listed {
        rows: vec![entry(Kind::Notes, 1, 1)],
        more: true,
        index: None,
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
        let mut lanes = [Lane::new(position.clone(), listed(), PAGE, None)];
        assert_eq!(newest(&mut lanes, 200).len(), 1);
        assert!(lanes[0].has_more());
        assert_eq!(!write(&lanes).is_empty(), goes_on, "{position:?}");
    }
}

#[test]
fn a_position_that_is_none_is_refused() {
    for text in [
        "",
        "0",
        "0.1",
        "6.1.0",
        "0.0.0",
        "0.1.201",
        "0.1.0.0",
        "0.1.0-",
        "0.1.0-0.2.0",
        "a.b.c",
        "0.1.0@7",
        "5.1.0@7",
        "5.2.0",
        "5.2.0@",
        "5.2.0@a b",
        "@7",
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
        index: None,
    };
    let passing = ZohoError::NotFound;
    let failed = Lane::failed(at.clone(), &passing);
    assert_eq!(read(&write(&[failed])).unwrap(), std::slice::from_ref(&at));
    let field = Code::new("Owner");
    let hidden = Lane::failed(at, &ZohoError::Hidden { field });
    assert_eq!(write(&[hidden]), "", "to read it again is in vain");
}

/// Holds all pages together against the whole: sorted, of nothing older, each entry once. Zoho has some of
/// the lists in order.
fn holds(mut lists: Vec<(Kind, Vec<i64>)>, size: usize, since: Option<i64>) {
    for (kind, seconds) in &mut lists {
        if !kind.is_planned() {
            seconds.sort_by_key(|second| -second);
        }
    }
    let mut whole: Vec<(Kind, String, i64)> = Vec::new();
    for (kind, seconds) in &lists {
        let named = seconds.iter().enumerate();
        let rows = named.map(|(n, second)| (*kind, (n + 1).to_string(), *second));
        whole.extend(rows.filter(|(_, _, second)| since.is_none_or(|since| *second >= since)));
    }
    whole.sort_by_key(|(kind, _, second)| (-second, *kind));
    let at = since.map(|second| Timestamp::from_second(second).unwrap());
    let mut all = walk(&lists, size, at);
    let places = |rows: &[(Kind, String, i64)]| -> Vec<(Kind, i64)> {
        rows.iter()
            .map(|(kind, _, second)| (*kind, *second))
            .collect()
    };
    assert_eq!(places(&all), places(&whole));
    all.sort();
    whole.sort();
    assert_eq!(all, whole);
}

fn seconds(most: usize) -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0..50i64, 0..=most)
}

proptest! {
    #[test]
    fn all_pages_together_are_the_whole_sorted_each_entry_once(
        notes in seconds(30),
        deals in seconds(30),
        tasks in seconds(30),
        events in seconds(30),
        emails in seconds(30),
        size in 1..12usize,
        since in prop::option::of(0..60i64),
    ) {
        let lists = vec![
            (Kind::Notes, notes),
            (Kind::Deals, deals),
            (Kind::Tasks, tasks),
            (Kind::Events, events),
            (Kind::Emails, emails),
        ];
        holds(lists, size, since);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn so_they_are_up_to_200_activities_and_beyond_of_what_has_an_order(
        notes in seconds(450),
        deals in seconds(450),
        calls in seconds(PAGE as usize),
        size in 20..=200usize,
        since in prop::option::of(0..60i64),
    ) {
        holds(vec![(Kind::Notes, notes), (Kind::Deals, deals), (Kind::Calls, calls)], size, since);
    }
}

#[test]
fn a_meeting_that_runs_at_since_is_not_older() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let meeting = |kind, number, until: Option<i64>| {
        let mut entry = entry(kind, number, 1);
        entry.until = until.map(|until| at(until).to_string());
        entry
    };
    for (kind, until, expected) in [
        (Kind::Events, Some(6), 1),
        (Kind::Events, Some(5), 0),
        (Kind::Events, Some(4), 0),
        (Kind::Events, None, 0),
        (Kind::Tasks, Some(6), 0),
    ] {
        let listed = Listed {
            rows: vec![meeting(kind, 1, until)],
            more: false,
            index: None,
        };
        let lane = Lane::new(Position::start(kind), listed, PAGE, Some(at(5)));
        assert_eq!(
            newest(&mut [lane], 20).len(),
            expected,
            "{kind:?} {until:?}"
        );
    }
}
