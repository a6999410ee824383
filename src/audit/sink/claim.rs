//! The claim of an instance to a place for its lines. Of two daemons that have one name and one
//! place the second is told so: in the log of both, each run would belie the one before.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::place::lock_soon;

/// Held until it is dropped, or the process ends in whatever way.
pub(in crate::audit) struct Claim {
    _locked: File,
}

impl Claim {
    /// The claim of an instance to what is called so in the folder; none where the folder takes no
    /// file for it.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when another process has it, and keeps it.
    pub(super) fn to(folder: &Path, name: &str, instance: &str) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let Ok(file) = options.open(folder.join(format!(".{name}.{instance}.lock"))) else {
            return Ok(None);
        };
        match lock_soon(&file) {
            Ok(()) => Ok(Some(Self { _locked: file })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let why = format!("another daemon that calls itself {instance} writes there");
                Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
            }
            // A file system without locks.
            Err(_) => Ok(None),
        }
    }
}
