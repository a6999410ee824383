//! Where the last run of this instance ended, as its file shows it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::unended::unended;
use crate::audit::{
    PublicKey,
    verify::{Expectations, Place, Verifier},
};

/// What is known of the run before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Previous {
    /// Its last line.
    Named(Tail),
    /// Its last line, but its signatures are bad or missing, or another key's.
    Unverified(Tail),
    /// There was none in the file.
    None,
    /// Standard output keeps nothing, or too much was written since to be looked through.
    Unknown,
}

/// The last line of a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::audit) struct Tail {
    instance: String,
    pub(in crate::audit) boot: String,
    pub(in crate::audit) seq: u64,
    pub(in crate::audit) hash: String,
    #[serde(default)]
    event: String,
    /// Calls of a run that did not close its log that have a start in it and no end, where that is
    /// known.
    #[serde(skip)]
    pub(in crate::audit) unended: Option<usize>,
}

impl Tail {
    /// Whether the run ended its log itself.
    pub(in crate::audit) fn is_closed(&self) -> bool {
        self.event == "log_close"
    }
}

/// Looks for the last line of `instance` in the file, and in the one that was put aside last.
pub(super) fn previous(log: &Path, instance: &str) -> Previous {
    let Aside { files, others } = put_aside(log);
    let last = files.last();
    let mut whole = files.len() < 2 && !others;
    for path in [Some(&log.to_path_buf()), last].into_iter().flatten() {
        match last_line(path, instance) {
            Ok(Look::Found(tail)) => return Previous::Named(tail.with_unended(log)),
            Ok(Look::Nothing) => {}
            Ok(Look::TooLong) | Err(_) => whole = false,
        }
    }
    if whole {
        Previous::None
    } else {
        Previous::Unknown
    }
}

impl Tail {
    /// Looks for what the run left undone, where it did not close its log, and says so.
    fn with_unended(mut self, path: &Path) -> Self {
        if self.is_closed() {
            return self;
        }
        self.unended = unended(&last_parts(path), &self.boot);
        tracing::warn!(
            boot = self.boot,
            seq = self.seq,
            unended = self.unended,
            "the last run did not close the audit log: it was killed, or could not write its end; what it had not written by then is lost, and so many calls (unended, where it is known) have a start there and no end"
        );
        self
    }
}

impl Previous {
    /// Whether the run's own signatures say the same as the file: whoever names a run vouches for
    /// it, and must not vouch for what somebody wrote anew.
    pub(in crate::audit) fn verified(self, path: &Path, key: PublicKey) -> Self {
        match self {
            Self::Named(tail) if !is_vouched(path, &tail, key) => {
                tracing::warn!(
                    boot = tail.boot,
                    "the last run in the audit log is not signed as it should be: it was changed, or signed by another key; `zoho-mcp audit verify` says where"
                );
                Self::Unverified(tail)
            }
            other => other,
        }
    }
}

/// Verifies as much of the end of a run as holds a signature for certain.
fn is_vouched(path: &Path, tail: &Tail, key: PublicKey) -> bool {
    let parts = last_parts(path);
    let mut verifier = Verifier::new(Expectations {
        keys: vec![key],
        open: true,
        partial: true,
        heads: Vec::new(),
        signed_since: None,
    });
    for line in lines_of(&parts) {
        let of = serde_json::from_slice::<Tail>(line);
        if of.is_ok_and(|of| of.boot == tail.boot) {
            verifier.line(Place { file: 0, line: 0 }, line);
        }
    }
    verifier.finish().is_good()
}

/// The end of the log, up to a bound: of each file what is read of it, the oldest first.
fn last_parts(path: &Path) -> Vec<Vec<u8>> {
    let mut paths = put_aside(path).files;
    paths.push(path.to_path_buf());
    let mut left = LAST_LOOK;
    let mut parts = Vec::new();
    for path in paths.iter().rev() {
        let Ok(bytes) = last_bytes(path, left) else {
            break;
        };
        left = left.saturating_sub(bytes.len() as u64);
        parts.push(bytes);
        if left == 0 {
            break;
        }
    }
    parts.reverse();
    parts
}

