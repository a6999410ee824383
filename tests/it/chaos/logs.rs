//! The audit log in a file of each instance.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{FileTypeExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::{
    scene::{Needed, Scene},
    table::{Cell, Row},
};
use crate::{house::House, log::to_file, passage::Fault};

pub(super) struct Written {
    /// Where the log of each instance is, and where it is kept while something else is there.
    logs: [(PathBuf, PathBuf); 2],
    locks: Vec<File>,
    by_turns: Option<AbortOnDropHandle<()>>,
}

pub(super) async fn scene() -> Scene<Written> {
    let one = House::with(to_file).await;
    let other = one
        .replica(|setup| {
            setup.set("audit.sinks", "[\"file:other.jsonl\"]");
        })
        .await;
    let logs = ["audit.jsonl", "other.jsonl"]
        .map(|name| (one.file(name), one.file(&format!("kept-{name}"))));
    Scene {
        houses: [one, other],
        needed: Written {
            logs,
            locks: Vec::new(),
            by_turns: None,
        },
    }
}

impl Written {
    /// Puts something else in the place of the logs. It is made beside them, since the daemon makes a
    /// new file at once where there is none.
    fn replaced(&self, by: impl Fn(&PathBuf)) {
        for (log, kept) in &self.logs {
            let made = log.with_extension("made");
            by(&made);
            fs::rename(log, kept).unwrap();
            while fs::rename(&made, log).is_err() && fs::symlink_metadata(&made).is_ok() {
                fs::remove_file(log).unwrap();
            }
        }
    }

    fn locked(&self) -> Vec<File> {
        let logs = self.logs.iter();
        logs.map(|(log, _)| {
            let file = File::open(log).unwrap();
            file.lock().unwrap();
            file
        })
        .collect()
    }

    /// Locked by somebody else, then not, again and again.
    fn locked_by_turns(&self, held: Duration, free: Duration) -> AbortOnDropHandle<()> {
        let logs = self.logs.clone().map(|(log, _)| log);
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let files: Vec<_> = logs.iter().map(|log| File::open(log).unwrap()).collect();
                let locked: Vec<_> = files.iter().map(|it| it.try_lock()).collect();
                sleep(held).await;
                drop((locked, files));
                sleep(free).await;
            }
        }))
    }
}

impl Needed for Written {
    const NAME: &'static str = "audit log";
    /// A call waits that long for its line, and then is refused or goes on.
    const DEADLINE: Duration = Duration::from_secs(5);

    fn expected(row: &Row) -> Cell {
        row.log
    }

    fn can_suffer(&self, _: Fault) -> bool {
        true
    }

    fn suffers(&mut self, fault: Fault, _: &[House; 2]) {
        match fault {
            Fault::Refused => self.replaced(|log| symlink("/nowhere/audit", log).unwrap()),
            Fault::Reset => self.replaced(|_| ()),
            Fault::Silent => self.replaced(|log| {
                let made = Command::new("mkfifo").arg(log).status().unwrap();
                assert!(made.success());
            }),
            Fault::Failing => self.replaced(|log| symlink("/dev/full", log).unwrap()),
            Fault::Denied => self.replaced(|log| fs::create_dir(log).unwrap()),
            Fault::Busy => self.locks = self.locked(),
            Fault::Slow => {
                let (held, free) = (Duration::from_millis(150), Duration::from_millis(150));
                self.by_turns = Some(self.locked_by_turns(held, free));
            }
            Fault::Flapping => {
                let (held, free) = (Duration::from_millis(900), Duration::from_millis(300));
                self.by_turns = Some(self.locked_by_turns(held, free));
            }
            Fault::Cut => {
                for (log, _) in &self.logs {
                    let mut file = File::options().append(true).open(log).unwrap();
                    file.write_all(b"{\"event\":\"tool_call_st").unwrap();
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn recovers(&mut self, _: &[House; 2]) {
        self.by_turns = None;
        self.locks.clear();
        for (log, kept) in &self.logs {
            // A log that was begun anew stays as it is.
            let begun = fs::symlink_metadata(log).is_ok_and(|it| it.is_file());
            if kept.exists() && !begun {
                read_to_its_end(log);
                let _ = fs::remove_file(log).or_else(|_| fs::remove_dir(log));
                fs::rename(kept, log).unwrap();
            }
        }
    }

    fn detail(&self, _: &House, checks: &Value) -> String {
        match checks["audit_log"]["status"].as_str() {
            None => String::new(),
            Some(status) => format!("audit_log {status}"),
        }
    }
}

/// Reads what is in a pipe for as long as it is written.
fn read_to_its_end(pipe: &Path) {
    let is_pipe = fs::metadata(pipe).is_ok_and(|it| it.file_type().is_fifo());
    if is_pipe {
        let mut pipe = File::open(pipe).unwrap();
        std::thread::spawn(move || io::copy(&mut pipe, &mut io::sink()));
    }
}
