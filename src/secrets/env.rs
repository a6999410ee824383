//! Secrets in the environment.

use zeroize::Zeroizing;

use super::{Secret, SecretError, file::MAX_BYTES};

pub(super) fn read(
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, SecretError> {
    let text = env(name).ok_or_else(|| SecretError::Unset { name: name.into() })?;
    let text = Zeroizing::new(text);
    Secret::within(MAX_BYTES, text.as_bytes(), || {
        format!("the environment variable {name}")
    })
}
