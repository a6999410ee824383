//! A log file: whole batches or nothing, under a lock, so that several instances can share it;
//! made durable as configured; put aside when it is large or its day is over.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Sink,
    place::{Gone, Unwritable, append_to, folder_of, gone, is_at, lock_soon},
};
use crate::audit::{
    config::{FileConfig, Fsync},
    line::Line,
};

pub(in crate::audit) struct LogFile {
    path: PathBuf,
    config: FileConfig,
    file: File,
    healed: u64,
    /// Somebody was told that it cannot be put aside.
    stays: bool,
}

impl LogFile {
    /// Opens the file, or makes it for its owner only, and removes what a process that was killed
    /// left of an unfinished line: nobody was ever told that this line was taken.
    pub(in crate::audit) fn open(path: &Path, config: FileConfig) -> io::Result<Self> {
        let mut opened = Self {
            file: append_to(path)?,
            path: path.to_path_buf(),
            config,
            healed: 0,
            stays: false,
        };
        if opened.is_regular()? {
            lock_soon(&opened.file)?;
            let healed = is_a_log(&opened.file).and_then(|()| opened.heal());
            opened.file.unlock()?;
            healed?;
        }
        Ok(opened)
    }

    /// Looks whether a file that is there could be opened so, and leaves it as it is.
    pub(in crate::audit) fn check(path: &Path) -> io::Result<()> {
        let file = File::options().append(true).read(true).open(path)?;
        lock_soon(&file)?;
        let checked = is_a_log(&file);
        file.unlock()?;
        checked
    }

    pub(in crate::audit) const fn syncs_each_line(&self) -> bool {
        matches!(self.config.fsync, Fsync::Always)
    }

    fn is_regular(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.is_file())
    }

    /// Writes while it holds the lock.
    fn locked(&mut self, lines: &[u8]) -> io::Result<()> {
        self.heal()?;
        let before = self.file.metadata()?;
        if self.is_over(&before, lines.len()) && self.put_aside()? {
            // Another instance may have written to the new file before this one had its lock.
            let length = self.file.metadata()?.len();
            return self.append(lines, length);
        }
        self.append(lines, before.len())
    }

    /// All of it, or none: a disk that fills up half-way gets the file back as it was.
    fn append(&mut self, lines: &[u8], length: u64) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.sync());
        if written.is_err() {
            let _ = self.file.set_len(length);
        }
        written
    }

    fn sync(&self) -> io::Result<()> {
        match self.config.fsync {
            Fsync::Always | Fsync::Group => self.file.sync_data(),
            Fsync::Never => Ok(()),
        }
    }

    fn heal(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let whole = whole_lines(&self.file, length)?;
        if whole < length {
            self.file.set_len(whole)?;
            self.healed += length - whole;
        }
        Ok(())
    }

    fn is_over(&self, file: &fs::Metadata, more: usize) -> bool {
        let full = file.len() + more as u64 > self.config.max_size.bytes() as u64;
        let yesterday = self.config.daily && day(file.mtime()) != day(Timestamp::now().as_second());
        file.len() > 0 && (full || yesterday)
    }

    /// Gives the file its final name and goes on with a new one; false where it cannot get one, so
    /// that it grows on: no line is refused for that.
    fn put_aside(&mut self) -> io::Result<bool> {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}", now.strftime("%Y%m%dT%H%M%S%.6fZ")));
        // A clock that was set back may not cost a file.
        while Path::new(&name).exists() {
            name.push("+");
        }
        if let Err(error) = fs::rename(&self.path, name) {
            if !std::mem::replace(&mut self.stays, true) {
                let path = self.path.display();
                tracing::error!(%path, %error, "the audit log cannot be put aside, so it is written on, beyond its size or day: let the daemon's user write the folder, and mount the folder rather than the file");
            }
            return Ok(false);
        }
        self.stays = false;
        self.file = append_to(&self.path)?;
        self.file.lock()?;
        File::open(folder_of(&self.path))?.sync_all()?;
        Ok(true)
    }

    /// Goes on with another file, and says so unless the instances do that among themselves.
    fn begin_anew(&mut self) -> io::Result<()> {
        let new = append_to(&self.path)?;
        let old = std::mem::replace(&mut self.file, new);
        let log = self.path.file_name().and_then(|name| name.to_str());
        let aside = |name: &str| {
            let rest = log.and_then(|log| name.strip_prefix(log)?.strip_prefix('.'));
            rest.is_some_and(|time| time.trim_end_matches('+').ends_with('Z'))
        };
        let path = self.path.display();
        match gone(&old, &self.path, aside) {
            Ok(Gone::PutAside) => {}
            Ok(Gone::Deleted) => {
                tracing::error!(%path, "the audit log was deleted while it was written: its lines are lost, a new file is begun, and `zoho-mcp audit verify` says which are missing");
            }
            Ok(Gone::Moved) => {
                tracing::error!(%path, "the audit log was moved away while it was written: a new file is begun in which the chain goes on; keep the other one with it");
            }
            Err(error) => {
                tracing::error!(%path, %error, "the audit log is not where it was: a new file is begun");
            }
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        loop {
            if !is_at(&self.file, &self.path)? {
                self.begin_anew()?;
            }
            if !self.is_regular()? {
                return self.file.write_all(lines).map(|()| lines.len());
            }
            self.file.lock()?;
            // It may have been put aside while this waited for the lock.
            if is_at(&self.file, &self.path)? {
                break;
            }
            self.file.unlock()?;
        }
        let taken = self.locked(lines);
        let _ = self.file.unlock();
        taken.map(|()| lines.len())
    }
}

impl Sink for LogFile {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// All of it, or nothing.
    fn take(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write(lines)
            .map_err(|error| Unwritable::at(&self.path, error))
    }

    fn healed(&mut self) -> u64 {
        std::mem::take(&mut self.healed)
    }
}

/// Refuses a file that holds something else, named by mistake: it would be cut and added to.
fn is_a_log(mut file: &File) -> io::Result<()> {
    let mut beginning = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(BLOCK).read_to_end(&mut beginning)?;
    let mut lines = beginning.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let is_ours = match lines.next() {
        Some(_) => Line::read(first).is_some(),
        // An unfinished first line.
        None => first.iter().zip(BEGINNING).all(|(a, b)| a == b),
    };
    if is_ours {
        return Ok(());
    }
    let why = "it holds something else than an audit log";
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}

/// Where the last whole line ends.
fn whole_lines(mut file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut block = Vec::new();
    while end > 0 {
        // The last byte tells it all, most often.
        let start = if end == length {
            end - 1
        } else {
            end.saturating_sub(BLOCK)
        };
        block.resize(usize::try_from(end - start).unwrap_or_default(), 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

const fn day(seconds: i64) -> i64 {
    seconds.div_euclid(86_400)
}

const BLOCK: u64 = 64 << 10;
/// How every line begins.
const BEGINNING: &[u8] = b"{\"timestamp\":\"";

#[cfg(test)]
mod tests;
