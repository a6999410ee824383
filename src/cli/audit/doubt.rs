//! Whether what is told is told from a log that is as it was written.

use std::{io, path::PathBuf};

use anyhow::Context as _;

use super::{
    BadArguments, gaps,
    mixed::Mixed,
    page::{Page, count},
    unread::Unread,
};
use crate::{
    audit::{
        PublicKey,
        verify::{Expectations, Place, Verdict, Verifier},
    },
    cli::output,
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
    passed_over: u64,
    /// Lines that end with a carriage return.
    returns: u64,
    /// The id of the key of the pseudonym that is looked for.
    key: Option<String>,
}

/// Why what was told is not to be taken as the answer. Whoever runs this in a script hears it by the
/// exit code.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unproven {
    #[error("there is no line of an audit log in it: nothing is proven")]
    Empty,
    #[error("nothing of that is in the log")]
    Nothing,
    #[error(
        "nothing of that is in what is left of the log, which lost lines that found no room, as said above"
    )]
    Lost,
    #[error(
        "nothing of that is in the runs that were written with this pseudonym key, and of the others, named above, it shows nothing{0}"
    )]
    AnotherKey(&'static str),
    #[error(
        "nothing of that was found, and of the runs counted above it is not known whether they had this pseudonym key"
    )]
    Unsaid,
    #[error("what was told is from a log that is not as it was written")]
    NotAsWritten,
}

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
    /// Holds the log against what is expected of it.
    pub(super) fn of(expected: Expectations, mixed: &'a Mixed) -> Self {
        Self {
            with_keys: !expected.keys.is_empty(),
            verifier: Verifier::new(expected),
            mixed,
            passed_over: 0,
            returns: 0,
            key: None,
        }
    }

    /// For what is told from a log. That may be from a part, and from a log that is still written
    /// to; `tell` says so.
    pub(super) fn new(trust: &'a Trust) -> Result<Self, BadArguments> {
        let expected = Expectations {
            open: true,
            partial: true,
            ..trust.signed.expectations()?
        };
        Ok(Self::of(expected, &trust.mixed))
    }

    /// The same where a pseudonym is looked for that was made with the key of that id.
    pub(super) fn searching(trust: &'a Trust, key: String) -> Result<Self, BadArguments> {
        let doubt = Self::new(trust)?;
        Ok(Self {
            key: Some(key),
            ..doubt
        })
    }

    /// Takes the next line, and hands it back without a carriage return at its end; none for one of
    /// another log, of which nothing is told.
    pub(super) fn line<'t>(&mut self, at: Place, text: &'t [u8]) -> Option<&'t [u8]> {
        if self.mixed.is_anothers(text) {
            self.passed_over += 1;
            return None;
        }
        // Terminals and editors add it to every line, where it changes nothing of what that says.
        let line = text.strip_suffix(b"\r");
        self.returns += u64::from(line.is_some());
        let line = line.unwrap_or(text);
        self.verifier.line(at, line);
        Some(line)
    }

    /// What came of it, and what is not proven even where nothing is wrong.
    pub(super) fn finish(self) -> (Verdict, Vec<String>) {
        let verdict = self.verifier.finish();
        let gaps = gaps::of(&verdict, self.with_keys, (self.passed_over, self.returns));
        (verdict, gaps)
    }

    /// Says on standard error how far what is told can be believed; an error where it cannot be, or
    /// where nothing was `found` to tell.
    pub(super) fn tell(mut self, found: u64) -> Result<(), Unproven> {
        let with_keys = self.with_keys;
        let key = self.key.take();
        let (verdict, gaps) = self.finish();
        let has_lost = !verdict.losses.is_empty();
        let unread = key.map(|key| Unread::of(&verdict, &key));
        let findings = verdict.findings.len() as u64 + verdict.more;
        if findings > 0 {
            output::note(format_args!(
                "NOT VERIFIED: this log is not as it was written, and neither may be what it tells: {}, which `zoho-mcp audit verify` names.",
                count(findings, "finding")
            ));
        } else if verdict.runs.is_empty() {
            return Err(Unproven::Empty);
        } else {
            output::note(if with_keys {
                "Verified, as far as it goes:"
            } else {
                "Not verified: the chain holds,"
            });
            say(gaps);
        }
        say(unread.iter().flat_map(Unread::gaps));
        let unread = unread.and_then(|unread| unread.unproven());
        match (found, findings) {
            (0, 0) if has_lost => Err(unread.unwrap_or(Unproven::Lost)),
            (0, _) => Err(unread.unwrap_or(Unproven::Nothing)),
            (_, 0) => Ok(()),
            _ => Err(Unproven::NotAsWritten),
        }
    }
}

fn say(gaps: impl IntoIterator<Item = String>) {
    let mut page = Page::new(io::LineWriter::new(io::stderr().lock()));
    for gap in gaps {
        // There is nowhere left to say that standard error is closed.
        let _ = writeln!(page, "{gap}");
    }
}

fn public_key(path: &PathBuf) -> Result<PublicKey, BadArguments> {
    let place = || format!("--public-key {}", path.display());
    let text = std::fs::read_to_string(path)
        .with_context(place)
        .map_err(BadArguments)?;
    text.parse().with_context(place).map_err(BadArguments)
}
