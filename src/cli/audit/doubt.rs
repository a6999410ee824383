//! Whether what is told is told from a log that is as it was written.

use std::path::PathBuf;

use super::{BadArguments, verify::public_key};
use crate::audit::verify::{Expectations, Place, Verifier};

#[derive(clap::Args)]
pub(super) struct Trust {
    /// A key that may have signed the log, as `audit keygen` printed it; can be given again
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
}

/// Verifies the lines that are told from, in the same reading.
pub(super) struct Doubt {
    verifier: Verifier,
    with_keys: bool,
}

impl Doubt {
    pub(super) fn new(trust: &Trust) -> Result<Self, BadArguments> {
        let keys = trust.public_keys.iter().map(public_key);
        // A story may be told from a part, and from a log that is still written to.
        let expected = Expectations {
            keys: keys.collect::<Result<_, _>>()?,
            open: true,
            partial: true,
            heads: Vec::new(),
            signed_since: None,
        };
        Ok(Self {
            with_keys: !expected.keys.is_empty(),
            verifier: Verifier::new(expected),
        })
    }

    pub(super) fn line(&mut self, at: Place, text: &[u8]) {
        self.verifier.line(at, text);
    }

    /// Says on standard error how far what was told can be believed.
    pub(super) fn tell(self) {
        let verdict = self.verifier.finish();
        let findings = verdict.findings.len() as u64 + verdict.more;
        let unsigned: u64 = verdict.runs.values().map(|run| run.unsigned).sum();
        if findings > 0 {
            eprintln!(
                "NOT VERIFIED: this log is not as it was written, and neither may be what it tells: {findings} findings, which `zoho-mcp audit verify` names."
            );
        } else if !self.with_keys {
            eprintln!(
                "Not verified: the chain holds, but without --public-key somebody could have written all of it anew."
            );
        } else if unsigned > 0 {
            eprintln!("Verified, but for {unsigned} lines after the last signatures.");
        } else {
            eprintln!("Verified.");
        }
    }
}
