//! The limiter: in this process's memory, or together with others over Redis.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use metrics::counter;

use super::{
    claim::{Claim, claims, millis, verdict},
    dimension::Subject,
    in_flight::{Calls, InFlight, place},
    local::{Alone, Windows},
    lookups::{Lookups, TooManyLooks},
    names::Names,
    rules::{Room, Rules},
    shared::{Answer, Asked, Data, Mode, Seat, Shared},
    verdict::Verdict,
};
use crate::store::{Cause, Store};

/// Admits calls within the rules, all dimensions or none: a refused call is counted nowhere.
pub struct Limiter {
    rules: ArcSwap<Rules>,
    pub(super) windows: Mutex<Windows>,
    pub(super) calls: Calls,
    pub(super) shared: Option<Shared>,
    lookups: Lookups,
    started: Instant,
}

/// What becomes of a call.
#[derive(Debug)]
pub struct Admission {
    /// Whether it may go on, and what its caller is told.
    pub verdict: Verdict,
    /// Its place among the calls in flight, if it is a call of a tool that may go on.
    pub in_flight: Option<InFlight>,
}

/// How Redis stands, for those who ask whether this instance is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Why limits are not shared, if they are not.
    pub alone: Option<Cause>,
    /// How long Redis took to answer.
    pub latency: Duration,
}

