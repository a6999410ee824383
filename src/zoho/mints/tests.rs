use proptest::prelude::*;

use super::*;

/// Instances, a Redis, and all attempts that reached Zoho.
struct World {
    start: Instant,
    /// Since then, in milliseconds, by every clock.
    clock: u64,
    redis: Option<Table>,
    is_up: bool,
    /// Since when an instance alone does not reach Redis.
    cut: Vec<Option<u64>>,
    instances: Vec<Mints>,
    attempts: Vec<u64>,
}

/// What becomes of a table that is sent to Redis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Taken,
    /// The instance does not hear of it.
    Unanswered,
    Lost,
}

#[derive(Clone, Debug)]
enum Event {
    Mint(usize, usize, Sent),
    /// Zoho does not hear of it.
    Unsent(usize),
    Meet(usize, Sent),
    /// Its credentials are replaced, and put back.
    Leave(usize),
    Cut(usize),
    Heal(usize),
    Down,
    Up,
    Flush,
    Pass(u64),
}

impl World {
    fn new(count: usize, is_up: bool) -> Self {
        let mut world = Self {
            start: Instant::now(),
            clock: 5_000_000,
            redis: None,
            is_up,
            cut: vec![None; count],
            instances: (0..count).map(|_| Mints::new(true)).collect(),
            attempts: Vec::new(),
        };
        world.meet_all();
        world
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.clock)
    }

    fn reaches(&self, who: usize) -> bool {
        self.is_up && self.cut[who].is_none()
    }

    fn replicas(&self) -> u32 {
        u32::try_from(self.instances.len()).unwrap()
    }

    fn meet(&mut self, who: usize, want: Option<Uuid>, sent: Sent) -> Option<Outcome> {
        let (clock, now, replicas) = (self.clock, self.now(), self.replicas());
        let mints = &mut self.instances[who];
        let found = self.redis.clone();
        let meeting = mints.meet(found, clock, now, replicas, want);
        if matches!(meeting.outcome, Outcome::Wait | Outcome::Spent(_)) {
            return Some(meeting.outcome);
        }
        if sent != Sent::Lost {
            self.redis = Some(meeting.table.clone());
        }
        (sent == Sent::Taken).then(|| {
            mints.learn(&meeting.table, clock, want, now);
            meeting.outcome
        })
    }

    fn meet_all(&mut self) {
        for who in 0..self.instances.len() {
            if self.reaches(who) {
                self.meet(who, None, Sent::Taken);
            }
        }
    }

    fn mint(&mut self, who: usize, sent: Sent) -> Option<Uuid> {
        let attempt = Uuid::new_v4();
        let (now, replicas) = (self.now(), self.replicas());
        let told = match self.reaches(who) {
            true => self.meet(who, Some(attempt), sent),
            false => None,
        };
        let may = match told {
            Some(outcome) => outcome == Outcome::Granted,
            None => self.instances[who].alone(attempt, replicas, now).is_ok(),
        };
        may.then(|| {
            self.attempts.push(self.clock);
            attempt
        })
    }

    fn pass(&mut self, mut seconds: u64) {
        while seconds > 0 {
            let step = seconds.min(20);
            seconds -= step;
            self.clock += step * 1000;
            for cut in &mut self.cut {
                *cut = cut.filter(|since| self.clock - since < 580_000);
            }
            self.meet_all();
        }
    }

    fn happen(&mut self, event: &Event) {
        let count = self.instances.len();
        match *event {
            Event::Mint(who, times, sent) => {
                for _ in 0..times {
                    self.mint(who % count, sent);
                }
            }
            Event::Unsent(who) => {
                if let Some(attempt) = self.mint(who % count, Sent::Taken) {
                    self.attempts.pop();
                    let now = self.now();
                    self.instances[who % count].give_back(attempt, now);
                }
            }
            Event::Meet(who, sent) if self.reaches(who % count) => {
                self.meet(who % count, None, sent);
            }
            Event::Meet(..) => {}
            Event::Leave(who) => {
                for keeps in [false, true] {
                    self.instances[who % count].keep(keeps);
                }
            }
            // It goes on since the first, so that none lasts for longer than `pass` has it.
            Event::Cut(who) => {
                self.cut[who % count].get_or_insert(self.clock);
            }
            Event::Heal(who) => self.cut[who % count] = None,
            Event::Down => self.is_up = false,
            Event::Up => self.is_up = true,
            Event::Flush if self.instances.iter().all(|it| it.turn > 0) => self.redis = None,
            Event::Flush => {}
            Event::Pass(seconds) => self.pass(seconds),
        }
        let too_many = |it: &[u64]| it[10] - it[0] < 600_000;
        assert!(
            !self.attempts.windows(11).any(too_many),
            "{:?}",
            self.attempts
        );
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![8 => Just(Sent::Taken), 1 => Just(Sent::Unanswered), 1 => Just(Sent::Lost)]
}

fn event() -> impl Strategy<Value = Event> {
    let who = || 0..12_usize;
    prop_oneof![
        8 => (who(), 1..9_usize, sent()).prop_map(|(who, times, sent)| Event::Mint(who, times, sent)),
        1 => who().prop_map(Event::Unsent),
        4 => (who(), sent()).prop_map(|(who, sent)| Event::Meet(who, sent)),
        1 => who().prop_map(Event::Leave),
        2 => who().prop_map(Event::Cut),
        1 => who().prop_map(Event::Heal),
        2 => Just(Event::Down),
        2 => Just(Event::Up),
        1 => Just(Event::Flush),
        3 => (1..30_u64).prop_map(Event::Pass),
        2 => (30..1500_u64).prop_map(Event::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn never_more_than_ten_in_ten_minutes_whatever_becomes_of_redis(
        count in 1..13_usize,
        is_up in any::<bool>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(count, is_up);
        for event in &events {
            world.happen(event);
        }
    }
}

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
