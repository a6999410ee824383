//! The handle that every room records through: bounded room, back-pressure instead of loss.

mod closing;

use std::{
    num::NonZeroU64,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use secrecy::SecretSlice;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;

pub use self::closing::Unwritten;
use super::{
    Config, Event, Kind, OnFailure, Redactor,
    config::Pace,
    execution_id::ExecutionIds,
    lifecycle, meter,
    sign::SigningKey,
    sink::{self, CannotOpen, Opened},
    writer::{Call, Job, State, Writer, Written},
};
use crate::setting::Span;

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    jobs: mpsc::UnboundedSender<Job>,
    /// One for each line that may wait.
    room: Arc<Semaphore>,
    on_failure: OnFailure,
    execution_ids: ExecutionIds,
    state: Arc<State>,
    writer: Mutex<Option<thread::JoinHandle<bool>>>,
}

/// Room for the lines of one call, held from before it begins: a call that was let in can always
/// be recorded to its end.
pub struct Room(OwnedSemaphorePermit);

/// The log cannot take a line now.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot take a line")]
pub struct SinkUnavailable;

impl Drop for Shared {
    fn drop(&mut self) {
        self.state.abandon();
    }
}

impl Audit {
    /// Opens the sinks and starts the writer. File names are relative to `base`; the first line says
    /// which key pseudonyms are made with.
    ///
    /// # Errors
    /// The file that cannot be written.
    pub fn start(
        config: &Config,
        base: &Path,
        key: Option<SigningKey>,
        pseudonym_key: Option<&SecretSlice<u8>>,
    ) -> Result<Self, CannotOpen> {
        let instance = config.instance.clone().unwrap_or_else(host_name);
        let opened = sink::open(
            config,
            base,
            &instance,
            key.as_ref().map(SigningKey::public),
        )?;
        let manner = (config.on_failure, config.checkpoint);
        let pseudonyms = pseudonym_key.map(|key| Redactor::new(key).key_id());
        let who = lifecycle::Writer::new(&instance, pseudonyms);
        Ok(Self::write_to(manner, opened, who, key))
    }

    /// Whether the files could be written, without writing any.
    ///
    /// # Errors
    /// The file whose folder is missing or cannot be written.
    pub fn check(config: &Config, base: &Path) -> Result<(), CannotOpen> {
        sink::check(config, base)
    }

    /// A log that nobody reads, for checks.
    pub fn discarding(on_failure: OnFailure) -> Self {
        let nowhere = Box::new(sink::Stream::new(std::io::sink()));
        let opened = Opened::of(vec![(nowhere, sink::Previous::Unknown)]);
        let pace = Pace {
            lines: NonZeroU64::MAX,
            every: Span::millis(u64::MAX),
        };
        let who = lifecycle::Writer::new("check", None);
        Self::write_to((on_failure, pace), opened, who, None)
    }

