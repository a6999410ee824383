//! What Redis refused a moment ago: asking again before the time would change nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    claim::{Claim, Key},
    rules::Room,
    verdict::{Busy, Standing, Verdict},
};
use crate::setting::Limit;

/// Full windows, until they have room again. Bounded: what finds no place is simply asked again.
#[derive(Default)]
pub(super) struct Blocked {
    by_key: HashMap<Key, Block>,
    /// Until when a client, or nobody, has a place for another call.
    busy: HashMap<Option<Arc<str>>, (u64, Busy)>,
}

struct Block {
    /// In milliseconds of the limiter's clock, as all times here.
    until: u64,
    since: u64,
    /// Another limit may have room.
    limit: Limit,
    /// How all windows of that call stood.
    known: Arc<[Known]>,
}

struct Known {
    key: Key,
    limit: Limit,
    standing: Standing,
}

impl Blocked {
    /// The refusal of a call that needs a window known to be full.
    pub(super) fn refusal(&self, now: u64, claims: &[Claim]) -> Option<Verdict> {
        let block = |claim: &Claim| {
            self.by_key
                .get(&claim.key)
                .filter(|block| block.until > now && block.limit == claim.limit)
        };
        let longest = claims
            .iter()
            .filter_map(block)
            .max_by_key(|block| block.until)?;
        let standings = claims.iter().filter_map(|claim| match block(claim) {
            Some(block) => block.standing(now, claim, Some(block.until)),
            None => longest.standing(now, claim, None),
        });
        let wait = Duration::from_millis(longest.until - now);
        Some(Verdict::new(standings.collect(), Some(wait)))
    }

    /// Remembers what a refusal says about each window that refused.
    pub(super) fn remember(
        &mut self,
        now: u64,
        claims: &[Claim],
        waits: &[u64],
        verdict: &Verdict,
    ) {
        // A verdict tells of limits that only watch apart from the others.
        let told = claims.iter().filter(|claim| !claim.is_shadow());
        let known = told
            .zip(verdict.standings())
            .map(|(claim, standing)| Known {
                key: claim.key.clone(),
                limit: claim.limit,
                standing: *standing,
            });
        let known: Arc<[Known]> = known.collect();
        for (claim, wait) in claims.iter().zip(waits) {
            if *wait == 0 || claim.is_shadow() {
                continue;
            }
            if self.by_key.len() >= MAX_KEYS {
                self.by_key.retain(|_, block| block.until > now);
            }
            if self.by_key.len() < MAX_KEYS {
                let block = Block {
                    // No call stays in a window for longer, whatever a clock says.
                    until: now + (*wait).min(claim.span()),
                    since: now,
                    limit: claim.limit,
                    known: Arc::clone(&known),
                };
                self.by_key.insert(claim.key.clone(), block);
            }
        }
    }

    /// Who had no place for another call of a client a moment ago, if there was none.
    pub(super) fn busy(&self, now: u64, client: &Arc<str>, room: Room) -> Option<Busy> {
        if self.busy.is_empty() {
            return None;
        }
        let wanted = [
            (Some(Arc::clone(client)), Busy::Client(room.client)),
            (None, Busy::Everybody(room.total)),
        ];
        let is_known = |(whose, busy): &(_, Busy)| {
            let known = self.busy.get(whose);
            known.is_some_and(|(until, known)| *until > now && known == busy)
        };
        let found = wanted.into_iter().find(is_known);
        found.map(|(_, busy)| busy)
    }

    /// Remembers that there was none. A call may end at any time, so not for long.
    pub(super) fn remember_busy(&mut self, now: u64, client: &Arc<str>, busy: Busy) {
        let whose = match busy {
            Busy::Client(_) => Some(Arc::clone(client)),
            Busy::Everybody(_) => None,
        };
        if self.busy.len() >= MAX_KEYS {
            self.busy.retain(|_, (until, _)| *until > now);
        }
        if self.busy.len() < MAX_KEYS {
            self.busy.insert(whose, (now + BUSY_FOR, busy));
        }
    }

    /// Other rules hold, or other data.
    pub(super) fn forget(&mut self) {
        self.by_key.clear();
        self.busy.clear();
    }
}

impl Block {
    /// What is known of a window: nobody else's of the same dimension, nor under another limit.
    fn standing(&self, now: u64, claim: &Claim, until: Option<u64>) -> Option<Standing> {
        let mut known = self.known.iter();
        let known = known.find(|known| known.key == claim.key && known.limit == claim.limit)?;
        let aged = known
            .standing
            .reset
            .saturating_sub(Duration::from_millis(now - self.since.min(now)));
        Some(Standing {
            violated: until.is_some(),
            reset: until.map_or(aged, |until| Duration::from_millis(until - now)),
            ..known.standing
        })
    }
}

