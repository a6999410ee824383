//! How sessions end, and who records it: whoever has ended one, or is the first to find that it is over.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{
    Here, HttpSessions, ask_each,
    kept::{Away, ENDED, EXPIRED, Kept, Look, TOO_OLD},
    unanswered::Asked,
};
use crate::audit::{Event, Kind};

impl HttpSessions {
    /// Ends a session everywhere: here at once, elsewhere when the others look. `by`: the event as the
    /// request signs it that ends the session, where one does.
    pub(super) async fn end(
        &self,
        id: &str,
        kept: &Kept,
        reason: &'static str,
        by: Option<Event>,
    ) -> Result<(), Away> {
        self.keeper.reachable()?;
        let line = by.unwrap_or_else(|| kept.event(Kind::SessionClose));
        let asked = Asked::new(id, because(line, reason));
        let by = (reason, asked.mark);
        let is_first = self.keeper.end(id, &kept.caller, by).await;
        self.answered(asked, reason, is_first).await
    }

    /// What the keeper answers to whoever asked for an end: whether it was this that ended the session.
    async fn answered(
        &self,
        asked: Asked,
        reason: &'static str,
        is_first: Result<bool, Away>,
    ) -> Result<(), Away> {
        match is_first {
            Ok(is_first) => {
                self.ended(&asked.session, reason);
                if is_first {
                    self.audit.record(asked.line).await;
                }
                Ok(())
            }
            Err(away) => {
                self.unanswered.remember(asked);
                Err(away)
            }
        }
    }

    /// The same for a request, whose client may leave meanwhile: only one is told that it has ended the
    /// session, and nobody else would record it. A drain waits for it.
    pub(super) async fn end_for_request(
        self: &Arc<Self>,
        id: &str,
        kept: &Arc<Kept>,
        reason: &'static str,
        by: Option<Event>,
    ) -> Result<(), Away> {
        let (sessions, id, kept) = (self.clone(), Box::<str>::from(id), kept.clone());
        let held = self.drain.call();
        let ended = tokio::spawn(async move {
            let _held = held;
            sessions.end(&id, &kept, reason, by).await
        });
        ended.await.unwrap_or(Err(Away))
    }

    /// Ends a session whose client left before it was told the id: it would take a place until it is idle.
    pub(super) async fn end_untold(&self, id: &str, kept: &Kept) {
        if let Some(here) = self.here().get_mut(id) {
            here.is_untold = true;
        }
        // Without Redis it is tried again.
        let _ = self.end(id, kept, ENDED, None).await;
    }

    /// Looks after what this instance has of sessions, until the streams have to end.
    pub async fn keep(self: Arc<Self>) {
        let every = LOOK.min(self.bounds.idle / 4);
        loop {
            tokio::select! {
                () = self.drain.streams().cancelled() => break,
                () = sleep(every) => {}
            }
            self.end_unusable().await;
            self.unsure.end(&self.keeper, self.bounds.idle).await;
            self.record_unanswered().await;
            self.use_again().await;
            for (kept, reason) in self.keeper.expire().await {
                let line = because(kept.event(Kind::SessionClose), reason);
                self.audit.record(line).await;
            }
            let ids: Vec<Box<str>> = self.here().keys().cloned().collect();
            for ids in ids.chunks(MOST_LOOKS) {
                self.look(ids).await;
            }
        }
        self.look_last().await;
        // What all instances know goes on without this one.
        if !self.keeper.is_shared() {
            for (id, kept) in self.those(|_| true) {
                let _ = self.end(&id, &kept, ENDED, None).await;
            }
        }
    }

    /// Asks once more for what Redis has not answered, and for a moment again: the way to it may be in the
    /// making just then.
    async fn look_last(&self) {
        let until = Instant::now() + LAST_LOOK;
        loop {
            let are_ended = self.end_unusable().await;
            let are_recorded = self.record_unanswered().await;
            let are_sure = self.unsure.end(&self.keeper, self.bounds.idle).await;
            if are_ended && are_recorded && are_sure || Instant::now() >= until {
                return;
            }
            sleep(LAST_LOOK / 20).await;
        }
    }

