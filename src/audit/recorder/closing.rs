//! The end of a log: what waits is written, or said to be missing.

use std::{sync::PoisonError, thread::JoinHandle};

use tokio::time::{Instant, timeout_at};

use super::{Audit, PATIENCE, SHORT};
use crate::audit::writer::Job;

/// A sink did not take the last lines.
#[derive(Debug, thiserror::Error)]
#[error(
    "up to {lines} lines, and the closing line, are not in the audit log: {missing} did not take them{whole}"
)]
pub struct Unwritten {
    lines: usize,
    missing: String,
    whole: String,
}

impl Audit {
    /// Writes what is queued and the closing line, and ends the writer. What comes later is lost. A
    /// slow sink has until `until` for it, and at least five seconds, and the last head two seconds
    /// of what it leaves. There is nothing to do for whoever closes it again.
    ///
    /// # Errors
    /// When the sinks have not taken all of it until then, or nothing for five seconds.
    pub async fn close(&self, until: Instant) -> Result<(), Unwritten> {
        let _ = self.0.jobs.send(Job::Close);
        let writer = self
            .0
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(writer) = writer else { return Ok(()) };
        let until = until.max(Instant::now() + PATIENCE);
        let written = self.written(writer, until).await;
        let left = until.saturating_duration_since(Instant::now()).max(SHORT);
        let state = self.0.state.clone();
        let _ = tokio::task::spawn_blocking(move || state.keep(left)).await;
        written
    }

    async fn written(&self, writer: JoinHandle<bool>, until: Instant) -> Result<(), Unwritten> {
        let mut joined = tokio::task::spawn_blocking(move || writer.join());
        let mut next = Instant::now() + PATIENCE;
        loop {
            // A writer that gives up lets go of what it had.
            let lines = self.waiting();
            let before = self.0.state.progress();
            match timeout_at(next, &mut joined).await {
                Ok(Ok(Ok(true))) => return Ok(()),
                Ok(_) => return Err(self.unwritten(lines)),
                Err(_) if next >= until || self.0.state.progress() == before => {
                    return Err(self.unwritten(lines));
                }
                Err(_) => next = until.min(next + PATIENCE),
            }
        }
    }

    fn unwritten(&self, lines: usize) -> Unwritten {
        let whole = self.0.state.names(true);
        Unwritten {
            lines,
            missing: self.0.state.names(false),
            whole: match whole.is_empty() {
                true => whole,
                false => format!("; {whole} has all of it"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        env, fs,
        io::{self, Write},
        path::{Path, PathBuf},
        process::Command,
        sync::mpsc::{Receiver, Sender, channel},
        time::Duration,
    };

    use super::*;
    use crate::audit::{
        Event, Kind,
        head::HeadFile,
        sink::{Opened, Previous, Stream},
        verify::tests::{config, soon, writer},
    };

    /// Takes everything but the beginning of a drain, for which it hangs until the test is over.
    struct Hangs(Receiver<()>);

    impl Write for Hangs {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            if String::from_utf8_lossy(buf).contains("drain_begin") {
                let _ = self.0.recv();
            }
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A folder where whoever writes a head hangs.
    struct Heads(PathBuf);

    impl Heads {
        fn new() -> Self {
            let folder = env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&folder).unwrap();
            let made = Command::new("mkfifo").arg(folder.join("one.head")).status();
            assert!(made.unwrap().success());
            Self(folder)
        }
    }

    impl Drop for Heads {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn log_with_head(folder: &Path) -> (Audit, Sender<()>) {
        let (over, waits) = channel();
        let opened = Opened {
            head: Some(HeadFile::of(folder, "one")),
            ..Opened::of(vec![(
                Box::new(Stream::new(Hangs(waits))),
                Previous::Unknown,
            )])
        };
        let manner = (config().on_failure, config().checkpoint);
        (Audit::write_to(manner, opened, writer(), None), over)
    }

    #[tokio::test]
    async fn a_head_that_hangs_is_waited_for_once() {
        let heads = Heads::new();
        let (audit, _over) = log_with_head(&heads.0);
        let mut took = Vec::new();
        for _ in 0..2 {
            let began = Instant::now();
            audit.close(soon()).await.unwrap();
            took.push(began.elapsed());
        }
        assert!(took[1] < took[0] / 2, "{took:?}");
    }

    #[tokio::test]
    async fn a_head_that_hangs_has_what_the_last_lines_leave_of_their_time() {
        let heads = Heads::new();
        let (audit, _over) = log_with_head(&heads.0);
        let mut room = audit.reserve().await.unwrap();
        let start = Event::new(Kind::ToolCallStart);
        audit.accept_in(&mut room, &start).await.unwrap();
        audit.record(Event::new(Kind::DrainBegin)).await;
        let began = Instant::now();
        assert!(audit.close(began).await.is_err());
        let took = began.elapsed();
        assert!(took < PATIENCE + Duration::from_secs(2), "{took:?}");
    }
}
