//! Sessions that Redis may keep although nobody was told their id, since its answer was lost. They
//! would take their caller's places until nobody has used them for too long, so they are ended.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use super::{ask_each, kept::Keeper};
use crate::auth::Caller;

#[derive(Default)]
pub(super) struct Unsure(Mutex<Vec<Opening>>);

struct Opening {
    id: Box<str>,
    caller: Arc<Caller>,
    since: Instant,
}

impl Unsure {
    /// One more. Those for which there is no room end when they are idle.
    pub(super) fn remember(&self, id: Box<str>, caller: Arc<Caller>) {
        let mut all = self.lock();
        if all.len() < MOST {
            let since = Instant::now();
            all.push(Opening { id, caller, since });
        }
    }

    /// Ends them, and says whether Redis has answered. What cannot be ended is tried again, until it has
    /// ended by itself.
    pub(super) async fn end(&self, keeper: &Keeper, idle: Duration) -> bool {
        let all = mem::take(&mut *self.lock());
        // It has no line, and so it does not matter who has ended it.
        let why = ("unsure", Uuid::nil());
        let ends = ask_each(&all, |it| keeper.end(&it.id, &it.caller, why)).await;
        let is_answered = ends.iter().all(Result::is_ok);
        for (opening, ended) in all.into_iter().zip(ends) {
            // What was asked may come to Redis later than this.
            let until = match ended {
                Ok(_) => LATE.min(idle),
                Err(_) => idle,
            };
            if opening.since.elapsed() < until {
                self.lock().push(opening);
            }
        }
        is_answered
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Opening>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST: usize = 1_000;
const LATE: Duration = Duration::from_secs(15);
