//! The slots as they lie in Redis. Who changes them reads them, thinks, and puts what comes of it
//! in their place if nobody was faster.

mod clock;
mod parting;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Around, Held, Meeting, Mints, Outcome, SLOTS, loose};

/// What all instances know together. Times are in milliseconds by the clock of Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::zoho) struct Table {
    /// Grows with each change, so that a table that was restored is known for an old one.
    pub(super) turn: u64,
    /// Since when what it says of owners can be relied on, once all have spoken.
    since: u64,
    /// When it was begun: another one is begun when Redis has lost data.
    pub(super) begun: u64,
    /// When each instance last spoke.
    pub(super) instances: BTreeMap<Uuid, u64>,
    /// When the newest of them came.
    joined: u64,
    /// When one was last taken for gone, or ended and left its slots to nobody: another one may be cut off
    /// since, and have what it seems that nobody has.
    #[serde(default)]
    doubted: u64,
    pub(super) slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) owner: Option<Uuid>,
    /// The last attempt.
    pub(super) used: Option<(Uuid, u64)>,
}

/// Who looks at the table, and when.
struct Look {
    id: Uuid,
    keeps: bool,
    /// As many instances as there may be, and those that are gone until it is known which.
    replicas: usize,
    /// One came a moment ago.
    has_joined: bool,
    /// There are more than there may be, and which are gone is known in a moment.
    is_crowded: bool,
    /// Among how many the slots are shared: those that speak, or as many as there may be.
    shares: usize,
    clock: u64,
    /// What nobody has may be somebody's who has not said so yet.
    is_fresh: bool,
}

impl Mints {
    /// Tells the others what this instance knows, has its part of the slots, and with `want` a slot
    /// for that attempt. What it gives up it does not use from now on, whether Redis takes the table
    /// or not; what it gets it uses once [`Mints::learn`] was told of it.
    pub(in crate::zoho) fn meet(
        &mut self,
        found: Option<Table>,
        around: Around,
        want: Option<Uuid>,
    ) -> Meeting {
        let Around {
            clock,
            now,
            replicas,
            is_fresh,
        } = around;
        // One that was begun after the one that is known is no older state of that.
        let is_current = |it: &Table| it.turn >= self.turn || it.begun > self.begun;
        let mut table = match found {
            Some(table) if table.turn > 0 && is_current(&table) => table.until(clock),
            found => Table::anew(found, clock),
        };
        table.turn = table.turn.max(self.turn).saturating_add(1);
        let is_another = table.begun != self.begun;
        let is_new = is_another || self.keeps && !table.instances.contains_key(&self.id);
        let is_fresh = is_fresh && replicas > 1;
        // Until it may have a part the others keep free what it may do without Redis.
        if self.keeps && !(self.is_new && is_fresh) {
            table.admit(self.id, clock, replicas as usize);
        }
        let has_joined = clock.saturating_sub(table.joined) <= SILENT + 1_000;
        let look = Look {
            id: self.id,
            keeps: self.keeps,
            replicas: (replicas as usize).max(table.instances.len()).max(1),
            has_joined,
            is_crowded: has_joined && table.instances.len() > replicas as usize,
            shares: (replicas as usize).max(table.speaking(clock)).max(1),
            clock,
            is_fresh,
        };
        table.claim(self, is_new, &look, now);
        let is_settled = match self.keeps {
            true => table.is_settled(&look),
            false => !look.is_fresh,
        };
        match is_settled {
            _ if self.has_ended && self.keeps => table.part_with(is_settled, &look),
            true if self.keeps => {
                table.give_up(&mut self.slots, &look);
                table.gain(&look);
            }
            false if self.is_new && !look.is_fresh => table.begin(self.loose.len(), &look),
            _ => {}
        }
        let outcome = match want {
            Some(_) if self.has_ended => Outcome::Spent(Self::REST),
            Some(attempt) => table.grant(attempt, is_settled, &look),
            None => Outcome::Told,
        };
        Meeting {
            is_full: table.instances.len() >= replicas as usize
                || table.open(&look) < table.kept(&look),
            table,
            outcome,
            is_fresh: look.is_fresh,
            around,
        }
    }
}

impl Table {
    /// What is left after Redis has lost data: nothing is known of owners.
    fn anew(lost: Option<Self>, clock: u64) -> Self {
        let slots = lost.as_ref().map_or_else(Default::default, |lost| {
            lost.slots.map(|slot| Slot {
                owner: None,
                ..slot
            })
        });
        Self {
            turn: lost.map_or(0, |lost| lost.turn),
            since: clock,
            begun: clock,
            instances: BTreeMap::new(),
            joined: clock,
            doubted: 0,
            slots,
        }
    }

    /// All attempts.
    pub(super) fn used(&self) -> impl Iterator<Item = Uuid> {
        self.slots.iter().filter_map(|slot| Some(slot.used?.0))
    }