    /// Says whether Redis has answered.
    async fn record_unanswered(&self) -> bool {
        let (lines, is_answered) = self.unanswered.made(&self.keeper).await;
        for line in lines {
            self.audit.record(line).await;
        }
        is_answered
    }

    /// Ends the sessions of credentials that were taken away, and those whose id nobody was told. Says
    /// whether Redis has answered.
    async fn end_unusable(&self) -> bool {
        let mut unusable = Vec::new();
        for (id, here) in self.here().iter() {
            let lapse = here.lease.withdrawn(here.kept.opening.at());
            let reason = lapse.map(|lapse| lapse.reason());
            if let Some(reason) = reason.or(here.is_untold.then_some(ENDED)) {
                unusable.push((id.clone(), here.kept.clone(), reason));
            }
        }
        // Without Redis it is tried again.
        let ends = ask_each(&unusable, |(id, kept, reason)| {
            self.end(id, kept, reason, None)
        });
        ends.await.iter().all(Result::is_ok)
    }

    /// Nobody's session is idle while a call of it runs.
    async fn use_again(&self) {
        let due = self.bounds.idle / 3;
        let used = self.those(|here| here.users > 0 && here.used.elapsed() >= due);
        // Without Redis it is tried again.
        ask_each(&used, |(id, kept)| self.find(id, &kept.caller)).await;
    }

    fn those(&self, which: impl Fn(&Here) -> bool) -> Vec<(Box<str>, Arc<Kept>)> {
        let here = self.here();
        let those = here.iter().filter(|(_, here)| which(here));
        those
            .map(|(id, here)| (id.clone(), here.kept.clone()))
            .collect()
    }

    async fn look(&self, ids: &[Box<str>]) {
        let Ok(found) = self.keeper.look(ids, &self.bounds).await else {
            return;
        };
        let mut lost = Vec::new();
        for (id, look) in ids.iter().zip(found) {
            match look {
                Look::Lasts => {}
                Look::Ended(why) => self.ended(id, why),
                Look::Lost => lost.push(id),
            }
        }
        ask_each(&lost, |id| self.lost(id)).await;
    }

    async fn lost(&self, id: &str) {
        let kept = self.here().get(id).map(|here| here.kept.clone());
        let Some(kept) = kept else {
            return;
        };
        let age = Timestamp::now().duration_since(kept.opening.at());
        let is_old = Duration::try_from(age).is_ok_and(|age| age >= self.bounds.age);
        let reason = if is_old { TOO_OLD } else { EXPIRED };
        let asked = Asked::new(id, because(kept.event(Kind::SessionClose), reason));
        let is_first = self.keeper.is_first_to_miss(id, asked.mark).await;
        // Without Redis it is tried again.
        let _ = self.answered(asked, reason, is_first).await;
    }

    /// Ends what is here of a session that has ended.
    fn ended(&self, id: &str, why: &'static str) {
        let Some(here) = self.here().remove(id) else {
            return;
        };
        here.ended.cancel();
        // What was asked while it lasted is answered, unless its caller ended it or may call no more.
        if ![EXPIRED, TOO_OLD, ENDED].contains(&why) {
            self.calls.stop(id, why);
        }
    }
}

fn because(line: Event, reason: &'static str) -> Event {
    let reason = Some(reason.into());
    Event { reason, ..line }
}

/// How often it is asked which sessions have ended elsewhere.
const LOOK: Duration = Duration::from_secs(2);
/// The drain waits a little longer than this.
const LAST_LOOK: Duration = Duration::from_secs(3);
/// Sessions that Redis is asked about in one go.
const MOST_LOOKS: usize = 500;
