//! The windows that all instances share, in Redis: one script, one round trip, all or nothing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    blocked::Blocked,
    claim::{Claim, Key, millis},
    in_flight::{KEEP, Place, Places, place},
    merge::Question,
    names::{ALL_PLACES, EPOCH, LIVE, NAMED_WITH, Names},
    rules::Room,
    verdict::Busy,
    window::Outlook,
};
use crate::store::{Cause, Process, Script, Store, Unavailable};

/// Asks Redis.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) names: Names,
    mode: watch::Sender<Mode>,
    blocked: Mutex<Blocked>,
    /// Something is wrong with Redis, or with what it knows.
    pub(super) doubt: Notify,
    /// Why Redis, which can be reached, does not do what limits need of it.
    refused: Mutex<Option<Cause>>,
    /// Calls were admitted that Redis may not know of.
    pub(super) unmerged: AtomicBool,
    instance: Place,
    scripts: Scripts,
}

struct Scripts {
    admit: Script,
    join: Script,
    merge: Script,
    places: Script,
}

/// Which data it is that Redis has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Data {
    /// Its name, which is lost with it.
    epoch: Arc<str>,
    /// Who holds it: a process that has started again may have read an older state of it.
    process: Process,
    /// The same where it has to be asked each time.
    answering: Arc<str>,
}

impl Data {
    /// Whether the process that holds it can be told from another.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.process, Process::Known(_)) || !self.answering.is_empty()
    }
}

/// Calls of one window, each with its age in milliseconds.
pub(super) struct Part {
    pub(super) key: Key,
    /// In milliseconds.
    pub(super) span: u64,
    pub(super) calls: Vec<(u64, Uuid)>,
}

/// Whether Redis is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All instances count together, in this data.
    Together(Data),
    /// This instance counts by itself.
    Alone(Cause),
}

/// What a call asks for.
pub(super) struct Asked<'a> {
    pub(super) claims: &'a [Claim],
    pub(super) id: &'a Uuid,
    pub(super) seat: Option<Seat<'a>>,
}

/// A place among the calls in flight.
pub(super) struct Seat<'a> {
    pub(super) client: &'a str,
    pub(super) room: Room,
    pub(super) free: &'a [Place],
}

/// What Redis says to it.
pub(super) enum Answer {
    /// It is not the data that this instance has merged into.
    OtherData,
    /// The windows have the say. What only watches would have found no place.
    Outlooks(Vec<Outlook>, Option<Busy>),
    Busy(Busy),
}