    /// Takes a word of an instance. Who is silent keeps its slots, which it may use without Redis, until
    /// there are more than there may be.
    fn admit(&mut self, id: Uuid, clock: u64, replicas: usize) {
        let newest = self.instances.values().max();
        if newest.is_some_and(|newest| clock.saturating_sub(*newest) > AWAY) {
            self.since = clock;
        }
        if self.instances.insert(id, clock).is_none() {
            self.joined = clock;
        }
        if is_silent(self.joined.max(self.since), clock) {
            for gone in self.gone(clock, replicas) {
                self.instances.remove(&gone);
                self.doubted = clock;
            }
        }
        for slot in &mut self.slots {
            slot.owner = slot.owner.filter(|it| self.instances.contains_key(it));
        }
    }

    /// There are only so many, so the newest followed one that is silent: the one that spoke last, since
    /// who is killed is started again soon. Others may be cut off from Redis and use what they have.
    fn gone(&self, clock: u64, replicas: usize) -> Vec<Uuid> {
        let more = self.instances.len().saturating_sub(replicas);
        let heard = self.instances.iter().map(|(id, last)| (*last, *id));
        let mut quiet: Vec<_> = heard
            .filter(|(last, _)| is_silent((*last).max(self.since), clock))
            .collect();
        quiet.sort_unstable_by(|one, other| other.cmp(one));
        quiet.into_iter().take(more).map(|(_, id)| id).collect()
    }

    /// How many instances were heard of lately.
    fn speaking(&self, clock: u64) -> usize {
        let last = self.instances.values();
        last.filter(|last| !is_silent(**last, clock)).count()
    }

    /// Whether it is known of each slot whose it is.
    fn is_settled(&self, look: &Look) -> bool {
        let spoken = self.instances.values().filter(|last| **last >= self.since);
        spoken.count() >= look.replicas || look.clock.saturating_sub(self.since) >= REST
    }

    /// Takes what an instance says it has and has done. Of others' attempts it only tells who is new, or
    /// who finds less than it knew: else one that was given back would come again.
    fn claim(&mut self, mints: &Mints, is_new: bool, look: &Look, now: Instant) {
        let at = |then: Instant| {
            let age = now.saturating_duration_since(then).as_millis();
            look.clock
                .saturating_sub(u64::try_from(age).unwrap_or(u64::MAX))
        };
        for (slot, held) in self.slots.iter_mut().zip(&mints.slots) {
            slot.owner = match slot.owner {
                None if held.mine => Some(look.id),
                owner => owner.filter(|it| *it != look.id || held.mine),
            };
        }
        self.keep_resting(&mints.slots, at);
        // First, so that there is room for what was done in their place.
        for slot in &mut self.slots {
            let unsent = |used: &(Uuid, u64)| mints.unsent.iter().any(|(it, _)| *it == used.0);
            slot.used = slot.used.filter(|used| !unsent(used));
        }
        for (n, held) in mints.slots.iter().enumerate() {
            let told = held.used.filter(|used| used.own || is_new);
            if let Some(used) = told.filter(|_| held.rests(now).is_some()) {
                self.note(Some(n), used.attempt, at(used.at), look);
            }
        }
        for (attempt, then) in &mints.loose {
            self.note(None, *attempt, at(*then), look);
        }
    }

    /// Counts an attempt once: in the slot that it had, if it had one and that is free.
    fn note(&mut self, slot: Option<usize>, attempt: Uuid, at: u64, look: &Look) {
        if self.used().any(|it| it == attempt) {
            return;
        }
        let free = self.slots.iter_mut().enumerate();
        let free = free.filter(|(_, slot)| slot.is_free(look.clock));
        let order = |(n, it): &(usize, &mut Slot)| match it.owner {
            _ if slot == Some(*n) => 0,
            None => 1,
            Some(owner) if owner == look.id => 2,
            Some(_) => 3,
        };
        let best = free.min_by_key(order).filter(|it| order(it) < 3);
        if let Some((_, slot)) = best {
            slot.used = Some((attempt, at));
        }
    }

    /// Gives up what is more than its part: of the free ones, and of all.
    fn give_up(&mut self, held: &mut [Held; SLOTS], look: &Look) {
        let free_part = self.free_part(look);
        let free = self.count(|slot| slot.is_of(look) && slot.is_free(look.clock));
        let used = self.count(|slot| slot.is_of(look)) - free;
        let mut free_more = free.saturating_sub(free_part);
        let kept = free - free_more;
        let mut used_more = (used + kept).saturating_sub(SLOTS / look.shares).min(used);
        for (slot, held) in self.slots.iter_mut().zip(held) {
            let more = match slot.is_free(look.clock) {
                true => &mut free_more,
                false => &mut used_more,
            };
            if slot.is_of(look) && *more > 0 {
                *more -= 1;
                slot.owner = None;
                held.mine = false;
            }
        }
    }

