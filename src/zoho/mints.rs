//! How often access tokens may be asked for. Zoho mints ten in ten minutes, and asking for more
//! locks us out, so there are ten slots for all instances: each serves for one attempt and then
//! rests. A slot belongs to one instance, which alone may use it, with Redis or without, or to nobody, and then
//! Redis alone gives it away. So ten attempts are never exceeded, whatever becomes of Redis, and
//! whatever an instance does not know of the others.

mod meeting;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

pub(super) use meeting::{Around, Meeting, Outcome};

/// What one instance knows of the slots.
pub(super) struct Mints {
    /// This instance, for these credentials.
    id: Uuid,
    /// Whether it has slots of its own. For that it has to be heard from all the time.
    keeps: bool,
    /// It asks for nothing any more.
    has_ended: bool,
    /// It has had no part of what nobody has: it has not met the others yet, or only where Redis was fresh.
    is_new: bool,
    /// Until when one that is new still has nothing without Redis: it met others, who keep nothing free
    /// for it.
    barred: Option<Instant>,
    /// The number of the newest table that was seen; 0 for none.
    turn: u64,
    /// When that was begun, by the clock of Redis.
    begun: u64,
    slots: [Held; SLOTS],
    /// Attempts of an instance that had no slots of its own.
    loose: Vec<(Uuid, Instant)>,
    /// By when a denial ends, whichever of the credentials with that refresh token was told.
    denied: Option<Instant>,
    /// Attempts that Zoho did not hear of, which may lie in Redis as if it had.
    unsent: Vec<(Uuid, Instant)>,
}

/// A slot as one instance sees it.
#[derive(Clone, Copy, Default)]
struct Held {
    mine: bool,
    used: Option<Used>,
}

/// The last attempt in a slot.
#[derive(Clone, Copy)]
struct Used {
    attempt: Uuid,
    at: Instant,
    /// This instance made it.
    own: bool,
}

impl Mints {
    /// For how long a slot rests: Zoho's ten minutes, and what an attempt may take to get there.
    pub(super) const REST: Duration = Duration::from_secs(610);

    /// Nothing is known yet. With `keeps` there is a Redis, and somebody calls [`Mints::meet`] every few seconds.
    pub(super) fn new(keeps: bool) -> Self {
        Self {
            id: Uuid::new_v4(),
            keeps,
            has_ended: false,
            is_new: true,
            barred: None,
            turn: 0,
            begun: 0,
            slots: [Held::default(); SLOTS],
            loose: Vec::new(),
            denied: None,
            unsent: Vec::new(),
        }
    }

    /// Whether it has slots of its own from now on. It begins without any: what it had nobody spoke for
    /// meanwhile.
    pub(super) fn keep(&mut self, keeps: bool) {
        let keeps = keeps && !self.has_ended;
        self.keeps = keeps;
        for held in &mut self.slots {
            held.mine &= keeps;
            // What it did counts for what it may do without any.
            let own = held.used.filter(|used| used.own && !keeps);
            let is_known = |it: &Used| self.loose.iter().any(|(loose, _)| *loose == it.attempt);
            if let Some(used) = own.filter(|it| !is_known(it)) {
                self.loose.push((used.attempt, used.at));
            }
        }
    }

    /// This instance ends in order: it makes no attempt any more, with Redis or without. At the next
    /// [`Mints::meet`] it leaves its slots to the others, if all of them are heard of.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Zoho denies access tokens until then.
    pub(super) fn deny(&mut self, until: Instant) {
        self.denied = self.denied.max(Some(until));
    }