const MAX_KEYS: usize = 10_000;
/// In milliseconds.
const BUSY_FOR: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limit::{claim::verdict, dimension::Whose, window::Outlook},
        setting::{Limit, Quota},
    };

    fn claim(name: &'static str, client: &str) -> Claim {
        let quota = Quota {
            requests: 2.try_into().unwrap(),
            per: "1s".parse().unwrap(),
        };
        Claim {
            limit: Limit::from(quota),
            key: (name, Whose::Clients(client.into())),
        }
    }

    fn outlook(free: u32, wait: u64) -> Outlook {
        Outlook {
            free,
            wait,
            reset: 500,
            counted: false,
        }
    }

    fn refused(blocked: &mut Blocked, claims: &[Claim], waits: [u64; 2]) {
        let outlooks = waits.map(|wait| outlook(u32::from(wait == 0), wait));
        let verdict = verdict(claims, &outlooks);
        blocked.remember(1_000, claims, &waits, &verdict);
    }

    #[test]
    fn a_full_window_refuses_until_it_has_room_and_no_longer() {
        let mut blocked = Blocked::default();
        let claims = [claim("global", ""), claim("client", "one")];
        refused(&mut blocked, &claims, [0, 300]);
        let again = blocked.refusal(1_100, &claims).unwrap();
        assert_eq!(again.retry_after(), Some(Duration::from_millis(200)));
        assert_eq!(again.violated().collect::<Vec<_>>(), ["client"]);
        assert_eq!(again.standings().len(), 2, "all that is known is told");
        assert!(blocked.refusal(1_300, &claims).is_none());
    }

    #[test]
    fn nothing_is_remembered_for_longer_than_the_window() {
        let mut blocked = Blocked::default();
        let claims = [claim("global", ""), claim("client", "one")];
        refused(&mut blocked, &claims, [0, 3_600_000]);
        assert!(blocked.refusal(1_999, &claims).is_some());
        assert!(blocked.refusal(2_000, &claims).is_none());
    }

    #[test]
    fn others_are_not_concerned() {
        let mut blocked = Blocked::default();
        refused(
            &mut blocked,
            &[claim("global", ""), claim("client", "one")],
            [0, 300],
        );
        let other = [claim("global", ""), claim("client", "two")];
        assert!(blocked.refusal(1_100, &other).is_none());
    }

    #[test]
    fn nobody_is_told_of_another_clients_window() {
        let mut blocked = Blocked::default();
        let claims = [claim("global", ""), claim("client", "one")];
        refused(&mut blocked, &claims, [300, 0]);
        let other = [claim("global", ""), claim("client", "two")];
        let told = blocked.refusal(1_100, &other).unwrap();
        let names: Vec<&str> = told.standings().iter().map(|it| it.name).collect();
        assert_eq!(names, ["global"]);
    }

    #[test]
    fn a_limit_that_was_raised_blocks_nobody_though_the_answer_came_late() {
        let mut blocked = Blocked::default();
        let mut claims = [claim("global", ""), claim("client", "one")];
        blocked.forget();
        refused(&mut blocked, &claims, [0, 300]);
        claims[1].limit.requests = 3.try_into().unwrap();
        assert!(blocked.refusal(1_100, &claims).is_none());
    }

    #[test]
    fn a_busy_client_is_remembered_for_a_moment_and_while_it_may_have_no_more() {
        let mut blocked = Blocked::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let room = Room {
            client: 2,
            total: 9,
            watches_client: false,
            watches_total: false,
        };
        let more = Room { client: 3, ..room };
        blocked.remember_busy(1_000, &one, Busy::Client(2));
        let last = 1_000 + BUSY_FOR - 1;
        assert_eq!(blocked.busy(last, &one, room), Some(Busy::Client(2)));
        assert_eq!(blocked.busy(last + 1, &one, room), None);
        assert_eq!(blocked.busy(last, &two, room), None);
        assert_eq!(blocked.busy(last, &one, more), None);
        blocked.remember_busy(1_000, &one, Busy::Everybody(9));
        assert_eq!(blocked.busy(last, &two, room), Some(Busy::Everybody(9)));
    }

    #[test]
    fn the_longest_wait_counts_and_memory_is_bounded() {
        let mut blocked = Blocked::default();
        let claims = [claim("global", ""), claim("client", "one")];
        refused(&mut blocked, &claims, [700, 300]);
        let again = blocked.refusal(1_100, &claims).unwrap();
        assert_eq!(again.retry_after(), Some(Duration::from_millis(600)));
        assert_eq!(again.violated().count(), 2);
        for n in 0..MAX_KEYS + 50 {
            let claims = [claim("global", ""), claim("client", &n.to_string())];
            refused(&mut blocked, &claims, [0, 300]);
        }
        assert!(blocked.by_key.len() <= MAX_KEYS);
    }
}
