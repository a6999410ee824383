//! Where lines go: standard output, a file, or both.

mod claim;
mod file;
mod place;
mod tail;
mod unended;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    PublicKey,
    config::{Config, Destination},
    head::HeadFile,
    stdout::stdout,
};

pub(super) use claim::Claim;
pub(super) use file::LogFile;
pub(super) use tail::{Previous, Tail};

use self::place::Unwritable;

/// Takes lines. What failed is given again, the same bytes, until it succeeds.
pub(super) trait Sink: Send {
    /// What the log calls its kind.
    fn kind(&self) -> &'static str;

    /// What people call it.
    fn name(&self) -> String {
        self.kind().to_owned()
    }

    /// Takes as much as it can at once of a batch, and says how many bytes; once this returns, they
    /// are as durable as the sink makes them.
    fn take(&mut self, lines: &[u8]) -> io::Result<usize>;

    /// Bytes of an unfinished line, left by a process that was killed, that were removed since
    /// this was last asked.
    fn healed(&mut self) -> u64 {
        0
    }
}

/// A stream that takes what it can: standard output, most often a pipe.
pub(super) struct Stream<W>(W);

impl<W: Write + Send> Stream<W> {
    pub(super) const fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write + Send> Sink for Stream<W> {
    fn kind(&self) -> &'static str {
        "stdout"
    }

    fn name(&self) -> String {
        STANDARD_OUTPUT.to_owned()
    }

