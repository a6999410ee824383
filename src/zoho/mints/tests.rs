mod world;

use super::*;
use world::{Event, Sent, World};

/// How many attempts an instance has, when others may give up theirs meanwhile.
fn all_of(world: &mut World, who: usize) -> usize {
    let before = world.attempts.len();
    for _ in 0..30 {
        world.mint(who, Sent::Taken);
        world.meet_all();
    }
    world.attempts.len() - before
}

#[test]
fn where_fewer_live_than_there_should_be_each_has_its_part_of_a_new_redis() {
    let mut world = World::new(2, false);
    (world.missing, world.emptied) = (1, world.clock);
    world.happen(&Event::Up);
    world.meet_all();
    assert_eq!(all_of(&mut world, 0), 0, "others may have done something");
    world.clock += 2_000;
    world.meet_all();
    for who in 0..2 {
        assert_eq!(all_of(&mut world, who), 3, "{who}");
    }
}

#[test]
fn who_comes_to_an_emptied_redis_first_waits_for_the_others() {
    let mut world = World::new(3, true);
    assert_eq!(all_of(&mut world, 0), 10);
    world.happen(&Event::Flush);
    world.instances[2] = Mints::new(true);
    let wants = |world: &mut World| world.meet(2, Some(Uuid::new_v4()), Sent::Taken);
    assert_eq!(wants(&mut world), Some(Outcome::Wait));
    world.meet_all();
    world.clock += 2_000;
    assert!(matches!(wants(&mut world), Some(Outcome::Spent(_))));
}

#[test]
fn with_redis_one_instance_may_have_all_ten_and_again_after_a_rest() {
    for count in 1..13 {
        let mut world = World::new(count, true);
        assert_eq!(all_of(&mut world, 0), 10, "{count}");
        world.pass(620);
        assert_eq!(all_of(&mut world, count - 1), 10, "{count}");
    }
}

#[test]
fn without_redis_each_has_its_part_of_what_is_left_and_again_after_a_rest() {
    for (used, left) in [(0, 4), (3, 3), (8, 1), (10, 0)] {
        let mut world = World::new(2, true);
        world.meet_all();
        while world.attempts.len() < used {
            world.mint(0, Sent::Taken);
            world.meet_all();
        }
        world.is_up = false;
        assert_eq!(all_of(&mut world, 0), left, "{used}");
        assert_eq!(all_of(&mut world, 1), left, "{used}");
        world.pass(620);
        assert!(
            all_of(&mut world, 0) >= 4 && all_of(&mut world, 1) >= 4,
            "{used}"
        );
    }
}

#[test]
fn who_follows_an_instance_that_is_gone_need_not_wait() {
    let mut world = World::new(1, true);
    world.pass(60);
    world.instances = vec![Mints::new(true)];
    assert!(world.mint(0, Sent::Taken).is_some());
    world.pass(20);
    assert_eq!(all_of(&mut world, 0), 9);
}

#[test]
fn who_is_cut_off_from_redis_keeps_its_slots_though_another_is_killed_and_followed() {
    let mut world = World::new(2, true);
    world.happen(&Event::Mint(0, 4, Sent::Taken));
    world.happen(&Event::Cut(1));
    world.pass(7);
    world.happen(&Event::Restart(0));
    world.pass(7);
    assert_eq!(
        all_of(&mut world, 0),
        2,
        "what the one that is gone had left"
    );
    assert_eq!(all_of(&mut world, 1), 4);
    world.happen(&Event::Heal(1));
    world.pass(620);
    assert_eq!(all_of(&mut world, 0), 10);
}

#[test]
fn who_is_cut_off_from_redis_keeps_its_slots_for_ever() {
    let mut world = World::new(2, true);
    world.pass(2);
    world.happen(&Event::Cut(1));
    world.pass(20);
    let left = all_of(&mut world, 0);
    for _ in 0..5 {
        world.pass(615);
        assert_eq!(all_of(&mut world, 1), 10 - left);
        assert_eq!(all_of(&mut world, 0), left);
    }
    world.happen(&Event::Heal(1));
    world.pass(620);
    assert_eq!(all_of(&mut world, 1), 10);
}

#[test]
fn a_clock_of_redis_that_is_put_forward_frees_no_slot() {
    for seconds in [15, 300, 700, 3600] {
        let mut world = World::new(2, true);
        world.pass(2);
        assert_eq!(all_of(&mut world, 0), 10);
        world.pass(60);
        world.ahead = seconds * 1000;
        assert_eq!(
            all_of(&mut world, 0) + all_of(&mut world, 1),
            0,
            "{seconds}"
        );
        world.pass(530);
        world.happen(&Event::Mint(0, 2, Sent::Taken));
        world.pass(30);
        assert_eq!(all_of(&mut world, 1), 10, "{seconds}");
    }
}

