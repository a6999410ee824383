//! Where secrets come from: a file, the environment, AWS Secrets Manager.

pub mod aws;
mod env;
pub mod file;
pub mod refresh;

use std::{
    io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::setting::SecretRef;
pub use aws::{AwsError, AwsSecret};

/// A secret as it was found.
#[derive(Debug)]
pub struct Secret {
    bytes: SecretSlice<u8>,
    /// What an operator should hear about the place it was found in.
    pub warning: Option<SecretWarning>,
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self {
            bytes: SecretSlice::from(self.bytes().to_vec()),
            warning: self.warning.clone(),
        }
    }
}

impl Secret {
    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// All but the one line end that editors add.
    pub fn line(&self) -> &[u8] {
        let bytes = self.bytes();
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// As text, without the line end that editors add; `None` when it is not UTF-8.
    pub fn text(&self) -> Option<SecretString> {
        let text = std::str::from_utf8(self.bytes()).ok()?;
        Some(text.trim_end_matches(['\r', '\n']).into())
    }

    /// Checks the size; `place` is for the error.
    fn within(
        max: usize,
        bytes: &[u8],
        place: impl FnOnce() -> String,
    ) -> Result<Self, SecretError> {
        match bytes.len() {
            0 => Err(SecretError::Empty { place: place() }),
            length if length <= max => Ok(Self {
                bytes: SecretSlice::from(bytes.to_vec()),
                warning: None,
            }),
            _ => Err(SecretError::TooLarge {
                place: place(),
                kib: max >> 10,
            }),
        }
    }
}

/// Reads a secret. A path is relative to `base`; `env` is the environment. Blocks on the disk, and
/// for AWS on the network, 5 s at most.
pub fn read(
    reference: &SecretRef,
    base: &Path,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::Aws(_) => {
            aws::block_on(fetch(reference, base, env)).map_err(SecretError::NoThread)?
        }
        SecretRef::File(path) => file::read(base.join(path)),
        SecretRef::Env(name) => env::read(name, env),
    }
}

/// The same for a task: only the disk is blocked on, and a reader that is dropped has stopped.
pub async fn fetch(
    reference: &SecretRef,
    base: &Path,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::File(path) => file::read(base.join(path)),
        SecretRef::Env(name) => env::read(name, env),
        SecretRef::Aws(reference) => {
            let secret = AwsSecret::open(reference, aws::region(env)).await?;
            Ok(secret.current().await?.secret)
        }
    }
}

/// Whether more on this machine may read a secret in a file than have to.
pub fn exposed(reference: &SecretRef, base: &Path) -> Option<SecretWarning> {
    match reference {
        SecretRef::File(path) => file::exposed(base.join(path)),
        SecretRef::Env(_) | SecretRef::Aws(_) => None,
    }
}

/// Asks the kernel to leave this process's memory out of a core dump, where secrets could be read
/// from. Says whether it agreed; only Linux does.
pub fn keep_out_of_core_dumps() -> bool {
    // A limit of the size would not do: it does not hold where dumps are piped into a program.
    std::fs::write("/proc/self/coredump_filter", "0").is_ok()
}

/// Why a secret could not be read. Names the reference, never the content.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SecretError {
    #[error("cannot read the secret in file {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the secret in file {} is not in a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("the environment variable {name} for a secret is not set")]
    Unset { name: String },
    #[error("the secret in {place} is empty")]
    Empty { place: String },
    #[error("the secret in {place} is larger than {kib} KiB")]
    TooLarge { place: String, kib: usize },
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("the operating system gives no thread to read a secret on")]
    NoThread(#[source] io::Error),
}

impl SecretError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "let the user that the daemon runs as read it"
            }
            Self::File { .. } | Self::NotAFile { .. } => {
                "put the file there, or name another; paths are relative to the configuration file"
            }
            Self::Unset { .. } => "set the variable to a text, or refer to another place",
            Self::Empty { .. } => "put the secret there",
            Self::TooLarge { .. } => "put the secret there alone",
            Self::Aws(_) => "mend it in AWS, or refer to another secret",
            Self::NoThread(_) => "let this process have more threads",
        }
    }
}

/// Something about a secret's place that an operator should mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretWarning {
    /// Others on the machine can read it.
    #[error(
        "others can read the secret in file {} (mode {mode:03o}); chmod 600 mends it",
        path.display()
    )]
    OthersCanRead {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::folder::Folder;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    struct Desk(Folder);

    impl Desk {
        fn new() -> Self {
            Self(Folder::new())
        }

        fn read(&self, name: &str) -> Result<Secret, SecretError> {
            read(&SecretRef::File(name.into()), &self.0, &|_| None)
        }

        fn write(&self, name: &str, content: &[u8], mode: u32) {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    #[test]
    fn a_file_is_found_relative_to_the_configuration() {
        let folder = Desk::new();
        folder.write("secret", b"hunter2\n", 0o600);
        let secret = folder.read("secret").unwrap();
        assert_eq!(secret.bytes(), b"hunter2\n");
        assert_eq!(secret.text().unwrap().expose_secret(), "hunter2");
        assert_eq!(secret.warning, None);
        for (bytes, line) in [("a \n\n", "a \n"), ("a\r\n", "a"), ("a\t", "a\t")] {
            folder.write("line", bytes.as_bytes(), 0o600);
            assert_eq!(folder.read("line").unwrap().line(), line.as_bytes());
        }
        let absolute = SecretRef::File(folder.0.join("secret"));
        assert!(read(&absolute, Path::new("/nowhere"), &|_| None).is_ok());
    }

    #[test]
    fn a_file_that_others_can_read_is_worth_a_warning() {
        let folder = Desk::new();
        for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            folder.write("secret", b"x", mode);
            let warning = folder.read("secret").unwrap().warning;
            assert_eq!(warning.is_some(), warned, "{mode:o}");
            fs::remove_file(folder.0.join("secret")).unwrap();
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let folder = Desk::new();
        folder.write("empty", b"", 0o600);
        folder.write("big", &vec![b'x'; file::MAX_BYTES + 1], 0o600);
        folder.write("full", &vec![b'x'; file::MAX_BYTES], 0o600);
        assert!(matches!(
            folder.read("empty"),
            Err(SecretError::Empty { .. })
        ));
        assert!(matches!(
            folder.read("big"),
            Err(SecretError::TooLarge { .. })
        ));
        assert!(matches!(
            folder.read("missing"),
            Err(SecretError::File { .. })
        ));
        assert!(matches!(
            folder.read("."),
            Err(SecretError::NotAFile { .. })
        ));
        assert!(folder.read("full").is_ok());
    }

    #[test]
    fn a_variable_is_read_from_the_environment_that_is_given() {
        let env = |name: &str| (name == "KEY").then(|| "hunter2".to_owned());
        let read = |name: &str| read(&SecretRef::Env(name.into()), Path::new("/"), &env);
        assert_eq!(read("KEY").unwrap().bytes(), b"hunter2");
        let error = read("OTHER").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable OTHER for a secret is not set"
        );
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = read(&SecretRef::Env("KEY".into()), Path::new("/"), &|_| {
            Some("hunter2".into())
        })
        .unwrap();
        let printed = format!("{secret:?} {:?}", secret.text());
        assert!(
            !printed.contains("hunter2") && !printed.contains("104"),
            "{printed}"
        );
    }
}