impl Shared {
    pub(super) fn new(store: Store, names: Names) -> Self {
        Self {
            store,
            names,
            mode: watch::Sender::new(Mode::Alone(Cause::NotYetAsked)),
            blocked: Mutex::default(),
            doubt: Notify::new(),
            refused: Mutex::default(),
            unmerged: AtomicBool::new(false),
            instance: place(&Uuid::new_v4()),
            scripts: Scripts {
                admit: Script::new(include_str!("script/admit.lua")),
                join: Script::new(include_str!("script/join.lua")),
                merge: Script::new(include_str!("script/merge.lua")),
                places: Script::new(include_str!("script/places.lua")),
            },
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode.borrow().clone()
    }

    /// Whether that is a change.
    pub(super) fn set_mode(&self, mode: Mode) -> bool {
        self.blocked().forget();
        self.mode.send_if_modified(|current| {
            let changed = match (&*current, &mode) {
                (Mode::Alone(Cause::NotYetAsked), _) => true,
                // That one does not mend itself, whatever came before.
                (Mode::Alone(was), Mode::Alone(is)) => {
                    (*was == Cause::OtherKey) != (*is == Cause::OtherKey)
                }
                (current, mode) => current != mode,
            };
            *current = mode;
            changed
        })
    }

    /// Waits until the first word from Redis, or about it.
    pub(super) async fn decided(&self) -> Mode {
        let mut mode = self.mode.subscribe();
        let decided = |mode: &Mode| *mode != Mode::Alone(Cause::NotYetAsked);
        // The sender lives as long as this.
        let _ = mode.wait_for(decided).await;
        self.mode()
    }

    /// How many instances share the limits, as far as is known.
    pub(super) fn replicas(&self) -> u32 {
        self.store.replicas()
    }

    pub(super) fn blocked(&self) -> MutexGuard<'_, Blocked> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for all places that a call has to have.
    pub(super) async fn ask(
        &self,
        data: &Data,
        question: &Asked<'_>,
    ) -> Result<Answer, Unavailable> {
        let mut keys = vec![EPOCH.to_owned()];
        let mut arguments = vec![
            data.epoch.as_bytes().to_vec(),
            data.answering.as_bytes().to_vec(),
            place(question.id).to_vec(),
            number(question.claims.len() as u64),
        ];
        for claim in question.claims {
            keys.push(self.names.window(&claim.key));
            arguments.push(number(u64::from(claim.requests())));
            arguments.push(number(claim.span() * 1_000));
            arguments.push(number(u64::from(claim.is_shadow())));
        }
        if let Some(seat) = &question.seat {
            keys.push(self.names.places(seat.client));
            keys.push(ALL_PLACES.to_owned());
            arguments.push(number(u64::from(seat.room.client)));
            arguments.push(number(u64::from(seat.room.total)));
            arguments.push(number(u64::from(seat.room.watches_client)));
            arguments.push(number(u64::from(seat.room.watches_total)));
            arguments.push(number(micros(KEEP)));
            arguments.push(seat.free.concat());
        }
        let script = &self.scripts.admit;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let asked = self.store.run(|mut link| {
            let (keys, arguments) = (&*keys, &arguments);
            async move {
                if *link.process() != data.process {
                    return Ok(None);
                }
                let answer = script.run::<Vec<i64>>(&mut link, keys, arguments);
                answer.await.map(Some)
            }
        });
        let answer = self.heard(asked.await)?;
        Ok(answer.map_or(Answer::OtherData, |answer| read(&answer, question)))
    }

    /// Says that this instance lives; answers which data it is, and how many instances live.
    ///
    /// # Errors
    /// Also when the others call the same windows by other names: nothing would be shared.
    pub(super) async fn join(&self) -> Result<(Data, u32), Unavailable> {
        let (script, keys) = (&self.scripts.join, [EPOCH, LIVE, NAMED_WITH]);
        let epoch = Uuid::new_v4().simple().to_string();
        let asked = self.store.run(|mut link| {
            let process = link.process().clone();
            let arguments = [
                epoch.clone().into_bytes(),
                number(millis(EPOCH_KEEP)),
                self.instance.to_vec(),
                number(micros(LIVES)),
                self.names.fingerprint().into_bytes(),
                number(u64::from(process == Process::Changing)),
            ];
            async move {
                let answer =
                    script.run::<(String, u32, bool, String)>(&mut link, &keys, &arguments);
                Ok((answer.await?, process))
            }
        });
        let ((epoch, live, same_names, answering), process) = asked.await?;
        if !same_names {
            self.count_replicas(live, false);
            return Err(Unavailable(Cause::OtherKey));
        }
        let data = Data {
            epoch: epoch.into(),
            process,
            answering: answering.into(),
        };
        Ok((data, live))
    }

    /// Takes the number of instances that live.
    pub(super) fn count_replicas(&self, live: u32, settled: bool) {
        self.store.count_replicas(live, settled);
    }

    /// Tells Redis of calls that it may not know of.
    pub(super) async fn merge(&self, question: Question) -> Result<(), Unavailable> {
        let parts = question.parts;
        if parts.is_empty() {
            return Ok(());
        }
        let keys = parts.iter().map(|part| self.names.window(&part.key));
        let keys: Vec<String> = keys.collect();
        let mut arguments = Vec::new();
        for part in &parts {
            arguments.push(number(part.span * 1_000));
            arguments.push(number(part.calls.len() as u64));
            for (age, id) in &part.calls {
                arguments.push(number(age * 1_000));
                arguments.push(place(id).to_vec());
            }
        }
        let _: i64 = self.run(&self.scripts.merge, &keys, &arguments).await?;
        Ok(())
    }

    /// Gives places back and, with `keep`, says that the others are still taken.
    pub(super) async fn tell_places(
        &self,
        places: &[Places],
        keep: bool,
    ) -> Result<(), Unavailable> {
        let clients = places.iter().map(|it| self.names.places(&it.client));
        let keys: Vec<String> = std::iter::once(ALL_PLACES.to_owned())
            .chain(clients)
            .collect();
        let mut arguments = vec![number(micros(KEEP))];
        for places in places {
            arguments.push(places.free.concat());
            arguments.push(match keep {
                true => places.taken.concat(),
                false => Vec::new(),
            });
        }
        let _: i64 = self.run(&self.scripts.places, &keys, &arguments).await?;
        Ok(())
    }

    /// Says that this instance does not live any more, so that the others need not wait for it.
    pub(super) async fn leave(&self) -> Result<(), Unavailable> {
        let leave = |mut link| async move {
            let mut leave = redis::cmd("ZREM");
            leave.arg(LIVE).arg(&self.instance);
            leave.exec_async(&mut link).await
        };
        self.store.run(leave).await
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, Unavailable> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.heard(self.store.run_script(script, &keys, arguments).await)
    }

    /// Remembers a refusal that a second try would not heal: other scripts may run all the same.
    fn heard<T>(&self, answer: Result<T, Unavailable>) -> Result<T, Unavailable> {
        if let Err(Unavailable(cause)) = &answer
            && cause.is_lasting()
        {
            *self.refused() = Some(*cause);
            self.doubt.notify_one();
        }
        answer
    }

    /// The refusal that was remembered, once.
    pub(super) fn take_refusal(&self) -> Option<Cause> {
        self.refused().take()
    }

    fn refused(&self) -> MutexGuard<'_, Option<Cause>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(answer: &[i64], question: &Asked<'_>) -> Answer {
    let [verdict, busy, watched, windows @ ..] = answer else {
        return Answer::OtherData;
    };
    if *verdict == -1 {
        return Answer::OtherData;
    }
    let busy_with = |who: i64| match (who, &question.seat) {
        (1, Some(seat)) => Some(Busy::Client(seat.room.client)),
        (2, Some(seat)) => Some(Busy::Everybody(seat.room.total)),
        _ => None,
    };
    match busy_with(*busy) {
        Some(busy) => Answer::Busy(busy),
        None => Answer::Outlooks(
            windows.chunks_exact(4).map(outlook).collect(),
            busy_with(*watched),
        ),
    }
}

fn outlook(window: &[i64]) -> Outlook {
    let at = |index: usize| u64::try_from(window.get(index).copied().unwrap_or(0)).unwrap_or(0);
    Outlook {
        free: u32::try_from(at(0)).unwrap_or(u32::MAX),
        // Rounded up: a millisecond too early would be refused.
        wait: at(1).div_ceil(1_000),
        reset: at(2).div_ceil(1_000),
        counted: at(3) > 0,
    }
}

pub(super) fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// How long the data keeps its name while no instance lives.
const EPOCH_KEEP: Duration = Duration::from_secs(3_600);
/// How long an instance counts as living after its last word.
pub(super) const LIVES: Duration = Duration::from_secs(10);