    /// For how long it does so still.
    pub(super) fn denied(&self, now: Instant) -> Option<Duration> {
        let left = self.denied?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Until when the last attempt that is known rests.
    pub(super) fn rest_until(&self, now: Instant) -> Option<Instant> {
        let slots = self.slots.iter().filter_map(|held| Some(held.used?.at));
        let loose = self.loose.iter().map(|(_, at)| *at);
        let last = slots.chain(loose).max()?;
        rests(last, now).map(|left| now + left)
    }

    /// Counts an attempt that is made without Redis, or says how long to wait; `replicas` is how many
    /// instances may do the same.
    pub(super) fn alone(
        &mut self,
        attempt: Uuid,
        replicas: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        self.may_ask(now)?;
        let barred = self.barred.filter(|_| self.keeps && self.is_new);
        if let Some(until) = barred.filter(|until| *until > now) {
            return Err(until - now);
        }
        if !self.keeps || self.is_new {
            return self.loosely(attempt, loose(replicas, self.keeps), now);
        }
        let own = self.slots.iter_mut().filter(|held| held.mine);
        // One that does not rest comes first.
        let held = own.min_by_key(|held| held.rests(now)).ok_or(Self::REST)?;
        if let Some(left) = held.rests(now) {
            return Err(left);
        }
        held.used = Some(Used {
            attempt,
            at: now,
            own: true,
        });
        Ok(())
    }

    /// The same where so many instances know nothing of each other.
    pub(super) fn apart(
        &mut self,
        attempt: Uuid,
        replicas: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        self.may_ask(now)?;
        let most = SLOTS / (replicas.max(1) as usize);
        self.loosely(attempt, most.max(1), now)
    }

    /// Not where this instance has ended. Attempts that have rested are forgotten.
    fn may_ask(&mut self, now: Instant) -> Result<(), Duration> {
        self.loose.retain(|(_, at)| rests(*at, now).is_some());
        match self.has_ended {
            true => Err(Self::REST),
            false => Ok(()),
        }
    }

    /// Without slots of its own an instance has what is left for such.
    fn loosely(&mut self, attempt: Uuid, most: usize, now: Instant) -> Result<(), Duration> {
        let known = |attempt| self.loose.iter().any(|(loose, _)| *loose == attempt);
        let others = self.slots.iter().filter(|held| {
            let used = held.used.filter(|used| !known(used.attempt));
            most == SLOTS && used.is_some_and(|used| rests(used.at, now).is_some())
        });
        if self.loose.len() + others.count() >= most {
            let loose = self.loose.iter().map(|(_, at)| *at);
            let slots = self.slots.iter().filter_map(|held| Some(held.used?.at));
            let left = loose.chain(slots).filter_map(|at| rests(at, now));
            return Err(left.min().unwrap_or(Self::REST));
        }
        self.loose.push((attempt, now));
        Ok(())
    }

    /// That attempt never reached Zoho.
    pub(super) fn give_back(&mut self, attempt: Uuid, now: Instant) {
        self.loose.retain(|(loose, _)| *loose != attempt);
        let mut had_slot = false;
        for held in &mut self.slots {
            let used = held.used.take_if(|used| used.attempt == attempt);
            had_slot |= used.is_some();
        }
        // After a rest it holds nobody back.
        self.unsent.retain(|(_, at)| rests(*at, now).is_some());
        if self.keeps || had_slot {
            self.unsent.push((attempt, now));
        }
    }

    /// Redis has taken this table, in which `own` is the attempt that was granted.
    pub(super) fn learn(&mut self, met: &Meeting, own: Option<Uuid>) {
        let (table, Around { clock, now, .. }) = (&met.table, met.around);
        if table.turn <= self.turn {
            return;
        }
        self.is_new &= met.is_fresh;
        let barred = met.is_full.then(|| now + Self::REST);
        self.barred = self.barred.max(barred);
        self.turn = table.turn;
        self.begun = table.begun;
        for (held, slot) in self.slots.iter_mut().zip(&table.slots) {
            held.mine = self.keeps && slot.owner == Some(self.id);
            let known = held.used;
            let told = slot.used.map(|(attempt, at)| {
                let age = Duration::from_millis(clock.saturating_sub(at));
                Used {
                    attempt,
                    at: now.checked_sub(age).unwrap_or(now),
                    own: own == Some(attempt),
                }
            });
            held.used = match (told, known) {
                (Some(told), Some(known)) if told.attempt == known.attempt => Some(known),
                (Some(told), Some(known)) if known.own && known.at > told.at => Some(known),
                (None, Some(known)) if known.own => Some(known),
                (told, _) => told,
            };
        }
        let in_table = |it: Uuid| table.used().any(|attempt| attempt == it);
        self.unsent.retain(|(it, _)| in_table(*it));
        if self.has_ended && !table.instances.contains_key(&self.id) {
            self.keep(false);
        }
    }
}

impl Held {
    fn rests(&self, now: Instant) -> Option<Duration> {
        self.used.and_then(|used| rests(used.at, now))
    }
}

/// For how long still, after an attempt.
fn rests(at: Instant, now: Instant) -> Option<Duration> {
    let left = (at + Mints::REST).saturating_duration_since(now);
    (!left.is_zero()).then_some(left)
}

/// How many attempts an instance has that has no slots of its own and no Redis. Redis keeps them
/// free.
fn loose(replicas: u32, keeps: bool) -> usize {
    match (replicas, keeps) {
        (0 | 1, _) => SLOTS,
        (2..=10, true) | (2..=5, false) => 1,
        _ => 0,
    }
}

/// Zoho mints so many tokens in ten minutes.
const SLOTS: usize = 10;