    /// The part of the free ones. If there is one for each, one more is left to nobody: for an
    /// instance that follows one that is gone.
    fn free_part(&self, look: &Look) -> usize {
        let free = self.count(|slot| slot.is_free(look.clock));
        free.saturating_sub(usize::from(free > look.shares)) / look.shares
    }

    /// Takes what is missing of its part, if nobody else has it.
    fn gain(&mut self, look: &Look) {
        let part = SLOTS / look.shares;
        let free_part = self.free_part(look);
        let has_free = self.count(|slot| slot.is_of(look) && slot.is_free(look.clock));
        let spare = self.spare(look);
        let taken = free_part.saturating_sub(has_free).min(spare);
        let open = |slot: &&mut Slot| slot.owner.is_none();
        let free = self.slots.iter_mut().filter(open);
        let free = free.filter(|slot| slot.is_free(look.clock));
        free.take(taken).for_each(|slot| slot.owner = Some(look.id));
        let missing = part.saturating_sub(self.count(|slot| slot.is_of(look)));
        let used = self.slots.iter_mut().filter(open);
        let used = used.filter(|slot| !slot.is_free(look.clock));
        used.take(missing)
            .for_each(|slot| slot.owner = Some(look.id));
    }

    /// The part of an instance that begins.
    fn begin(&mut self, used: usize, look: &Look) {
        let has = used + self.count(|slot| slot.is_of(look));
        let part = (SLOTS / look.shares).max(1).saturating_sub(has);
        let open = self.slots.iter_mut().filter(|slot| slot.owner.is_none());
        let free = open.filter(|slot| slot.is_free(look.clock));
        free.take(part).for_each(|slot| slot.owner = Some(look.id));
    }

    /// Free slots of nobody, but for those that are kept.
    fn spare(&self, look: &Look) -> usize {
        self.open(look).saturating_sub(self.kept(look))
    }

    /// Free slots of nobody.
    fn open(&self, look: &Look) -> usize {
        self.count(|slot| slot.owner.is_none() && slot.is_free(look.clock))
    }

    /// How many instances may use of which Redis does not hear.
    fn kept(&self, look: &Look) -> usize {
        let unheard = match look.keeps {
            _ if look.replicas == 1 => 0,
            true => look.replicas.saturating_sub(self.instances.len()),
            false => look.replicas,
        };
        let replicas = u32::try_from(look.replicas).unwrap_or(u32::MAX);
        unheard * loose(replicas, look.keeps)
    }

    fn grant(&mut self, attempt: Uuid, is_settled: bool, look: &Look) -> Outcome {
        let may_take = is_settled && self.spare(look) > 0;
        let free = self
            .slots
            .iter_mut()
            .filter(|slot| slot.is_free(look.clock));
        let usable = free.filter(|slot| slot.is_of(look) || may_take && slot.owner.is_none());
        // Its own ones come last: they serve without Redis too.
        if let Some(slot) = usable.min_by_key(|slot| slot.is_of(look)) {
            slot.used = Some((attempt, look.clock));
            return Outcome::Granted;
        }
        let speaks = |it| {
            let last = self.instances.get(&it);
            last.is_some_and(|last| !is_silent(*last, look.clock))
        };
        // Who has no more than its part keeps that.
        let part = self.free_part(look);
        let free_of = |it| self.count(|slot| slot.owner == Some(it) && slot.is_free(look.clock));
        let gives_up = |it| speaks(it) && free_of(it) > part;
        let another = |slot: &Slot| slot.is_free(look.clock) && slot.owner.is_some_and(gives_up);
        let is_kept = look.has_joined && self.open(look) > 0;
        if look.is_fresh || look.is_crowded || is_kept || is_settled && self.count(another) > 0 {
            return Outcome::Wait;
        }
        let open = self.slots.iter().filter(|slot| slot.is_open(look));
        let used = open.filter_map(|slot| Some(slot.used?.1.saturating_add(REST)));
        let left = used.filter(|end| *end > look.clock).min();
        let left = left.map_or(REST, |end| end - look.clock);
        Outcome::Spent(Duration::from_millis(left))
    }

    fn count(&self, which: impl Fn(&Slot) -> bool) -> usize {
        self.slots.iter().filter(|slot| which(slot)).count()
    }
}

impl Slot {
    fn is_free(&self, clock: u64) -> bool {
        self.used
            .is_none_or(|(_, at)| clock.saturating_sub(at) >= REST)
    }

    fn is_of(&self, look: &Look) -> bool {
        self.owner == Some(look.id)
    }

    /// No other instance has it.
    fn is_open(&self, look: &Look) -> bool {
        self.owner.is_none_or(|it| it == look.id)
    }
}

/// Whether who spoke last at that time has not spoken for too long.
fn is_silent(last: u64, clock: u64) -> bool {
    clock.saturating_sub(last) > SILENT
}

const REST: u64 = Mints::REST.as_millis() as u64;
/// An instance that has not spoken for so long will not give anything up soon.
const SILENT: u64 = 5_000;
/// If nobody has spoken for so long, nobody could.
const AWAY: u64 = 30_000;
