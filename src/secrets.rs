//! Where secrets come from.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::setting::SecretRef;

/// A secret as it was found.
#[derive(Debug)]
pub struct Secret {
    bytes: SecretSlice<u8>,
    /// What an operator should hear about the place it was found in.
    pub warning: Option<SecretWarning>,
}

impl Secret {
    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// As text, without the line end that editors add; `None` when it is not UTF-8.
    pub fn text(&self) -> Option<SecretString> {
        let text = std::str::from_utf8(self.bytes()).ok()?;
        Some(text.trim_end_matches(['\r', '\n']).into())
    }
}

/// Reads a secret. A path is relative to `base`; `env` is the environment. Blocks on the disk.
pub fn read(
    reference: &SecretRef,
    base: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::File(path) => from_file(base.join(path)),
        SecretRef::Env(name) => from_env(name, env),
    }
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
    #[error("the secret in {place} is larger than 1 MiB")]
    TooLarge { place: String },
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

fn from_file(path: PathBuf) -> Result<Secret, SecretError> {
    let place = || format!("file {}", path.display());
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
    let mode = metadata.mode() & 0o777;
    let secret = within_bounds(&bytes, place)?;
    Ok(Secret {
        warning: (mode & 0o077 != 0).then_some(SecretWarning::OthersCanRead { path, mode }),
        ..secret
    })
}

fn from_env(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret, SecretError> {
    let text = env(name).ok_or_else(|| SecretError::Unset { name: name.into() })?;
    let text = Zeroizing::new(text);
    within_bounds(text.as_bytes(), || {
        format!("the environment variable {name}")
    })
}

fn within_bounds(bytes: &[u8], place: impl FnOnce() -> String) -> Result<Secret, SecretError> {
    match bytes.len() {
        0 => Err(SecretError::Empty { place: place() }),
        1..=MAX_BYTES => Ok(Secret {
            bytes: SecretSlice::from(bytes.to_vec()),
            warning: None,
        }),
        _ => Err(SecretError::TooLarge { place: place() }),
    }
}

const MAX_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
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

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_found_relative_to_the_configuration() {
        let folder = Folder::new();
        folder.write("secret", b"hunter2\n", 0o600);
        let secret = folder.read("secret").unwrap();
        assert_eq!(secret.bytes(), b"hunter2\n");
        assert_eq!(secret.text().unwrap().expose_secret(), "hunter2");
        assert_eq!(secret.warning, None);
        let absolute = SecretRef::File(folder.0.join("secret"));
        assert!(read(&absolute, Path::new("/nowhere"), &|_| None).is_ok());
    }

    #[test]
    fn a_file_that_others_can_read_is_worth_a_warning() {
        let folder = Folder::new();
        for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            folder.write("secret", b"x", mode);
            let warning = folder.read("secret").unwrap().warning;
            assert_eq!(warning.is_some(), warned, "{mode:o}");
            fs::remove_file(folder.0.join("secret")).unwrap();
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let folder = Folder::new();
        folder.write("empty", b"", 0o600);
        folder.write("big", &vec![b'x'; MAX_BYTES + 1], 0o600);
        folder.write("full", &vec![b'x'; MAX_BYTES], 0o600);
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
