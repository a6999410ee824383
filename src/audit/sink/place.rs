//! A file and the path at which it was: others may move it, delete it, or hold its lock.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What became of an open file that is not at its path any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// Another instance that shares it was first to put it aside.
    PutAside,
    /// It is somewhere else, or under another name.
    Moved,
    /// No name is left to it: what was in it is lost.
    Deleted,
}

/// A file that cannot be written: where it is, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}: {}", path.display(), remedy(cause.kind()))]
pub(super) struct Unwritable {
    path: PathBuf,
    cause: io::Error,
}

impl Unwritable {
    /// Of the same kind as its cause.
    pub(super) fn at(path: &Path, cause: io::Error) -> io::Error {
        let (kind, path) = (cause.kind(), path.to_path_buf());
        io::Error::new(kind, Self { path, cause })
    }
}

/// What to do about a file that cannot be written.
pub(super) const fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on its disk",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let the daemon's user write the folder and the file, or name another file"
        }
        io::ErrorKind::WouldBlock => "end the process that holds its lock, or name another file",
        io::ErrorKind::InvalidData => "name another file",
        io::ErrorKind::BrokenPipe => {
            "start again what reads it, and the daemon with it if it cannot read the same pipe"
        }
        io::ErrorKind::AlreadyExists => "name each file once",
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "make the folder, or name another file"
        }
        _ => "see to the disk, or name another file",
    }
}

/// Opens a file to add to, or makes it for its owner only.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(true).mode(0o600);
    match options.open(path) {
        // A device or a pipe can perhaps only be written.
        Err(_) if path.exists() => OpenOptions::new().append(true).open(path),
        opened => opened,
    }
}

/// Whether the open file is still the one at the path.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        there => Ok(is_same(&file.metadata()?, &there?)),
    }
}

/// Locks a file, but does not wait for ever for somebody who does not let it go.
pub(super) fn lock_soon(file: &File) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                let why = "another process holds its lock";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
            }
            Err(TryLockError::WouldBlock) => thread::park_timeout(RETRY),
        }
    }
}

/// What became of a file that is not at the path any more, where `aside` says which names are given
/// to files that are put aside.
pub(super) fn gone(file: &File, path: &Path, aside: impl Fn(&str) -> bool) -> io::Result<Gone> {
    let open = file.metadata()?;
    if open.nlink() == 0 {
        return Ok(Gone::Deleted);
    }
    for entry in fs::read_dir(folder_of(path))? {
        let entry = entry?;
        let is_it = || entry.metadata().is_ok_and(|there| is_same(&open, &there));
        if entry.file_name().to_str().is_some_and(&aside) && is_it() {
            return Ok(Gone::PutAside);
        }
    }
    Ok(Gone::Moved)
}

/// Where the file is, or is to be.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    one.dev() == other.dev() && one.ino() == other.ino()
}

/// Whoever shares a file holds its lock for one batch.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(20);
