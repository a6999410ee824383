use super::*;

fn today() -> Date {
    jiff::civil::date(2026, 5, 14)
}

#[test]
fn two_sandboxes_of_one_day_hold_the_same() {
    let (one, two) = (sow(today()), sow(today()));
    for module in Module::ROUTED {
        assert_eq!(one.table(module), two.table(module));
    }
    let other = sow(jiff::civil::date(2026, 5, 15));
    assert_ne!(one.table(Module::Deals), other.table(Module::Deals));
}

#[test]
fn there_is_enough_of_everything() {
    let crm = sow(today());
    for (module, least) in [
        (Module::Contacts, 500),
        (Module::Accounts, 120),
        (Module::Deals, 300),
        (Module::Leads, 80),
        (Module::Notes, 600),
        (Module::Tasks, 150),
        (Module::Events, 80),
        (Module::Calls, 150),
        (Module::Cases, 100),
    ] {
        assert!(
            crm.table(module).len() >= least,
            "{module:?}: {}",
            crm.table(module).len()
        );
    }
    assert!(crm.users.len() >= 8);
}

#[test]
fn deals_cover_every_stage_and_the_quarters_around_today() {
    let crm = sow(today());
    let deals = || crm.table(Module::Deals).values();
    for stage in picklist::STAGE {
        assert!(
            deals().any(|deal| deal.text("Stage") == Some(stage)),
            "{stage}"
        );
    }
    let closing = |deal: &Record| match deal.get("Closing_Date") {
        Some(Cell::Day(day)) => *day,
        other => panic!("{other:?}"),
    };
    let won_in = |from: Date, to: Date| {
        deals()
            .filter(|d| d.text("Stage") == Some(picklist::WON) && (from..=to).contains(&closing(d)))
            .count()
    };
    for (from, to) in [
        (
            jiff::civil::date(2025, 7, 1),
            jiff::civil::date(2025, 9, 30),
        ),
        (
            jiff::civil::date(2025, 10, 1),
            jiff::civil::date(2025, 12, 31),
        ),
        (
            jiff::civil::date(2026, 1, 1),
            jiff::civil::date(2026, 3, 31),
        ),
        (jiff::civil::date(2026, 4, 1), today()),
    ] {
        assert!(won_in(from, to) >= 5, "{from}: {}", won_in(from, to));
    }
    let open = |d: &&Record| {
        d.text("Stage")
            .and_then(picklist::stage)
            .is_some_and(|row| row.outcome == "Open")
    };
    assert!(
        deals().filter(open).any(|d| closing(d) < today()),
        "an overdue deal"
    );
    assert!(
        deals()
            .filter(open)
            .any(|d| closing(d) >= jiff::civil::date(2026, 7, 1)),
        "one of the next quarter"
    );
}

#[test]
fn every_lookup_of_the_seed_points_at_a_record() {
    let crm = sow(today());
    for module in Module::ROUTED {
        for record in crm.table(module).values() {
            for field in module
                .fields()
                .filter(|f| f.name != "id" && record.points_at(f.name).is_some())
            {
                assert!(
                    crm.follow(field, record).is_some(),
                    "{module:?} {} {}",
                    record.id,
                    field.name
                );
            }
        }
    }
}

#[test]
fn nothing_was_created_in_the_future() {
    let crm = sow(today());
    let midnight = today()
        .to_zoned(staff::zone(staff::ORG_ZONE))
        .unwrap()
        .timestamp();
    for module in Module::ROUTED {
        for record in crm.table(module).values() {
            let created = record.get("Created_Time").unwrap();
            assert!(
                *created != Cell::Moment(midnight)
                    && created.order(&Cell::Moment(midnight)) == Some(std::cmp::Ordering::Less)
            );
        }
    }
}
