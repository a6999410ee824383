//! Tells a Zoho that answers nobody from one that is slow, and finds it again: by questions without a
//! token, which cost nothing and take no place.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{client::Inner, http::is_there, lock};

/// Requests that want an answer, and since when there was none.
pub(super) struct Silence {
    quiet: Mutex<Quiet>,
    /// What was sent before this gets no answer any more.
    lost: watch::Sender<Option<Instant>>,
}

struct Quiet {
    /// Requests that wait for a place or for their answer.
    unanswered: u32,
    /// When the last answer came, or so many were unanswered.
    since: Instant,
    /// How long the quicker answers take: falls at once and rises slowly.
    quick: Duration,
    /// When Zoho was found to answer nobody; until it does again.
    fell: Option<Instant>,
    is_watched: bool,
}

/// A request that wants an answer, until it is dropped.
pub(super) struct Unanswered<'a>(&'a Silence);

/// What a look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Nobody waits who has to be watched.
    Over,
    Fine,
    /// Nobody was answered for longer than is usual.
    Doubtful,
}

impl Silence {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            quiet: Mutex::new(Quiet {
                unanswered: 0,
                since: now,
                quick: Duration::ZERO,
                fell: None,
                is_watched: false,
            }),
            lost: watch::Sender::new(None),
        }
    }

    /// One more request, and whether somebody has to begin to watch.
    fn begin(&self, now: Instant) -> (Unanswered<'_>, bool) {
        let mut quiet = lock(&self.quiet);
        quiet.unanswered += 1;
        if quiet.unanswered == MANY {
            quiet.since = now;
        }
        let is_first = quiet.unanswered >= MANY && !quiet.is_watched;
        quiet.is_watched |= is_first;
        (Unanswered(self), is_first)
    }

    /// A request was answered, whatever with.
    pub(super) fn heard(&self, latency: Duration, now: Instant) {
        let mut quiet = lock(&self.quiet);
        quiet.since = now;
        quiet.quick = latency.min((quiet.quick * (SMOOTHED_OVER - 1) + latency) / SMOOTHED_OVER);
    }

    /// A question without a token was answered. What went before the silence that this ends is lost,
    /// unless Zoho is so slow that its answers may still come.
    pub(super) fn found(&self, latency: Duration, now: Instant) {
        let mut quiet = lock(&self.quiet);
        quiet.since = now;
        if let Some(fell) = quiet.fell.take()
            && latency < SOON
        {
            self.lost.send_replace(Some(fell));
        }
    }

    /// Whether a request that was sent then gets no answer any more.
    pub(super) fn has_lost(&self, sent: Instant) -> bool {
        self.lost.borrow().is_some_and(|before| sent < before)
    }

    /// Ends when it is known that a request that was sent then gets no answer any more.
    pub(super) async fn loses(&self, sent: Instant) {
        let mut lost = self.lost.subscribe();
        let is_lost = |before: &Option<Instant>| before.is_some_and(|before| sent < before);
        // The sender lives as long as this.
        let _ = lost.wait_for(is_lost).await;
    }

    fn look(&self, now: Instant) -> Look {
        let mut quiet = lock(&self.quiet);
        if quiet.unanswered < MANY {
            quiet.is_watched = false;
            return Look::Over;
        }
        match now.saturating_duration_since(quiet.since) < SOON.max(quiet.quick * 2) {
            true => Look::Fine,
            false => Look::Doubtful,
        }
    }

    /// Whether nobody was answered since.
    fn lasts(&self, since: Instant) -> bool {
        lock(&self.quiet).since < since
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        lock(&self.0.quiet).unanswered -= 1;
    }
}

impl Inner {
    /// A request wants an answer, until what this gives is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Unanswered<'_> {
        let (unanswered, is_first) = self.silence.begin(Instant::now());
        if is_first {
            tokio::spawn(watch(Arc::clone(self)));
        }
        unanswered
    }

    /// How soon Zoho answers, if it does within `limit`: without a token it says 401, which proves that
    /// it is there.
    async fn is_there(&self, limit: Duration) -> Option<Duration> {
        let url = self.tokens().api().join("crm/v8/org").ok()?;
        is_there(&self.http, &url, limit).await
    }

    /// Looks whether Zoho is there, and has everybody know.
    pub(super) async fn knock(&self) -> bool {
        let began = Instant::now();
        let found = self.is_there(self.request_timeout).await;
        match found {
            Some(latency) => {
                self.silence.found(latency, Instant::now());
                self.answered(latency);
                if self.away.swap(false, Ordering::Relaxed) {
                    self.tokens().api_is_back().await;
                }
            }
            None => {
                self.away.store(true, Ordering::Relaxed);
                self.pulse.silent(began.elapsed());
            }
        }
        found.is_some()
    }

    /// Nobody is answered: whether this is true of one who asks for nothing as well.
    async fn answers_nobody(&self) -> bool {
        let asked = Instant::now();
        match self.is_there(SOON).await {
            Some(latency) => {
                self.silence.found(latency, Instant::now());
                false
            }
            None => self.silence.lasts(asked),
        }
    }

    /// Has requests refused, and asks for nothing again and again until Zoho answers.
    async fn outlast(&self) {
        let mut open = self.opening();
        let since = Instant::now();
        lock(&self.silence.quiet).fell = Some(since);
        loop {
            self.pulse.silent(since.elapsed());
            // Longer than a round of this takes.
            let until = Instant::now() + self.request_timeout + SOON * 2;
            self.opened(self.breaker.hold(until));
            let found = async {
                let found = self.knock().await;
                if !found {
                    // What is asked for nothing may fail by itself: one request tries its luck.
                    self.opened(self.breaker.hold(Instant::now()));
                    sleep(SOON).await;
                }
                found
            };
            tokio::select! {
                is_there = found => if is_there { break },
                // One that was slow has answered somebody.
                _ = open.wait_for(|open| !*open) => break,
            }
        }
        lock(&self.silence.quiet).fell = None;
    }
}

async fn watch(zoho: Arc<Inner>) {
    loop {
        sleep(LOOK_EVERY).await;
        match zoho.silence.look(Instant::now()) {
            Look::Over => return,
            Look::Fine => {}
            Look::Doubtful => {
                if zoho.answers_nobody().await {
                    zoho.outlast().await;
                }
            }
        }
    }
}

/// Fewer tell nothing, and leave places to others.
const MANY: u32 = 3;
/// Who is there has answered by then, unless all of its answers take longer.
const SOON: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(250);
const SMOOTHED_OVER: u32 = 4;

#[cfg(test)]
mod tests;
