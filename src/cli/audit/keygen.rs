//! `zoho-mcp audit keygen`: the pair of keys that vouches for a log.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::BadArguments;
use crate::{audit::SigningKey, cli::output};

#[derive(clap::Args)]
pub(super) struct Keygen {
    /// Where the private key goes; the file must not exist. `[audit] signing_key` refers to it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the public key goes, instead of standard output; the file must not exist
    #[arg(long, value_name = "FILE")]
    public_out: Option<PathBuf>,
}

/// The public key belongs where nobody who can write the log can change it.
pub(super) fn run(keygen: &Keygen, out: &mut impl Write) -> anyhow::Result<()> {
    let (key, pem) = SigningKey::generate()?;
    let public = key.public().to_pem();
    write_new(&keygen.out, pem.expose_secret(), SECRET)?;
    let given = match &keygen.public_out {
        Some(path) => write_new(path, &public, PUBLIC)
            .map(|()| format!("the public key, which is in {},", path.display())),
        None => writeln!(out, "{}", public.trim_end())
            .and_then(|()| out.flush())
            .context("cannot print the public key")
            .map(|()| "the public key above".to_owned()),
    };
    let place = given.inspect_err(|_| {
        // One half of a pair is of no use, and would be in the way of the next try.
        let _ = fs::remove_file(&keygen.out);
    })?;
    output::note(format_args!(
        "Key {} is in {}. Set [audit] signing_key = \"file:{}\"; keep {place} elsewhere, for `zoho-mcp audit verify --public-key`.",
        key.public().id(),
        keygen.out.display(),
        keygen.out.display(),
    ));
    Ok(())
}

/// Makes a file that was not there, whole or not at all.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let place = || format!("cannot write {}", path.display());
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = file.with_context(place).map_err(BadArguments)?;
    let written = file.write_all(text.as_bytes());
    let kept = written.and_then(|()| file.sync_all());
    kept.inspect_err(|_| _ = fs::remove_file(path))
        .with_context(place)
}

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;