/// Their lines; one that lacks its beginning is no JSON.
pub(super) fn lines_of(parts: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    parts
        .iter()
        .flat_map(|part| part.split(|&byte| byte == b'\n'))
}

fn last_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files of a log that were put aside.
#[derive(Default)]
struct Aside {
    /// The oldest first.
    files: Vec<PathBuf>,
    /// Whether somebody packed some, or gave them other names.
    others: bool,
}

fn put_aside(path: &Path) -> Aside {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Aside::default();
    };
    let prefix = format!("{name}.");
    let names = fs::read_dir(folder.unwrap_or(Path::new(".")));
    let siblings = names.into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let time = name.to_str()?.strip_prefix(&prefix)?;
        Some((entry.path(), is_time(time)))
    });
    let (ours, others): (Vec<_>, Vec<_>) = siblings.partition(|(_, is_ours)| *is_ours);
    let mut files: Vec<_> = ours.into_iter().map(|(path, _)| path).collect();
    files.sort();
    Aside {
        files,
        others: !others.is_empty(),
    }
}

/// Whether a name ends as that of a file that was put aside.
fn is_time(text: &str) -> bool {
    let (day, rest) = text.split_at_checked(8).unwrap_or_default();
    let is_digits = day.bytes().all(|byte| byte.is_ascii_digit());
    let is_rest = |byte| matches!(byte, b'0'..=b'9' | b'T' | b'.' | b'Z' | b'+');
    is_digits && rest.starts_with('T') && rest.bytes().all(is_rest)
}

/// What a look at the end of a file showed.
enum Look {
    Found(Tail),
    /// The whole file has no line of the instance.
    Nothing,
    /// The file was too long to be read whole, or is none.
    TooLong,
}

fn last_line(path: &Path, instance: &str) -> io::Result<Look> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(Look::TooLong);
    }
    let length = file.metadata()?.len();
    let mut window = FIRST_LOOK;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&file).take(window).read_to_end(&mut bytes)?;
        // The first line of a window may lack its beginning; it is then no JSON.
        let lines = bytes.rsplit(|&byte| byte == b'\n');
        let mut tails = lines.filter_map(|line| serde_json::from_slice::<Tail>(line).ok());
        if let Some(tail) = tails.find(|tail| tail.instance == instance) {
            return Ok(Look::Found(tail));
        }
        if start == 0 {
            return Ok(Look::Nothing);
        }
        if window >= LAST_LOOK {
            return Ok(Look::TooLong);
        }
        window *= 16;
    }
}

const FIRST_LOOK: u64 = 64 << 10;
const LAST_LOOK: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(instance: &str, seq: u64) -> String {
        format!("{{\"instance\":\"{instance}\",\"boot\":\"b\",\"seq\":{seq},\"hash\":\"h\"}}\n")
    }

    #[test]
    fn the_last_line_of_an_instance_is_found_wherever_it_is() {
        let folder = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let log = folder.join("audit.jsonl");
        let put_aside = |time: &str| folder.join(format!("audit.jsonl.{time}"));
        let found = |instance: &str| match previous(&log, instance) {
            Previous::Named(tail) => Some(tail.seq),
            Previous::None => Some(0),
            Previous::Unverified(_) | Previous::Unknown => None,
        };
        fs::write(&log, "").unwrap();
        assert_eq!(found("a"), Some(0));
        let many = line("b", 9).repeat(3000);
        fs::write(&log, line("a", 1) + &line("a", 2) + &many).unwrap();
        assert_eq!(
            (found("a"), found("b"), found("c")),
            (Some(2), Some(9), Some(0))
        );
        fs::rename(&log, put_aside("20260102T")).unwrap();
        fs::write(&log, line("c", 5)).unwrap();
        assert_eq!(
            (found("a"), found("c"), found("d")),
            (Some(2), Some(5), Some(0))
        );
        fs::write(put_aside("20260101T"), line("d", 7)).unwrap();
        assert_eq!((found("a"), found("d")), (Some(2), None));
        fs::write(put_aside("20260103T.gz"), "packed").unwrap();
        assert_eq!(found("a"), Some(2));
        fs::remove_file(put_aside("20260101T")).unwrap();
        assert_eq!(found("d"), None, "it may be in what was packed");
        fs::remove_dir_all(folder).unwrap();
    }
}
