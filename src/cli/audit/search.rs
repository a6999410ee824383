//! `zoho-mcp audit search`: an investigator who knows a value finds it, a reader of the log cannot.

use std::{
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    BadArguments,
    doubt::{Doubt, Trust},
    files::Files,
    page::{Page, count},
};
use crate::{audit::Redactor, cli::output, config::Environment, secrets, setting::SecretRef};

#[derive(clap::Args)]
pub(super) struct Search {
    /// The value, such as an e-mail address, as an agent would have given it; - reads it from
    /// standard input, so that no history of a shell has it
    #[arg(long, value_name = "TEXT")]
    value: String,
    /// The key that [audit] pseudonym_key refers to: file:PATH or env:NAME
    #[arg(long, value_name = "REF")]
    pseudonym_key: SecretRef,
    #[command(flatten)]
    trust: Trust,
    /// The files of the log, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Prints the lines as they are; where they stand goes to standard error.
pub(super) fn run(
    search: &Search,
    environment: &Environment,
    out: &mut Page<impl Write>,
) -> anyhow::Result<()> {
    let env = |name: &str| environment.get(name).cloned();
    let key = secrets::read(&search.pseudonym_key, Path::new(""), &env)
        .context("--pseudonym-key")
        .map_err(BadArguments)?;
    let key = key.bytes().trim_ascii_end();
    if key.len() < SHORTEST_KEY {
        return Err(BadArguments(anyhow::anyhow!(
            "--pseudonym-key: it is shorter than {SHORTEST_KEY} bytes, so no log is written with it"
        ))
        .into());
    }
    let redactor = Redactor::new(&key.to_vec().into());
    let pseudonym = redactor.pseudonym_of(&value(search)?);
    let files = Files::new(&search.files)?;
    let (mut found, mut written) = (0_u64, Ok(()));
    let mut doubt = Doubt::searching(&search.trust, redactor.key_id())?;
    files.lines(|at, text| {
        let Some(text) = doubt.line(at, text) else {
            return;
        };
        let text = String::from_utf8_lossy(text);
        if text.contains(&pseudonym) && written.is_ok() {
            found += 1;
            written = writeln!(out, "{text}");
        }
    })?;
    written?;
    output::note(format_args!("{} with {pseudonym}", count(found, "line")));
    Ok(doubt.tell(found)?)
}

fn value(search: &Search) -> Result<String, BadArguments> {
    let mut text = search.value.clone();
    if text == "-" {
        text.clear();
        let read = io::stdin().lock().take(LONGEST).read_to_string(&mut text);
        read.context("--value -: standard input")
            .map_err(BadArguments)?;
    }
    if text.trim().is_empty() {
        return Err(BadArguments(anyhow::anyhow!("--value: there is none")));
    }
    Ok(text)
}

/// Bytes that the daemon asks of a pseudonym key.
const SHORTEST_KEY: usize = 32;
/// Bytes of a value.
const LONGEST: u64 = 64 << 10;
