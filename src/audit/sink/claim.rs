//! The claim of an instance to a place for its lines. Of two daemons that have one name and one
//! place the second is told so: in the log of both, each run would belie the one before.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::place::{is_at, lock_soon};

/// Held until it is dropped, or the process ends in whatever way.
pub(in crate::audit) struct Claim {
    path: PathBuf,
    instance: String,
    locked: File,
    /// Somebody was told that it is another's now.
    is_anothers: bool,
}

impl Claim {
    /// The claim of an instance to what is called so in the folder; none where the folder takes no
    /// file for it, or no lock, which is said.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when another process has it, and keeps it.
    pub(super) fn to(folder: &Path, name: &str, instance: &str) -> io::Result<Option<Self>> {
        let path = folder.join(format!(".{name}.{instance}.lock"));
        let locked = open(&path).and_then(|file| lock_soon(&file).map(|()| file));
        match locked {
            Ok(locked) => Ok(Some(Self {
                path,
                instance: instance.to_owned(),
                locked,
                is_anothers: false,
            })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let why = format!("another daemon that calls itself {instance} writes there");
                Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
            }
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "the claim to the audit log cannot be made: nothing keeps a second daemon that calls itself {instance} from writing there as well");
                Ok(None)
            }
        }
    }

    /// Makes it again where its file was removed, under which another daemon could make the same.
    pub(in crate::audit) fn renew(&mut self) {
        // What cannot be looked at is most likely as it was.
        if is_at(&self.locked, &self.path).unwrap_or(true) {
            return;
        }
        let (path, instance) = (self.path.display(), &*self.instance);
        let made = open(&self.path).and_then(|file| match file.try_lock() {
            Ok(()) => Ok(file),
            Err(error) => Err(error.into()),
        });
        match made {
            Ok(locked) => {
                tracing::warn!(%path, "the claim to the audit log was removed while it was held, and is made again: a daemon that calls itself {instance} too may have begun meanwhile");
                self.locked = locked;
                self.is_anothers = false;
            }
            Err(error) if !self.is_anothers => {
                tracing::error!(%path, %error, "the claim to the audit log was removed and cannot be made again: another daemon that calls itself {instance} writes there, or may. Give each an `instance` name of its own under [audit], or end the other one");
                self.is_anothers = true;
            }
            Err(_) => {}
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}
