//! A log file: whole batches or nothing, under a lock, so that several instances can share it;
//! made durable as configured; put aside when it is large or its day is over.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};

use super::Sink;
use crate::audit::{
    config::{FileConfig, Fsync},
    line::Line,
};

pub(in crate::audit) struct LogFile {
    path: PathBuf,
    config: FileConfig,
    file: File,
    healed: u64,
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
        };
        if opened.is_regular()? {
            opened.file.lock()?;
            let healed = is_a_log(&opened.file).and_then(|()| opened.heal());
            opened.file.unlock()?;
            healed?;
        }
        Ok(opened)
    }

    pub(in crate::audit) const fn syncs_each_line(&self) -> bool {
        matches!(self.config.fsync, Fsync::Always)
    }

    fn is_regular(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.is_file())
    }

    /// Writes while it holds the lock. A file that was moved away by somebody else is let go.
    fn locked(&mut self, lines: &[u8]) -> io::Result<()> {
        self.heal()?;
        let before = self.file.metadata()?;
        if self.is_over(&before, lines.len()) {
            self.put_aside()?;
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

    /// Gives the file its final name and goes on with a new one.
    fn put_aside(&mut self) -> io::Result<()> {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}", now.strftime("%Y%m%dT%H%M%S%.6fZ")));
        // A clock that was set back may not cost a file.
        while Path::new(&name).exists() {
            name.push("+");
        }
        fs::rename(&self.path, name)?;
        self.file = append_to(&self.path)?;
        self.file.lock()?;
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Sink for LogFile {
    fn kind(&self) -> &'static str {
        "file"
    }

    /// All of it, or nothing.
    fn take(&mut self, lines: &[u8]) -> io::Result<usize> {
        loop {
            if !is_at(&self.file, &self.path)? {
                self.file = append_to(&self.path)?;
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

    fn healed(&mut self) -> u64 {
        std::mem::take(&mut self.healed)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(true).mode(0o600);
    match options.open(path) {
        // A device or a pipe can perhaps only be written.
        Err(_) if path.exists() => OpenOptions::new().append(true).open(path),
        opened => opened,
    }
}

/// Whether the open file is still the one at the path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (open, there) = (
        file.metadata()?,
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            there => there?,
        },
    );
    Ok(open.dev() == there.dev() && open.ino() == there.ino())
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
mod tests {
    use super::*;
    use crate::setting::Size;

    struct Folder(PathBuf);

    /// A line of a log.
    const FIRST: &str = "{\"timestamp\":\"2026-03-31T00:00:00.000Z\",\"event\":\"e\",\"instance\":\"i\",\"boot\":\"0123456789abcdef\",\"seq\":1,\"prevHash\":\"p\",\"hash\":\"h\"}\n";

    fn config(max_size: &str) -> FileConfig {
        FileConfig {
            max_size: max_size.parse::<Size>().unwrap(),
            daily: true,
            fsync: Fsync::Group,
        }
    }

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn log(&self) -> PathBuf {
            self.0.join("audit.jsonl")
        }

        fn open(&self, max_size: &str) -> LogFile {
            LogFile::open(&self.log(), config(max_size)).unwrap()
        }

        /// The content of every file, the oldest first.
        fn contents(&self) -> Vec<String> {
            let mut paths: Vec<_> = fs::read_dir(&self.0)
                .unwrap()
                .map(|it| it.unwrap().path())
                .collect();
            paths.sort_by_key(|path| (path == &self.log(), path.clone()));
            paths
                .iter()
                .map(|path| fs::read_to_string(path).unwrap())
                .collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_unfinished_line_is_removed_and_counted() {
        let folder = Folder::new();
        let unfinished = format!("{FIRST}bcd");
        for (found, kept) in [
            (FIRST, FIRST),
            (&unfinished, FIRST),
            ("{\"timestamp\":\"2026", ""),
            ("{\"ti", ""),
            ("", ""),
        ] {
            fs::write(folder.log(), found).unwrap();
            let mut log = folder.open("1MiB");
            assert_eq!(log.healed(), (found.len() - kept.len()) as u64, "{found:?}");
            log.take(b"z\n").unwrap();
            assert_eq!(
                fs::read_to_string(folder.log()).unwrap(),
                format!("{kept}z\n")
            );
        }
        fs::write(folder.log(), format!("{FIRST}{}", "x".repeat(200_000))).unwrap();
        assert_eq!(folder.open("1MiB").healed(), 200_000);
    }

    #[test]
    fn a_file_that_is_no_log_is_left_as_it_is() {
        let folder = Folder::new();
        for found in ["{\"keys\":[]}", "{}\n", "a\nb", "{\"timestamp\":\"t\"}\nx"] {
            fs::write(folder.log(), found).unwrap();
            let refused = LogFile::open(&folder.log(), config("1MiB")).map(|_| ());
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert_eq!(fs::read_to_string(folder.log()).unwrap(), found);
        }
    }

    #[test]
    fn a_full_file_is_put_aside_between_two_batches() {
        let folder = Folder::new();
        let mut log = folder.open("8B");
        for batch in ["1234\n", "56\n", "7\n", "89\n"] {
            log.take(batch.as_bytes()).unwrap();
        }
        assert_eq!(folder.contents(), ["1234\n56\n", "7\n89\n"]);
        log.take(b"longer than a file may be\n").unwrap();
        assert_eq!(folder.contents()[2], "longer than a file may be\n");
    }

    #[test]
    fn a_day_ends_with_its_file() {
        let folder = Folder::new();
        fs::write(folder.log(), FIRST).unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
        File::options()
            .append(true)
            .open(folder.log())
            .unwrap()
            .set_modified(old)
            .unwrap();
        folder.open("1MiB").take(b"today\n").unwrap();
        assert_eq!(folder.contents(), [FIRST, "today\n"]);
    }

    #[test]
    fn two_instances_share_a_file_that_is_put_aside() {
        let folder = Folder::new();
        let (mut one, mut other) = (folder.open("64B"), folder.open("64B"));
        for n in 10..50 {
            one.take(format!("one {n}\n").as_bytes()).unwrap();
            other.take(format!("other {n}\n").as_bytes()).unwrap();
        }
        let contents = folder.contents();
        assert!(contents.len() > 5 && contents.iter().all(|text| text.len() <= 64));
        let lines: Vec<_> = contents.iter().flat_map(|text| text.lines()).collect();
        assert_eq!(lines.len(), 80);
        assert!(
            lines
                .chunks(2)
                .enumerate()
                .all(|(n, pair)| pair == [format!("one {}", n + 10), format!("other {}", n + 10)])
        );
    }

    #[test]
    fn a_full_disk_leaves_no_half_line() {
        let folder = Folder::new();
        let mut log = folder.open("1MiB");
        log.take(b"one\n").unwrap();
        fs::rename(folder.log(), folder.0.join("kept")).unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.log()).unwrap();
        assert_eq!(
            log.take(b"two\n").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        fs::remove_file(folder.log()).unwrap();
        fs::rename(folder.0.join("kept"), folder.log()).unwrap();
        log.take(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), "one\ntwo\n");
    }
}
