//! The writer: a bounded queue, one thread that writes in batches, back-pressure instead of loss.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Event, Kind, chain::Chain};

/// `[audit]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Config {
    pub sinks: Vec<SinkName>,
    pub on_failure: OnFailure,
    pub pseudonym_key: Option<crate::setting::SecretRef>,
}

/// Where lines can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkName {
    /// Standard output.
    Stdout,
}

/// What to do with calls while the sink cannot take a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum OnFailure {
    RefuseAll,
    RefuseWrites,
    Continue,
}

/// The handle that every room records through. Cheap to clone.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    queue: mpsc::Sender<Job>,
    on_failure: OnFailure,
    state: Arc<State>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    broken: AtomicBool,
    lost: AtomicU64,
}

enum Job {
    Line {
        open: Vec<u8>,
        written: Option<oneshot::Sender<()>>,
    },
    Close,
}

/// The sink cannot take a line now.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot take a line")]
pub struct SinkUnavailable;

impl Audit {
    /// Starts the writer: on standard output in the daemon, on anything in tests.
    pub fn start(config: &Config, out: Box<dyn Write + Send>) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let state = Arc::new(State::default());
        let writer = Writer {
            out,
            chain: Chain::new(),
            state: state.clone(),
            jobs,
        };
        let writer = thread::spawn(move || writer.run());
        Self(Arc::new(Shared {
            queue,
            on_failure: config.on_failure,
            state,
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Queues an event; waits for room when the queue is full. What finds no room within five
    /// seconds is counted, and the log says how many lines it misses once it takes lines again.
    pub async fn record(&self, event: Event) {
        let job = Job::Line {
            open: event.open_line(Timestamp::now()),
            written: None,
        };
        if !matches!(timeout(PATIENCE, self.0.queue.send(job)).await, Ok(Ok(()))) {
            self.0.state.lost.fetch_add(1, Ordering::Relaxed);
            self.0.state.broken.store(true, Ordering::Relaxed);
        }
    }

    /// Queues an event and returns once the sink has taken its line.
    ///
    /// # Errors
    /// When that has not happened within five seconds; the line may still be written later.
    pub async fn accept(&self, event: Event) -> Result<(), SinkUnavailable> {
        if !self.is_writable() {
            return Err(SinkUnavailable);
        }
        let (written, taken) = oneshot::channel();
        let job = Job::Line {
            open: event.open_line(Timestamp::now()),
            written: Some(written),
        };
        let accepting = async {
            self.0.queue.send(job).await.map_err(|_| SinkUnavailable)?;
            taken.await.map_err(|_| SinkUnavailable)
        };
        timeout(PATIENCE, accepting).await.map_err(|_| {
            // A pipe that nobody reads fails by silence.
            self.0.state.broken.store(true, Ordering::Relaxed);
            SinkUnavailable
        })?
    }

    /// Whether the last line was taken.
    pub fn is_writable(&self) -> bool {
        !self.0.state.broken.load(Ordering::Relaxed)
    }

    /// What calls may go on while it is not.
    pub fn on_failure(&self) -> OnFailure {
        self.0.on_failure
    }

    /// Writes what is queued and ends the writer.
    pub async fn close(&self) {
        let _ = timeout(PATIENCE, self.0.queue.send(Job::Close)).await;
        let writer = self
            .0
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            let joined = tokio::task::spawn_blocking(move || writer.join());
            let _ = timeout(PATIENCE, joined).await;
        }
    }
}

struct Writer {
    out: Box<dyn Write + Send>,
    chain: Chain,
    state: Arc<State>,
    jobs: mpsc::Receiver<Job>,
}

impl Writer {
    fn run(mut self) {
        let (mut batch, mut acknowledge) = (Vec::with_capacity(64 << 10), Vec::new());
        let mut open = true;
        while open {
            let Some(first) = self.jobs.blocking_recv() else {
                return;
            };
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Line { open, written } => {
                        self.note_what_was_lost(&mut batch);
                        self.line(open, &mut batch);
                        acknowledge.extend(written);
                    }
                    Job::Close => open = false,
                }
                next = if batch.len() < BATCH {
                    self.jobs.try_recv().ok()
                } else {
                    None
                };
            }
            if !self.write(&batch, open) {
                return;
            }
            batch.clear();
            for written in acknowledge.drain(..) {
                let _ = written.send(());
            }
        }
    }

    fn line(&mut self, mut open: Vec<u8>, batch: &mut Vec<u8>) {
        self.chain.close(&mut open);
        batch.append(&mut open);
    }