    /// A few lines at a time: a pipe gives control back only when it has all that it was given, and
    /// until then nobody could tell a slow reader from one that is gone.
    fn take(&mut self, lines: &[u8]) -> io::Result<usize> {
        let few = lines.get(..AT_ONCE).unwrap_or(lines);
        let end = few.iter().rposition(|&byte| byte == b'\n');
        let whole = end.and_then(|end| few.get(..=end)).unwrap_or(few);
        let taken = loop {
            match self.0.write(whole) {
                Ok(0) if !whole.is_empty() => break Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => break self.0.flush().map(|()| written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        taken.map_err(|error| Unwritable::at(Path::new(STANDARD_OUTPUT), error))
    }
}

/// The configured sinks.
pub(super) struct Opened {
    /// Each with what it knows of the last run of this instance. The chain in each is its own: a
    /// process that is killed may have reached one and not the other.
    pub(super) sinks: Vec<(Box<dyn Sink>, Previous)>,
    /// Lines of a batch, at most.
    pub(super) batch: usize,
    /// Where it is noted how far the log has come.
    pub(super) head: Option<HeadFile>,
    /// Held for as long as it is written.
    pub(super) claims: Vec<Claim>,
}

impl Opened {
    /// Sinks with nothing beside them.
    pub(super) const fn of(sinks: Vec<(Box<dyn Sink>, Previous)>) -> Self {
        Self {
            sinks,
            batch: MOST_LINES,
            head: None,
            claims: Vec::new(),
        }
    }
}

/// A log file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot write to {}", path.display())]
pub struct CannotOpen {
    key: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl CannotOpen {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::ResourceBusy => {
                "give each daemon an `instance` name of its own under [audit], or end the other one"
            }
            _ if self.key == HEADS => {
                "make the folder, let the daemon's user write it, or name another one"
            }
            kind => place::remedy(kind),
        }
    }
}

/// Opens what `[audit] sinks` names; paths are relative to `base`. A refusal leaves no new file.
pub(super) fn open(
    config: &Config,
    base: &Path,
    instance: &str,
    key: Option<PublicKey>,
) -> Result<Opened, CannotOpen> {
    let files = config.sinks.iter().filter_map(|sink| match sink {
        Destination::File(path) => Some(base.join(path)),
        Destination::Stdout => None,
    });
    let new: Vec<PathBuf> = files.filter(|path| !path.exists()).collect();
    let opened = open_all(config, base, instance, key);
    if opened.is_err() {
        for path in new {
            let is_empty = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() == 0);
            if is_empty {
                let _ = fs::remove_file(path);
            }
        }
    }
    opened
}

fn open_all(
    config: &Config,
    base: &Path,
    instance: &str,
    key: Option<PublicKey>,
) -> Result<Opened, CannotOpen> {
    let mut sinks: Vec<(Box<dyn Sink>, Previous)> = Vec::new();
    let (mut batch, mut claims) = (MOST_LINES, Vec::new());
    once_each(config, base)?;
    // The head is that of the first sink, and a file keeps what it has.
    let (streams, files): (Vec<_>, Vec<_>) =
        { config.sinks.iter() }.partition(|sink| **sink == Destination::Stdout);
    for sink in files.into_iter().chain(streams) {
        match sink {
            Destination::Stdout => {
                let out = stdout().map_err(|source| CannotOpen {
                    key: SINKS,
                    path: STANDARD_OUTPUT.into(),
                    source,
                })?;
                sinks.push((Box::new(Stream::new(out)), Previous::Unknown));
            }
            Destination::File(path) => {
                let path = place_of(base.join(path));
                let opened = LogFile::open(&path, config.file)
                    .and_then(|file| Ok((file, claim_to(&path, instance)?)));
                let (file, claim) = opened.map_err(|source| CannotOpen {
                    key: SINKS,
                    path: path.clone(),
                    source,
                })?;
                claims.extend(claim);
                let found = tail::previous(&path, instance);
                let previous = match key {
                    Some(key) => found.verified(&path, key),
                    None => found,
                };
                if file.syncs_each_line() {
                    batch = 1;
                }
                sinks.push((Box::new(file), previous));
            }
        }
    }
    let heads = heads(config, base)?;
    if let Some(path) = &heads {
        let claim = Claim::to(path, "head", instance).map_err(|source| CannotOpen {
            key: HEADS,
            path: path.clone(),
            source,
        })?;
        claims.extend(claim);
    }
    Ok(Opened {
        sinks,
        batch,
        head: heads.map(|folder| HeadFile::of(&folder, instance)),
        claims,
    })
}

/// A device or a pipe is nobody's.
fn claim_to(path: &Path, instance: &str) -> io::Result<Option<Claim>> {
    let name = path.file_name().and_then(|name| name.to_str());
    match name.filter(|_| path.is_file()) {
        Some(name) => Claim::to(place::folder_of(path), name, instance),
        None => Ok(None),
    }
}

/// Where a link leads: what is put aside stays beside the file, on its disk.
fn place_of(path: PathBuf) -> PathBuf {
    fs::canonicalize(&path).unwrap_or(path)
}

/// Refuses two names of one file: every line would be in it twice.
fn once_each(config: &Config, base: &Path) -> Result<(), CannotOpen> {
    let mut places = BTreeSet::new();
    for sink in &config.sinks {
        let Destination::File(path) = sink else {
            continue;
        };
        let path = base.join(path);
        let folder = fs::canonicalize(place::folder_of(&path)).unwrap_or_default();
        let name = path.file_name().unwrap_or_default();
        let place = fs::canonicalize(&path).unwrap_or_else(|_| folder.join(name));
        if !places.insert(place) {
            let why = "another sink is the same file";
            let source = io::Error::new(io::ErrorKind::AlreadyExists, why);
            return Err(CannotOpen {
                key: SINKS,
                path,
                source,
            });
        }
    }
    Ok(())
}

/// Looks whether the files could be written.
pub(super) fn check(config: &Config, base: &Path) -> Result<(), CannotOpen> {
    once_each(config, base)?;
    heads(config, base)?;
    for sink in &config.sinks {
        let Destination::File(path) = sink else {
            continue;
        };
        let path = place_of(base.join(path));
        let looked = is_writable(place::folder_of(&path)).and_then(|()| match path.is_file() {
            true => LogFile::check(&path),
            false => Ok(()),
        });
        if let Err(source) = looked {
            return Err(CannotOpen {
                key: SINKS,
                path,
                source,
            });
        }
    }
    Ok(())
}

/// The folder for heads, where there is to be one.
fn heads(config: &Config, base: &Path) -> Result<Option<PathBuf>, CannotOpen> {
    let Some(folder) = &config.heads else {
        return Ok(None);
    };
    let path = base.join(folder);
    match is_writable(&path) {
        Ok(()) => Ok(Some(path)),
        Err(source) => Err(CannotOpen {
            key: HEADS,
            path,
            source,
        }),
    }
}

fn is_writable(folder: &Path) -> io::Result<()> {
    let metadata = fs::metadata(folder)?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    // Permissions say little: the disk may be read-only, and rights come from elsewhere.
    let trial = folder.join(format!(".zoho-mcp-{}", uuid::Uuid::new_v4()));
    let file = fs::File::options()
        .write(true)
        .create_new(true)
        .open(&trial)?;
    drop(file);
    fs::remove_file(&trial)
}

const STANDARD_OUTPUT: &str = "standard output";
const SINKS: &str = "audit.sinks";
const HEADS: &str = "audit.heads";
/// Bytes that a stream is given at once: as many as a pipe takes in one piece, so that a slow reader
/// is seen to read.
const AT_ONCE: usize = 4 << 10;
/// Lines that are written, and made durable, at once.
pub(super) const MOST_LINES: usize = 512;