impl Limiter {
    /// Counts in memory. Starts with empty windows.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            windows: Mutex::new(Windows::new()),
            calls: Calls::default(),
            shared: None,
            lookups: Lookups::default(),
            started: Instant::now(),
        }
    }

    /// Counts together with all who use the same Redis and the same names, once
    /// [`Limiter::keep`] runs.
    pub fn over(store: Store, names: Names, rules: Rules) -> Self {
        Self {
            shared: Some(Shared::new(store, names)),
            ..Self::new(rules)
        }
    }

    /// Takes other rules from now on. What was counted stays counted.
    pub fn reload(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        if let Some(shared) = &self.shared {
            shared.blocked().forget();
        }
    }

    /// Counts a call, or says when to come back.
    pub async fn admit(&self, subject: &Subject<'_>) -> Admission {
        let now = self.now();
        let rules = self.rules.load_full();
        let claims = claims(&rules, subject);
        let mode = self.shared.as_ref().map(|shared| (shared, shared.mode()));
        if let Some((shared, Mode::Together(_))) = &mode
            && let Some(refusal) = self.remembered(shared, now, &claims, subject, rules.in_flight)
        {
            count("remembered", &refusal);
            return Admission::refused(refusal);
        }
        let (alone, room) = match &mode {
            None => (Alone::Whole, rules.in_flight),
            Some((shared, Mode::Together(_))) => (share(shared, &rules), rules.in_flight),
            Some((shared, Mode::Alone(_))) => {
                let room = rules.in_flight.share(shared.replicas());
                (share(shared, &rules), room)
            }
        };
        let entered = subject.tool.map(|_| self.calls.enter(subject.client, room));
        let (mut in_flight, watched) = match entered.transpose() {
            Ok(entered) => entered.map_or((None, None), |(call, busy)| (Some(call), busy)),
            Err(busy) => {
                let verdict = match mode {
                    Some((_, Mode::Alone(_))) => alone.decides(Verdict::busy(busy)),
                    _ => Verdict::busy(busy),
                };
                count("local", &verdict);
                return Admission::refused(verdict);
            }
        };
        let verdict = match mode {
            Some((shared, Mode::Together(data))) => {
                let asking = Asking {
                    shared,
                    data: &data,
                    subject,
                    rules: &rules,
                };
                self.ask(asking, claims, alone, in_flight.as_mut()).await
            }
            _ => self.admit_alone(now, claims, subject, alone),
        };
        let verdict = match watched {
            Some(_) => verdict.watched(watched),
            None => verdict,
        };
        match verdict.is_admitted() {
            true => Admission { verdict, in_flight },
            false => Admission::refused(verdict),
        }
    }

    /// Lets a client look for what Redis may have, without a charge.
    ///
    /// # Errors
    /// It did so too often.
    pub(super) fn look(&self, client: &Arc<str>) -> Result<(), TooManyLooks> {
        let rules = self.rules.load();
        let limit = rules.clients.get(client).copied();
        self.lookups.take(client, limit.unwrap_or(rules.client))
    }

    /// How Redis stands; `None` when there is none.
    pub fn standing(&self) -> Option<Standing> {
        let shared = self.shared.as_ref()?;
        Some(Standing {
            alone: match shared.mode() {
                Mode::Together(_) => None,
                Mode::Alone(cause) => Some(cause),
            },
            latency: shared.store.latency(),
        })
    }

    pub(super) fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    pub(super) fn room(&self) -> Room {
        self.rules.load().in_flight
    }

    pub(super) fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The refusal of a call about which Redis said a moment ago all that there is to say.
    fn remembered(
        &self,
        shared: &Shared,
        now: u64,
        claims: &[Claim],
        subject: &Subject<'_>,
        room: Room,
    ) -> Option<Verdict> {
        let refusal = shared.blocked().refusal(now, claims);
        if refusal.is_some() {
            return refusal;
        }
        subject.tool?;
        let busy = shared.blocked().busy(now, subject.client, room)?;
        // Where there is a place to give back, this call may have it.
        (!self.calls.owes()).then(|| Verdict::busy(busy))
    }

    fn admit_alone(
        &self,
        now: u64,
        claims: Vec<Claim>,
        subject: &Subject<'_>,
        alone: Alone,
    ) -> Verdict {
        let id = subject.request_id;
        let verdict = self.windows().admit(now, claims, id, alone);
        count("local", &verdict);
        verdict
    }

    async fn ask(
        &self,
        asking: Asking<'_>,
        claims: Vec<Claim>,
        alone: Alone,
        mut in_flight: Option<&mut InFlight>,
    ) -> Verdict {
        let Asking {
            shared,
            data,
            subject,
            rules,
        } = asking;
        let free = match &mut in_flight {
            Some(in_flight) => {
                // Before asking: if the answer is lost, the place may be taken all the same.
                in_flight.has_place(place(&subject.request_id));
                self.calls.free(subject.client)
            }
            None => Vec::new(),
        };
        let question = Asked {
            claims: &claims,
            id: &subject.request_id,
            seat: subject.tool.map(|_| Seat {
                client: subject.client,
                room: rules.in_flight,
                free: &free,
            }),
        };
        let answer = shared.ask(data, &question).await;
        let now = self.now();
        let verdict = match answer {
            Ok(Answer::Outlooks(outlooks, watched)) => {
                let verdict = verdict(&claims, &outlooks).watched(watched);
                if verdict.is_admitted() {
                    // What this instance has admitted it knows itself, should Redis go.
                    self.windows()
                        .record(now, claims, &outlooks, subject.request_id);
                } else {
                    let waits: Vec<u64> = outlooks.iter().map(|outlook| outlook.wait).collect();
                    shared.blocked().remember(now, &claims, &waits, &verdict);
                }
                verdict
            }
            Ok(Answer::Busy(busy)) => {
                let client = subject.client;
                shared.blocked().remember_busy(now, client, busy);
                Verdict::busy(busy)
            }
            Ok(Answer::OtherData) | Err(_) => {
                shared.unmerged.store(true, Ordering::Relaxed);
                shared.doubt.notify_one();
                return self.admit_alone(now, claims, subject, alone);
            }
        };
        count("shared", &verdict);
        self.calls.gave_back(subject.client, &free);
        if let (Some(in_flight), false) = (in_flight, verdict.is_admitted()) {
            in_flight.has_none();
        }
        verdict
    }
}

/// What is asked, of whom.
struct Asking<'a> {
    shared: &'a Shared,
    data: &'a Data,
    subject: &'a Subject<'a>,
    rules: &'a Rules,
}

impl Admission {
    fn refused(verdict: Verdict) -> Self {
        Self {
            verdict,
            in_flight: None,
        }
    }
}

fn share(shared: &Shared, rules: &Rules) -> Alone {
    Alone::Share {
        replicas: shared.replicas(),
        on_store_error: rules.on_store_error,
    }
}

/// Counts a decision by where it was taken.
fn count(by: &'static str, verdict: &Verdict) {
    let outcome = match (verdict.is_admitted(), verdict.is_busy()) {
        (true, _) => "admitted",
        (false, true) => "busy",
        (false, false) => "refused",
    };
    counter!("zoho_mcp_limit_decisions_total", "by" => by, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests;
