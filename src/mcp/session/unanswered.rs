//! Ends that Redis was asked for without an answer in time. Redis may have made them, and nobody else
//! would record them then: it is asked whose they are until that is certain.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    ask_each,
    kept::{Ender, Keeper},
};
use crate::audit::Event;

#[derive(Default)]
pub(super) struct Unanswered(Mutex<Vec<Asked>>);

/// An end that was asked for.
pub(super) struct Asked {
    pub(super) session: Box<str>,
    /// By which Redis knows whose it is.
    pub(super) mark: Uuid,
    /// What the log says of it.
    pub(super) line: Event,
    /// When Redis last did not answer.
    since: Instant,
}

impl Asked {
    pub(super) fn new(session: &str, line: Event) -> Self {
        Self {
            session: session.into(),
            mark: Uuid::new_v4(),
            line,
            since: Instant::now(),
        }
    }
}

impl Unanswered {
    /// One more. Where there is no room nobody asks again.
    pub(super) fn remember(&self, asked: Asked) {
        let mut all = self.lock();
        if all.len() < MOST {
            let since = Instant::now();
            all.push(Asked { since, ..asked });
        }
    }

    /// The lines of those that Redis has made for this instance, and whether it has answered. What it may
    /// yet make stays.
    pub(super) async fn made(&self, keeper: &Keeper) -> (Vec<Event>, bool) {
        let all = mem::take(&mut *self.lock());
        let answers = ask_each(&all, |asked| keeper.ender(&asked.session, asked.mark)).await;
        let is_answered = answers.iter().all(Result::is_ok);
        let mut lines = Vec::new();
        for (asked, answer) in all.into_iter().zip(answers) {
            match answer {
                Ok(Ender::This) => lines.push(asked.line),
                Ok(Ender::Another) => {}
                // What was asked may come to Redis later than this.
                Ok(Ender::Nobody) if asked.since.elapsed() < LATE => self.lock().push(asked),
                Ok(Ender::Nobody) => {}
                Err(_) => self.remember(asked),
            }
        }
        (lines, is_answered)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST: usize = 1_000;
/// Redis answers again for so long: by now it has run all that was on its way.
const LATE: Duration = Duration::from_secs(15);
