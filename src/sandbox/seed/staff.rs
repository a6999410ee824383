//! The invented company and the people who sell for it.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use crate::sandbox::{
    cell::Id,
    org::{Org, Role, User},
};

/// The company's time zone.
pub(in crate::sandbox) const ORG_ZONE: &str = "America/Chicago";

/// The company and its users; the first is the administrator.
pub(super) fn company(today: Date) -> (Org, Vec<User>) {
    let founded = today.saturating_sub(1_100.days());
    let created = founded
        .at(9, 0, 0, 0)
        .to_zoned(zone(ORG_ZONE))
        .map(|at| at.timestamp())
        .unwrap_or_default();
    let org = Org {
        id: Id(PREFIX * 1_000_000_000_000 + 20_001),
        prefix: PREFIX,
        name: "Tallowmere Instruments, Inc.",
        zone_name: ORG_ZONE,
        created,
    };
    let users = PEOPLE
        .iter()
        .enumerate()
        .map(|(at, person)| user(&org, at, person, created))
        .collect();
    (org, users)
}

/// The users who own accounts and deals: representatives and their managers.
pub(super) fn sellers(users: &[User]) -> impl Iterator<Item = Id> {
    users
        .iter()
        .filter(|user| user.active && user.reports_to.is_some())
        .map(|user| user.id)
}

/// A time zone by name; UTC should it be unknown.
pub(in crate::sandbox) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

fn user(org: &Org, at: usize, person: &Person, created: Timestamp) -> User {
    let nth = |at: usize| org.fixed(605_001 + at as u64);
    let first = person.first.to_lowercase();
    let plain: String = first.chars().filter(char::is_ascii_alphabetic).collect();
    User {
        id: nth(at),
        first: person.first,
        last: person.last,
        email: format!("{plain}@tallowmere.example"),
        role: Role {
            id: org.fixed(person.role.0),
            name: person.role.1,
        },
        administrator: at == 0,
        reports_to: person.boss.map(nth),
        active: person.active,
        zone_name: person.zone,
        zone: zone(person.zone),
        created,
    }
}

struct Person {
    first: &'static str,
    last: &'static str,
    role: (u64, &'static str),
    boss: Option<usize>,
    zone: &'static str,
    active: bool,
}

const fn person(
    first: &'static str,
    last: &'static str,
    role: (u64, &'static str),
    boss: Option<usize>,
    zone: &'static str,
) -> Person {
    Person {
        first,
        last,
        role,
        boss,
        zone,
        active: true,
    }
}

const CEO: (u64, &str) = (26_005, "CEO");
const VP: (u64, &str) = (26_008, "VP Sales");
const EAST: (u64, &str) = (26_031, "Sales Manager East");
const WEST: (u64, &str) = (26_032, "Sales Manager West");
const REP_EAST: (u64, &str) = (26_041, "Sales Representative East");
const REP_WEST: (u64, &str) = (26_042, "Sales Representative West");

/// Which of [`PEOPLE`] the three refresh tokens belong to.
pub(in crate::sandbox) const ADMIN: usize = 0;
pub(in crate::sandbox) const MANAGER: usize = 2;
pub(in crate::sandbox) const REP: usize = 4;

const PREFIX: u64 = 6_840_217;

const PEOPLE: &[Person] = &[
    person("Ingrid", "Halvorsen", CEO, None, ORG_ZONE),
    person("Tobias", "Echeverría", VP, Some(0), ORG_ZONE),
    person("Priya", "Raghunathan", EAST, Some(1), "America/New_York"),
    person(
        "Desmond",
        "Achterberg",
        WEST,
        Some(1),
        "America/Los_Angeles",
    ),
    person("Yuki", "Tanemori", REP_EAST, Some(2), "America/New_York"),
    person(
        "Callum",
        "Ferris-Boyd",
        REP_EAST,
        Some(2),
        "America/New_York",
    ),
    person("Nadia", "El-Khoury", REP_EAST, Some(2), "Europe/Warsaw"),
    person(
        "Jonas",
        "Wettstein",
        REP_WEST,
        Some(3),
        "America/Los_Angeles",
    ),
    person("Oluwaseun", "Adeyinka", REP_WEST, Some(3), "America/Denver"),
    person("Siobhan", "O'Rafferty", REP_WEST, Some(3), ORG_ZONE),
    Person {
        active: false,
        ..person("Greta", "Lindqvist", REP_WEST, Some(3), ORG_ZONE)
    },
];