    pub(super) fn write_to(
        (on_failure, pace): (OnFailure, Pace),
        mut opened: Opened,
        who: lifecycle::Writer,
        key: Option<SigningKey>,
    ) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let state = Arc::new(State::new(&mut opened, &who, jobs.downgrade()));
        let count = opened.sinks.len();
        let openings = opened.sinks.iter().map(|(sink, previous)| {
            who.opening((sink.kind(), count), previous, pace, key.as_ref())
        });
        let openings = openings.collect();
        let is_signed = key.is_some();
        let vouching = (key, pace);
        let writer = Writer::new(opened, who, vouching, state.clone(), queue);
        let writer = thread::spawn(move || writer.run(openings));
        if is_signed {
            // A checkpoint may be due.
            let writer = jobs.downgrade();
            let wake = move || {
                let jobs = writer.upgrade();
                jobs.is_some_and(|jobs| jobs.send(Job::Tick).is_ok())
            };
            tokio::spawn(repeat((pace.every.duration() / 2).max(SHORT), wake));
        }
        if state.has_head() {
            // Also while nobody records or asks: what writes it may hang.
            let head = Arc::downgrade(&state);
            let watch = move || head.upgrade().map(|state| state.watch()).is_some();
            tokio::spawn(repeat(LOOK, watch));
        }
        Self(Arc::new(Shared {
            jobs,
            room: Arc::new(Semaphore::new(ROOM)),
            on_failure,
            execution_ids: ExecutionIds::new(),
            state,
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Records an event; waits for room when there is none. What finds none within five seconds
    /// is counted, and the log says what it misses once it takes lines again; so is what nobody
    /// waits for any more.
    pub async fn record(&self, event: Event) {
        let mut waiting = Waiting {
            audit: self,
            event: Some(event),
        };
        if let Ok(room) = self.room(1).await
            && let Some(event) = waiting.event.take()
        {
            self.send(&event, room, None);
        }
    }

    /// Records an event where there is room at once; otherwise it is counted as above.
    pub fn record_at_once(&self, event: &Event) {
        match self.0.room.clone().try_acquire_owned() {
            Ok(room) => self.send(event, room, None),
            Err(_) => self.lose(event),
        }
    }

    /// Counts an event that gets no line, since the log has one that stands for it.
    pub fn count(event: &Event) {
        meter::count(event);
    }

    /// Records an event from where nothing can be awaited.
    pub fn record_now(&self, event: Event) {
        match self.0.room.clone().try_acquire_owned() {
            Ok(room) => self.send(&event, room, None),
            Err(_) => {
                let audit = self.clone();
                tokio::spawn(async move { audit.record(event).await });
            }
        }
    }

    /// Room for the first and the last line of a call.
    ///
    /// # Errors
    /// When there is none within five seconds.
    pub async fn reserve(&self) -> Result<Room, SinkUnavailable> {
        self.room(2).await.map(Room)
    }

    /// Records an event that has its room.
    pub fn record_in(&self, room: &mut Room, event: &Event) {
        match room.0.split(1) {
            Some(room) => self.send(event, room, None),
            None => self.lose(event),
        }
    }

    /// Records an event that has its room, and returns once every sink has taken its line.
    ///
    /// # Errors
    /// When that has not happened within five seconds, or while the log is known not to take lines
    /// a short while; the line may still be written later.
    pub async fn accept_in(&self, room: &mut Room, event: &Event) -> Result<(), SinkUnavailable> {
        let patience = self.patience();
        let (written, taken) = oneshot::channel();
        let room = room.0.split(1).ok_or(SinkUnavailable)?;
        self.send(event, room, Some(written));
        match timeout(patience, taken).await {
            Ok(Ok(_written)) => Ok(()),
            _ => Err(SinkUnavailable),
        }
    }

    /// Whether lines go through.
    pub fn is_writable(&self) -> bool {
        self.0.state.is_writable()
    }

    /// Counts a call that was not made, since there was no room for its lines.
    pub fn refused(&self, client: &Arc<str>) {
        meter::refused(client);
        let is_due = self.0.state.lost.call(client);
        self.lost(is_due);
    }

    /// What calls may go on while they do not.
    pub fn on_failure(&self) -> OnFailure {
        self.0.on_failure
    }

    /// What the log calls a call that begins now.
    pub fn execution_id(&self) -> Uuid {
        self.0.execution_ids.next()
    }

    /// Lines that wait, and lines for which a call in flight holds room.
    pub fn waiting(&self) -> usize {
        ROOM - self.0.room.available_permits()
    }

    async fn room(&self, lines: u32) -> Result<OwnedSemaphorePermit, SinkUnavailable> {
        match timeout(
            self.patience(),
            self.0.room.clone().acquire_many_owned(lines),
        )
        .await
        {
            Ok(Ok(room)) => Ok(room),
            _ => Err(SinkUnavailable),
        }
    }

    /// While the sink is known to be stuck, waiting long would only pile up requests.
    fn patience(&self) -> Duration {
        if self.is_writable() { PATIENCE } else { SHORT }
    }

    fn send(
        &self,
        event: &Event,
        room: OwnedSemaphorePermit,
        written: Option<oneshot::Sender<Written>>,
    ) {
        meter::count(event);
        let open = event.open_line(Timestamp::now());
        let call = event.execution_id.and_then(|id| match event.kind {
            Kind::ToolCallStart => Some(Call::Begins(id)),
            Kind::ToolCallSuccess | Kind::ToolCallError | Kind::ToolCallCancelled => {
                Some(Call::Ends(id))
            }
            _ => None,
        });
        let sent = self.0.jobs.send(Job::Line {
            open,
            call,
            room,
            written,
        });
        if sent.is_err() {
            tracing::error!(
                line = event.kind.name(),
                "recorded after the audit log was closed"
            );
        }
    }

    fn lose(&self, event: &Event) {
        meter::count(event);
        meter::lost();
        let is_due = self
            .0
            .state
            .lost
            .line(event.kind.name(), event.client_id.as_ref());
        self.lost(is_due);
    }

    /// The log says what it lacks where the first of it would have stood, and then now and again.
    fn lost(&self, is_due: bool) {
        if is_due {
            tracing::error!("the audit log has no room: lines are lost, and calls refused");
            let _ = self.0.jobs.send(Job::Lost);
        }
    }
}

/// An event without room. Whoever records it may leave meanwhile, as a client that hangs up does.
struct Waiting<'a> {
    audit: &'a Audit,
    event: Option<Event>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.audit.lose(&event);
        }
    }
}

/// Does something again and again, for as long as there is a use in it.
async fn repeat(every: Duration, mut act: impl FnMut() -> bool) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !act() {
            return;
        }
    }
}

/// The name of the machine or the container, which a restart keeps.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if super::config::is_name(name) {
        name.into()
    } else {
        "zoho-mcp".into()
    }
}

/// Lines that may wait, or be reserved: usually some 8 MiB, and never more than 128.
const ROOM: usize = 8192;
const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(200);
/// Between two looks after the head.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