#[test]
fn a_clock_of_redis_that_is_put_back_holds_slots_for_one_rest_more() {
    for seconds in [15, 900, 3600] {
        let mut world = World::new(2, true);
        world.happen(&Event::Mint(0, 9, Sent::Taken));
        world.pass(60);
        world.ahead = -seconds * 1000;
        world.meet_all();
        let wants = world.meet(0, Some(Uuid::new_v4()), Sent::Lost);
        assert_ne!(wants, Some(Outcome::Wait), "{seconds}");
        world.pass(620);
        assert_eq!(all_of(&mut world, 1), 10, "{seconds}");
    }
}

#[test]
fn who_never_heard_of_redis_has_one_unless_there_is_no_other() {
    for (replicas, most) in [(1, 10), (2, 1), (10, 1), (12, 0)] {
        let (mut mints, now) = (Mints::new(true), Instant::now());
        let allowed = (0..12).filter(|_| mints.alone(Uuid::new_v4(), replicas, now).is_ok());
        assert_eq!(allowed.count(), most, "{replicas}");
        let wait = mints.alone(Uuid::new_v4(), replicas, now + Duration::from_secs(60));
        assert!(wait.unwrap_err() <= Mints::REST);
    }
}

#[test]
fn who_gave_up_its_slots_has_others_once_redis_gives_them_and_knows_what_it_did() {
    let mut world = World::new(2, true);
    world.meet_all();
    world.happen(&Event::Down);
    world.happen(&Event::Mint(0, 2, Sent::Taken));
    world.happen(&Event::Leave(0));
    world.happen(&Event::Mint(0, 2, Sent::Taken));
    assert_eq!(world.attempts.len(), 2);
    assert!(world.instances[0].rest_until(world.now()).is_some());
    world.happen(&Event::Up);
    world.meet_all();
    assert_eq!(all_of(&mut world, 0), 8);
}

#[test]
fn what_zoho_did_not_hear_of_counts_for_nobody() {
    let mut world = World::new(2, true);
    for _ in 0..40 {
        world.happen(&Event::Unsent(0));
        world.meet_all();
    }
    assert_eq!(all_of(&mut world, 1), 10);
}

#[test]
fn what_zoho_did_not_hear_of_is_kept_in_mind_only_where_it_may_lie_in_redis_and_for_a_rest() {
    let start = Instant::now();
    for (keeps, most) in [(false, 0), (true, 611)] {
        let mut mints = Mints::new(keeps);
        for seconds in 0..2000 {
            let (attempt, now) = (Uuid::new_v4(), start + Duration::from_secs(seconds));
            match keeps {
                true => mints.alone(attempt, 1, now).unwrap(),
                false => mints.apart(attempt, 1, now).unwrap(),
            }
            mints.give_back(attempt, now);
        }
        assert!(mints.unsent.len() <= most, "{}", mints.unsent.len());
    }
    // A slot that Redis gave, as to a person: it lies there until that is told.
    let mut world = World::new(1, true);
    world.instances = vec![Mints::new(false)];
    world.redis = None;
    world.happen(&Event::Unsent(0));
    assert_eq!(world.instances[0].unsent.len(), 1);
    assert_eq!(all_of(&mut world, 0), 10);
}

#[test]
fn what_is_done_without_redis_in_the_place_of_what_zoho_did_not_hear_of_counts() {
    let mut world = World::new(1, false);
    world.happen(&Event::Mint(0, 3, Sent::Taken));
    world.happen(&Event::Up);
    world.happen(&Event::Mint(0, 6, Sent::Taken));
    world.happen(&Event::Unsent(0));
    world.happen(&Event::Mint(0, 1, Sent::Lost));
    world.happen(&Event::Mint(0, 2, Sent::Taken));
    assert_eq!(world.attempts.len(), 10);
}

#[test]
fn what_was_minted_without_redis_is_told_once() {
    let mut world = World::new(2, true);
    world.is_up = false;
    for _ in 0..3 {
        assert!(world.mint(0, Sent::Taken).is_some());
    }
    world.is_up = true;
    for _ in 0..5 {
        world.meet_all();
    }
    assert_eq!(world.redis.as_ref().unwrap().used().count(), 3);
    assert_eq!(all_of(&mut world, 1), 7);
}

