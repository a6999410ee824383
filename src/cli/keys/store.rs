//! The file that holds the key document, changed by one command at a time and never by halves.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::auth::api_key::KeyDocument;

/// Where the key document is.
#[derive(Debug, clap::Args)]
pub(super) struct Store {
    /// The key document, as under [auth.api_keys] in the configuration
    #[arg(long = "store", value_name = "FILE")]
    pub(super) path: PathBuf,
}

impl Store {
    /// Held while the document is read, changed and written. The document itself cannot carry the
    /// lock, since each change puts another file in its place.
    pub(super) fn lock(&self) -> anyhow::Result<File> {
        let path = self.beside("lock")?;
        let locked = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(&path)
            .and_then(|file| file.lock().map(|()| file));
        locked.with_context(|| format!("cannot lock {}; is its folder there?", path.display()))
    }

    pub(super) fn read_existing(&self) -> anyhow::Result<KeyDocument> {
        self.read()?.with_context(|| {
            let store = self.path.display();
            format!("no keys are in {store} yet; make one with: zoho-mcp keys new --client NAME --store {store}")
        })
    }

    /// `None` when there is no document, or nothing in it.
    pub(super) fn read(&self) -> anyhow::Result<Option<KeyDocument>> {
        let mut bytes = Vec::new();
        let read =
            File::open(&self.path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot read {}", self.path.display()))?,
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        KeyDocument::parse(&bytes).map(Some).with_context(|| {
            format!(
                "{} was left as it is; mend it or restore a copy",
                self.path.display()
            )
        })
    }

    /// Puts the whole document in place at once: a reader finds the old one or the new one.
    pub(super) fn write(&self, document: &KeyDocument) -> anyhow::Result<()> {
        let bytes = document
            .to_json()
            .context("nothing was changed; delete keys that were ended from the document first")?;
        let target = self.target();
        let temporary = self.beside("tmp")?;
        replace(&target, &temporary, &bytes)
            .with_context(|| format!("cannot write {}; nothing was changed", target.display()))
    }

    /// Where the document really is, so that a link to it stays a link.
    fn target(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    fn beside(&self, suffix: &str) -> anyhow::Result<PathBuf> {
        let target = self.target();
        let name = target
            .file_name()
            .context("--store needs the name of a file")?;
        let name = format!(".{}.{suffix}", name.to_string_lossy());
        Ok(target.with_file_name(name))
    }
}

fn replace(target: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that is there was left by a crash: nobody else writes while the lock is held.
    let left = fs::remove_file(temporary);
    left.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(temporary)?;
    if let Ok(old) = fs::metadata(target) {
        keep_access(&file, &old)?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, target)?;
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// The daemon often runs as somebody else than the operator: whoever could read the document, as
/// its owner or through its group, still can.
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

/// One byte more than a document may have.
const MAX_BYTES: u64 = (1 << 20) + 1;
