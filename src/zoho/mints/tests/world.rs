//! Instances that share a Redis, and whatever may become of both.

use proptest::prelude::*;

use super::super::{table::Table, *};

/// Instances, a Redis, and all attempts that reached Zoho.
pub(super) struct World {
    start: Instant,
    /// Since then, in milliseconds, by every clock.
    pub(super) clock: u64,
    /// What the clock of Redis is ahead of the others, in milliseconds.
    pub(super) ahead: i64,
    pub(super) redis: Option<Table>,
    /// Since when Redis has its data; [`UNMET`] until somebody has come.
    pub(super) emptied: u64,
    pub(super) is_up: bool,
    /// When an instance was last followed by another.
    restarted: u64,
    /// Since when an instance alone does not reach Redis.
    pub(super) cut: Vec<Option<u64>>,
    pub(super) instances: Vec<Mints>,
    /// How many more instances there should be.
    pub(super) missing: usize,
    /// How many are there for a moment while others end.
    pub(super) extra: usize,
    pub(super) attempts: Vec<u64>,
}

/// What becomes of a table that is sent to Redis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sent {
    Taken,
    /// The instance does not hear of it.
    Unanswered,
    Lost,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Mint(usize, usize, Sent),
    /// Zoho does not hear of it.
    Unsent(usize),
    Meet(usize, Sent),
    /// Its credentials are replaced, and put back.
    Leave(usize),
    /// Another one takes its place, a second after its last word, and reaches Redis.
    Restart(usize),
    /// It ends in order, and after so many seconds another one takes its place, once that reaches Redis.
    End(usize, Sent, u64),
    Cut(usize),
    Heal(usize),
    Down,
    Up,
    Flush,
    Pass(u64),
}

impl World {
    pub(super) fn new(count: usize, is_up: bool) -> Self {
        let mut world = Self {
            start: Instant::now(),
            clock: 5_000_000,
            ahead: 0,
            redis: None,
            emptied: 0,
            restarted: 0,
            is_up,
            cut: vec![None; count],
            instances: (0..count).map(|_| Mints::new(true)).collect(),
            missing: 0,
            extra: 0,
            attempts: Vec::new(),
        };
        world.meet_all();
        world
    }

