//! Secrets in files: read with bounds; changed by one process at a time and never by halves.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{Secret, SecretError, SecretWarning};

pub(super) fn read(path: PathBuf) -> Result<Secret, SecretError> {
    let failed = |source| SecretError::File {
        path: path.clone(),
        source,
    };
    // Opening a pipe would wait for its writer.
    let metadata = fs::metadata(&path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(SecretError::NotAFile { path });
    }
    // The capacity is enough from the start: growing would leave a copy of the secret behind.
    let expected = usize::try_from(metadata.len())
        .unwrap_or(MAX_BYTES)
        .min(MAX_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    File::open(&path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    let secret = Secret::within(MAX_BYTES, &bytes, || format!("file {}", path.display()))?;
    Ok(Secret {
        warning: warning(path, &metadata),
        ..secret
    })
}

/// The warning that comes with the secret in a file, without reading it.
pub(super) fn exposed(path: PathBuf) -> Option<SecretWarning> {
    let metadata = fs::metadata(&path).ok()?;
    warning(path, &metadata)
}

fn warning(path: PathBuf, metadata: &Metadata) -> Option<SecretWarning> {
    let mode = metadata.mode() & 0o777;
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    is_open(mode, is_ours).then_some(SecretWarning::OthersCanRead { path, mode })
}

/// Whether more may read it than have to. A file of another owner, such as one that an orchestrator
/// mounts, is read through its group.
const fn is_open(mode: u32, is_ours: bool) -> bool {
    let needed = if is_ours { 0o700 } else { 0o740 };
    mode & !needed & 0o777 != 0
}

/// Held while a file is read, changed and replaced. The file itself cannot carry the lock, since
/// each change puts another file in its place. Blocks until whoever holds it lets go.
///
/// # Errors
/// When the lock file beside `path` cannot be made.
pub fn lock(path: &Path) -> io::Result<File> {
    let lock = beside(&target(path), "lock")?;
    let file = private(OpenOptions::new().write(true).create(true).truncate(false)).open(lock)?;
    file.lock().map(|()| file)
}

/// Puts a whole file in place at once, with mode 600: a reader finds the old one or the new one,
/// and after a crash as well. A link stays a link.
///
/// # Errors
/// When it cannot be written; the old one is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = target(path);
    let temporary = beside(&target, "tmp")?;
    // One that is there was left by a crash: nobody else writes while the lock is held.
    let left = fs::remove_file(&temporary);
    left.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&temporary)?;
    if let Ok(old) = fs::metadata(&target) {
        keep_access(&file, &old)?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, &target)?;
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Where the file really is.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn beside(target: &Path, suffix: &str) -> io::Result<PathBuf> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no name of a file"))?;
    let name = format!(".{}.{suffix}", name.to_string_lossy());
    Ok(target.with_file_name(name))
}

/// The daemon often runs as somebody else than the operator: whoever could read the file, as its
/// owner or through its group, still can.
fn keep_access(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(0o600 | (old.mode() & 0o040)))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

pub(super) const MAX_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn a_secret_is_for_its_owner_or_for_the_group_that_it_is_read_through() {
        assert!(!is_open(0o600, true) && !is_open(0o400, true));
        assert!(is_open(0o640, true) && is_open(0o604, true));
        assert!(!is_open(0o440, false) && !is_open(0o640, false));
        assert!(is_open(0o660, false) && is_open(0o444, false));
    }
}