    fn note_what_was_lost(&mut self, batch: &mut Vec<u8>) {
        let lost = self.state.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let event = Event {
                reason: Some(format!("{lost} lines found no room").into()),
                ..Event::new(Kind::LinesLost)
            };
            self.line(event.open_line(Timestamp::now()), batch);
        }
    }

    /// Writes all of it, trying again for as long as the daemon runs: the queue fills meanwhile,
    /// and whoever waits for it is told.
    fn write(&mut self, mut rest: &[u8], patient: bool) -> bool {
        let mut tries = 0;
        while !rest.is_empty() {
            match self
                .out
                .write(rest)
                .and_then(|written| self.out.flush().map(|()| written))
            {
                Ok(0) => tries = self.fail(&io::ErrorKind::WriteZero.into(), tries),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.state.broken.store(false, Ordering::Relaxed);
                    tries = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => tries = self.fail(&error, tries),
            }
            if tries > 0 && (!patient && tries > LAST_TRIES || self.jobs.is_closed()) {
                return false;
            }
        }
        true
    }

    fn fail(&self, error: &io::Error, tries: u32) -> u32 {
        if !self.state.broken.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the audit log cannot be written");
        }
        thread::park_timeout(RETRY);
        tries + 1
    }
}

/// Lines that may wait.
const QUEUE: usize = 8192;
/// Bytes that are written at once.
const BATCH: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(100);
const LAST_TRIES: u32 = 20;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use serde_json::Value;
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// A sink that does with each write what its script says, and then takes everything.
    struct Scripted {
        script: Receiver<io::Result<usize>>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Scripted {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let length = self
                .script
                .try_recv()
                .unwrap_or(Ok(usize::MAX))?
                .min(buf.len());
            self.taken.send(buf[..length].to_vec()).unwrap();
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn scripted(steps: Vec<io::Result<usize>>) -> (Audit, Receiver<Vec<u8>>) {
        let (step, script) = channel();
        steps.into_iter().for_each(|it| step.send(it).unwrap());
        let (taken, written) = channel();
        let config = Config {
            sinks: vec![SinkName::Stdout],
            on_failure: OnFailure::RefuseWrites,
            pseudonym_key: None,
        };
        (
            Audit::start(&config, Box::new(Scripted { script, taken })),
            written,
        )
    }

    fn lines(written: &Receiver<Vec<u8>>) -> Vec<String> {
        let bytes: Vec<u8> = written.try_iter().flatten().collect();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The rule of docs/audit.md, written again from its text.
    fn verify(lines: &[String]) {
        let mut previous = "0".repeat(64);
        for (n, line) in lines.iter().enumerate() {
            let json: Value = serde_json::from_str(line).unwrap();
            assert_eq!(json["seq"], n as u64 + 1);
            assert_eq!(json["prevHash"], previous);
            let cut = line.rfind(",\"hash\":\"").unwrap();
            let digest = Sha256::digest(format!("{}}}", &line[..cut]));
            previous = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(json["hash"], previous);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_recorders_make_one_chain_without_gaps() {
        let (audit, written) = scripted(vec![]);
        let recorders = (0..20).map(|_| {
            let audit = audit.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    audit.record(Event::new(Kind::ToolCallStart)).await;
                }
            })
        });
        for recorder in recorders.collect::<Vec<_>>() {
            recorder.await.unwrap();
        }
        audit.close().await;
        let lines = lines(&written);
        assert_eq!(lines.len(), 2000);
        verify(&lines);
    }

    #[tokio::test]
    async fn a_sink_that_fails_and_recovers_loses_nothing() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        let (audit, written) = scripted(vec![Ok(10), full(), Ok(3), full(), full()]);
        audit.record(Event::new(Kind::DrainBegin)).await;
        audit.accept(Event::new(Kind::DrainEnd)).await.ok();
        audit.close().await;
        let lines = lines(&written);
        assert_eq!(lines.len(), 2);
        verify(&lines);
        assert!(audit.is_writable());
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_written_is_not_accepted() {
        let broken = (0..200)
            .map(|_| Err(io::ErrorKind::BrokenPipe.into()))
            .collect();
        let (audit, _written) = scripted(broken);
        tokio::time::pause();
        assert!(audit.accept(Event::new(Kind::ToolCallStart)).await.is_err());
    }

    #[tokio::test]
    async fn texts_that_try_to_break_the_line_stay_inside_it() {
        let (audit, written) = scripted(vec![]);
        for text in [
            "a\r\n{\"event\":\"x\"}",
            "\u{2028}\u{1b}[2J\0\"",
            &"x".repeat(1 << 20),
        ] {
            let text = text.to_owned();
            audit
                .record(Event {
                    reason: Some(text.clone().into()),
                    client_id: Some(text.into()),
                    ..Event::new(Kind::AuthFailed)
                })
                .await;
        }
        audit.close().await;
        let lines = lines(&written);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() < 16 << 10));
        verify(&lines);
    }
}