    pub(super) fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.clock)
    }

    fn reaches(&self, who: usize) -> bool {
        self.is_up && self.cut[who].is_none()
    }

    /// All reach Redis, or it has never lost its data and whoever is cut off has a part that it knows.
    fn knows_of_all(&self) -> bool {
        let is_known = |who: usize| self.emptied == 0 && !self.instances[who].is_new;
        (0..self.cut.len()).all(|who| self.reaches(who) || is_known(who))
    }

    /// Not long ago, so that it is not known yet which instance is gone.
    fn has_restarted(&self) -> bool {
        self.clock.saturating_sub(self.restarted) < 12_000
    }

    fn replicas(&self) -> u32 {
        u32::try_from(self.instances.len() + self.missing - self.extra).unwrap()
    }

    pub(super) fn meet(&mut self, who: usize, want: Option<Uuid>, sent: Sent) -> Option<Outcome> {
        let (clock, now) = (self.clock, self.now());
        self.emptied = self.emptied.min(clock);
        let around = Around {
            clock: clock.saturating_add_signed(self.ahead),
            now,
            replicas: self.replicas(),
            is_fresh: clock - self.emptied < 2_000,
        };
        let mints = &mut self.instances[who];
        let meeting = mints.meet(self.redis.clone(), around, want);
        if matches!(meeting.outcome, Outcome::Wait | Outcome::Spent(_)) {
            return Some(meeting.outcome);
        }
        if sent != Sent::Lost {
            self.redis = Some(meeting.table.clone());
        }
        (sent == Sent::Taken).then(|| {
            mints.learn(&meeting, want);
            meeting.outcome
        })
    }

    pub(super) fn meet_all(&mut self) {
        for who in 0..self.instances.len() {
            if self.reaches(who) {
                self.meet(who, None, Sent::Taken);
            }
        }
    }

    pub(super) fn mint(&mut self, who: usize, sent: Sent) -> Option<Uuid> {
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

    pub(super) fn pass(&mut self, mut seconds: u64) {
        while seconds > 0 {
            // Who is gone is seen by who is not silent meanwhile.
            let step = seconds.min(if self.has_restarted() { 2 } else { 20 });
            seconds -= step;
            self.clock += step * 1000;
            // What Redis has lost is made up for by who comes back, and not waited for for ever.
            for cut in &mut self.cut {
                *cut = cut.filter(|since| self.emptied == 0 || self.clock - since < 580_000);
            }
            // Of a person Redis is told when it has lost its data, and not else.
            if self.instances[0].keeps || self.clock.saturating_sub(self.emptied) < 2 * step * 1000
            {
                self.meet_all();
            }
        }
    }

    /// One whose farewell gets lost, or that leaves nothing, is as one that was killed.
    fn end(&mut self, who: usize, sent: Sent, gap: u64) {
        if !self.reaches(who) || sent == Sent::Lost {
            return self.happen(&Event::Restart(who));
        }
        self.instances[who].end();
        self.meet(who, None, sent);
        assert!(self.mint(who, Sent::Taken).is_none(), "it has ended");
        let (attempt, now, replicas) = (Uuid::new_v4(), self.now(), self.replicas());
        let ended = &mut self.instances[who];
        assert!(ended.alone(attempt, replicas, now).is_err(), "it has ended");
        let id = ended.id;
        let cut = self.cut[who].replace(self.clock);
        let redis = self.redis.as_ref();
        let has_left = redis.is_some_and(|redis| !redis.instances.contains_key(&id));
        self.pass(if has_left { gap } else { 1 });
        self.cut[who] = cut;
        if self.reaches(who) && self.knows_of_all() {
            if !has_left {
                self.restarted = self.clock;
            }
            self.instances[who] = Mints::new(true);
            self.meet(who, None, Sent::Taken);
        }
    }

    pub(super) fn happen(&mut self, event: &Event) {
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
            Event::Restart(who) if self.reaches(who % count) && self.knows_of_all() => {
                self.pass(1);
                self.restarted = self.clock;
                let keeps = self.instances[who % count].keeps;
                self.instances[who % count] = Mints::new(keeps);
                self.meet(who % count, None, Sent::Taken);
            }
            Event::Restart(_) => {}
            Event::End(who, sent, gap) => self.end(who % count, sent, gap),
            Event::Cut(_) if self.has_restarted() => {}
            Event::Cut(who) => {
                self.cut[who % count].get_or_insert(self.clock);
            }
            Event::Heal(who) => self.cut[who % count] = None,
            Event::Down => self.is_up = false,
            Event::Up => self.is_up = true,
            Event::Flush => {
                self.redis = None;
                self.emptied = UNMET;
            }
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

/// Nobody has come to Redis since it lost its data.
const UNMET: u64 = u64::MAX;

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
        1 => who().prop_map(Event::Restart),
        2 => (who(), sent(), 1..40_u64).prop_map(|(who, sent, gap)| Event::End(who, sent, gap)),
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
        missing in 0..3_usize,
        is_up in any::<bool>(),
        is_fresh in any::<bool>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(count, is_up && !is_fresh);
        world.missing = missing;
        if is_fresh {
            world.emptied = world.clock;
            world.is_up = is_up;
            world.meet_all();
        }
        for event in &events {
            world.happen(event);
        }
    }
}

fn event_of_a_person() -> impl Strategy<Value = Event> {
    let who = || 0..5_usize;
    prop_oneof![
        8 => (who(), 1..9_usize).prop_map(|(who, times)| Event::Mint(who, times, Sent::Taken)),
        1 => who().prop_map(Event::Unsent),
        2 => Just(Event::Flush),
        3 => (1..30_u64).prop_map(Event::Pass),
        2 => (30..1500_u64).prop_map(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn never_more_than_ten_of_a_person_though_redis_is_emptied_again_and_again(
        count in 1..6_usize,
        events in prop::collection::vec(event_of_a_person(), 1..40),
    ) {
        let mut world = World::new(count, true);
        world.instances = (0..count).map(|_| Mints::new(false)).collect();
        world.redis = None;
        for event in &events {
            world.happen(event);
        }
    }
}