#[test]
fn for_a_person_ten_are_shared_and_one_is_left_for_each_without_redis() {
    let mut world = World::new(3, true);
    world.instances = (0..3).map(|_| Mints::new(false)).collect();
    world.redis = None;
    assert_eq!(all_of(&mut world, 0), 7);
    world.is_up = false;
    for who in 0..3 {
        assert_eq!(all_of(&mut world, who), 1);
    }
}

#[test]
fn one_that_is_killed_and_started_again_and_again_takes_no_slots_from_another() {
    let mut world = World::new(2, true);
    for _ in 0..20 {
        world.happen(&Event::Restart(0));
        world.pass(2);
    }
    world.happen(&Event::Down);
    assert!(all_of(&mut world, 1) >= 2);
}

#[test]
fn an_only_one_that_was_killed_and_started_again_and_again_is_served() {
    for expected in [1, 2] {
        let mut world = World::new(1, false);
        world.missing = expected - 1;
        world.happen(&Event::Up);
        for _ in 0..8 {
            world.happen(&Event::Restart(0));
            world.pass(2);
        }
        world.pass(7);
        assert!(all_of(&mut world, 0) >= 5, "{expected}");
    }
}

#[test]
fn who_follows_one_that_ended_in_order_has_its_slots_at_once() {
    for gap in [0, 3, 25] {
        let mut world = World::new(2, true);
        world.pass(2);
        world.happen(&Event::Mint(0, 3, Sent::Taken));
        world.happen(&Event::Mint(1, 3, Sent::Taken));
        world.happen(&Event::End(1, Sent::Taken, gap));
        assert_eq!(world.redis.as_ref().unwrap().instances.len(), 2);
        assert!(world.mint(1, Sent::Taken).is_some(), "{gap}");
        assert_eq!(all_of(&mut world, 1), 3, "{gap}");
    }
}

#[test]
fn all_may_end_in_order_one_after_the_other_and_what_was_done_counts() {
    let mut world = World::new(3, true);
    world.pass(2);
    for round in 0..4 {
        for who in 0..3 {
            world.happen(&Event::End(who, Sent::Taken, 0));
            let served = world.mint(who, Sent::Taken).is_some();
            assert_eq!(served, world.attempts.len() <= 10 && round * 3 + who < 10);
        }
    }
}

#[test]
fn who_ends_in_order_leaves_nothing_while_another_may_have_what_the_table_does_not_say() {
    // Redis is emptied while one is cut off from it.
    let mut world = World::new(2, true);
    world.pass(5);
    world.happen(&Event::Cut(1));
    world.happen(&Event::Flush);
    world.emptied = 0;
    for _ in 0..4 {
        follow(&mut world, 0);
        world.pass(2);
        world.happen(&Event::Mint(0, 6, Sent::Taken));
    }
    world.happen(&Event::Mint(1, 6, Sent::Taken));

    // One more comes, so that the one that is cut off is taken for gone, before another one ends.
    let mut world = World::new(2, true);
    world.pass(5);
    world.happen(&Event::Cut(1));
    world.pass(3);
    world.instances.push(Mints::new(true));
    world.cut.push(None);
    world.extra = 1;
    world.meet_all();
    world.pass(8);
    world.instances[0].end();
    world.meet(0, None, Sent::Taken);
    world.cut[0] = Some(world.clock);
    all_of(&mut world, 2);
    world.happen(&Event::Mint(1, 6, Sent::Taken));
}

/// One ends in order, and another one takes its place at once.
fn follow(world: &mut World, who: usize) {
    world.instances[who].end();
    world.meet(who, None, Sent::Taken);
    world.instances[who] = Mints::new(true);
    world.meet(who, None, Sent::Taken);
}

#[test]
fn who_stays_behind_alone_has_what_the_one_that_ended_had() {
    let mut world = World::new(2, true);
    world.pass(2);
    world.instances[1].end();
    world.meet_all();
    assert_eq!(all_of(&mut world, 0), 9, "one is kept for whoever comes");
    assert_eq!(all_of(&mut world, 1), 0);
}

#[test]
fn who_wants_more_than_the_others_give_up_does_not_wait_for_it() {
    let mut world = World::new(3, true);
    world.pass(7);
    world.happen(&Event::Cut(2));
    world.pass(7);
    assert!(all_of(&mut world, 0) >= 6);
    world.pass(3);
    let wants = world.meet(0, Some(Uuid::new_v4()), Sent::Taken);
    assert!(matches!(wants, Some(Outcome::Spent(_))), "{wants:?}");
}
