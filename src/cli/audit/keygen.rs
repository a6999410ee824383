//! `zoho-mcp audit keygen`: the pair of keys that vouches for a log.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::{BadArguments, page::Page};
use crate::audit::SigningKey;

#[derive(clap::Args)]
pub(super) struct Keygen {
    /// Where the private key goes; the file must not exist. `[audit] signing_key` refers to it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The public key goes to `out`: keep it where nobody who can write the log can change it.
pub(super) fn run(keygen: &Keygen, out: &mut Page<impl Write>) -> anyhow::Result<()> {
    let place = || format!("cannot write {}", keygen.out.display());
    let (key, pem) = SigningKey::generate()?;
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&keygen.out);
    let mut file = file.with_context(place).map_err(BadArguments)?;
    file.write_all(pem.expose_secret().as_bytes())
        .with_context(place)?;
    file.sync_all().with_context(place)?;
    for line in key.public().to_pem().lines() {
        writeln!(out, "{line}")?;
    }
    eprintln!(
        "Key {} is in {}. Set [audit] signing_key = \"file:{}\"; keep the public key above elsewhere, for `zoho-mcp audit verify --public-key`.",
        key.public().id(),
        keygen.out.display(),
        keygen.out.display(),
    );
    Ok(())
}
