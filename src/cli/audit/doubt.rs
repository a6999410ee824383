//! Whether what is told is told from a log that is as it was written.

use std::{io, path::PathBuf};

use anyhow::Context as _;

use super::{BadArguments, gaps, mixed::Mixed, page::Page};
use crate::audit::{
    PublicKey,
    verify::{Expectations, Place, Verifier},
};

/// Who may have signed a log, and since when somebody does.
#[derive(clap::Args)]
pub(super) struct Signed {
    /// A key that may have signed the log, as `audit keygen` printed it; can be given again
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// When signing was turned on, such as 2026-03-31T12:00:00Z: runs that began before need not be
    /// signed
    #[arg(long, value_name = "TIME")]
    signed_since: Option<jiff::Timestamp>,
}

#[derive(clap::Args)]
pub(super) struct Trust {
    #[command(flatten)]
    signed: Signed,
    #[command(flatten)]
    mixed: Mixed,
}

/// Verifies the lines that are told from, in the same reading.
pub(super) struct Doubt<'a> {
    verifier: Verifier,
    with_keys: bool,
    mixed: &'a Mixed,
}

/// What was told may be forged: whoever runs this in a script hears it by the exit code.
#[derive(Debug, thiserror::Error)]
#[error("what was told is from a log that is not as it was written")]
pub(super) struct NotAsWritten;

impl Signed {
    pub(super) fn expectations(&self) -> Result<Expectations, BadArguments> {
        let keys = self.public_keys.iter().map(public_key);
        Ok(Expectations {
            keys: keys.collect::<Result<_, _>>()?,
            signed_since: self.signed_since,
            ..Expectations::default()
        })
    }
}

impl<'a> Doubt<'a> {
    pub(super) fn new(trust: &'a Trust) -> Result<Self, BadArguments> {
        // A story may be told from a part, and from a log that is still written to; `tell` says so.
        let expected = Expectations {
            open: true,
            partial: true,
            ..trust.signed.expectations()?
        };
        Ok(Self {
            with_keys: !expected.keys.is_empty(),
            verifier: Verifier::new(expected),
            mixed: &trust.mixed,
        })
    }

    /// Takes the next line; false for one of another log, of which nothing is told.
    pub(super) fn line(&mut self, at: Place, text: &[u8]) -> bool {
        let is_ours = !self.mixed.is_anothers(text);
        if is_ours {
            self.verifier.line(at, text);
        }
        is_ours
    }

    /// Says on standard error how far what is told can be believed; an error where it cannot be.
    pub(super) fn tell(self) -> Result<(), NotAsWritten> {
        let verdict = self.verifier.finish();
        let findings = verdict.findings.len() as u64 + verdict.more;
        if findings > 0 {
            eprintln!(
                "NOT VERIFIED: this log is not as it was written, and neither may be what it tells: {findings} findings, which `zoho-mcp audit verify` names."
            );
            return Err(NotAsWritten);
        }
        let (excused, signed): (Vec<_>, Vec<_>) =
            verdict.runs.values().partition(|run| run.excused);
        let unsigned: u64 = signed.iter().map(|run| run.unsigned).sum();
        let gaps = gaps::of(&verdict);
        if !self.with_keys {
            eprintln!(
                "Not verified: the chain holds, but without --public-key somebody could have written all of it anew."
            );
        } else if !excused.is_empty() {
            let excused = excused.len();
            eprintln!(
                "Verified, but for {excused} runs from before --signed-since and {unsigned} lines after the last signatures: somebody could have written these anew."
            );
        } else if unsigned > 0 {
            eprintln!("Verified, but for {unsigned} lines after the last signatures.");
        } else if gaps.is_empty() {
            eprintln!("Verified.");
        } else {
            eprintln!("Verified, as far as it goes:");
        }
        let mut page = Page::new(io::LineWriter::new(io::stderr().lock()));
        for gap in gaps {
            // There is nowhere left to say that standard error is closed.
            let _ = writeln!(page, "{gap}");
        }
        Ok(())
    }
}

fn public_key(path: &PathBuf) -> Result<PublicKey, BadArguments> {
    let place = || format!("--public-key {}", path.display());
    let text = std::fs::read_to_string(path)
        .with_context(place)
        .map_err(BadArguments)?;
    text.parse().with_context(place).map_err(BadArguments)
}
