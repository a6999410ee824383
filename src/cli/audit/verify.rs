//! `zoho-mcp audit verify`: what a log proves, and what it does not.

use std::{io::Write, path::PathBuf};

use anyhow::Context as _;

use super::{BadArguments, files::Files};
use crate::audit::{
    Head, PublicKey,
    verify::{End, Expectations, Run, Verdict, Verifier},
};

#[derive(clap::Args)]
pub(super) struct Verify {
    /// The files of the log, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A key that may have signed the log, as `audit keygen` printed it; can be given again
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// The log is still written to: a missing last line is no fault
    #[arg(long)]
    open: bool,
    /// Older files were deleted on purpose: missing first lines are no fault
    #[arg(long)]
    partial: bool,
    /// A file out of the folder [audit] heads: the log has to reach the line that it names; can be
    /// given again
    #[arg(long = "head", value_name = "FILE")]
    heads: Vec<PathBuf>,
    /// The hash of a line that the log has to reach; can be given again
    #[arg(long = "expect-head", value_name = "HASH")]
    hashes: Vec<String>,
}

pub(super) fn run(verify: &Verify, out: &mut impl Write) -> anyhow::Result<()> {
    let files = Files::new(&verify.files)?;
    let keys = verify.public_keys.iter().map(public_key);
    let expected = Expectations {
        keys: keys.collect::<Result<_, _>>()?,
        open: verify.open,
        partial: verify.partial,
        heads: heads(verify)?,
    };
    let (with_keys, with_heads) = (!expected.keys.is_empty(), !expected.heads.is_empty());
    let mut verifier = Verifier::new(expected);
    files.lines(|at, text| verifier.line(at, text))?;
    let verdict = verifier.finish();
    for (boot, run) in &verdict.runs {
        tell_run(boot, run, with_keys, out)?;
    }
    for finding in &verdict.findings {
        let place = files.name(finding.at);
        let seq = finding
            .seq
            .map(|seq| format!(" (seq {seq})"))
            .unwrap_or_default();
        writeln!(out, "WRONG   {place}{seq}: {}", finding.what)?;
    }
    let total = verdict.findings.len() as u64 + verdict.more;
    if verdict.more > 0 {
        writeln!(out, "WRONG   and {} more", verdict.more)?;
    }
    anyhow::ensure!(
        verdict.is_good(),
        "the log is not as it was written: {total} findings"
    );
    anyhow::ensure!(!verdict.runs.is_empty(), "there is no line in it");
    tell_proof(&verdict, with_keys, out)?;
    if with_heads {
        writeln!(out, "PROVEN  the log reaches every head that was given")?;
    }
    Ok(())
}

fn tell_run(boot: &str, run: &Run, with_keys: bool, out: &mut impl Write) -> std::io::Result<()> {
    let signed = match (&run.signer, with_keys) {
        (None, _) => "not signed".into(),
        (Some(signer), false) => format!("says it is signed by {signer}"),
        (Some(signer), true) if run.unsigned == 0 => format!("signed by {signer} to its last line"),
        (Some(signer), true) if run.end == End::Named => {
            let vouched = if run.doubted {
                "which the next run could not verify"
            } else {
                "which are vouched for by the next boot only"
            };
            format!(
                "signed by {signer} but for the last {} lines, {vouched}",
                run.unsigned
            )
        }
        (Some(signer), true) => {
            format!("signed by {signer} but for the last {} lines", run.unsigned)
        }
    };
    let Run {
        instance,
        lines,
        first,
        last,
        end,
        ..
    } = run;
    writeln!(
        out,
        "run     {boot} of {instance}: {lines} lines, {first} to {last}, {end}; {signed}"
    )?;
    writeln!(out, "        head {}", run.head())
}

fn tell_proof(verdict: &Verdict, with_keys: bool, out: &mut impl Write) -> std::io::Result<()> {
    let runs = || verdict.runs.values();
    writeln!(
        out,
        "PROVEN  no line was changed, moved, added or taken out between the first and the last of each run"
    )?;
    if with_keys {
        let unsigned: u64 = runs().map(|run| run.unsigned).sum();
        writeln!(out, "PROVEN  whoever wrote it held the signing key")?;
        if unsigned > 0 {
            writeln!(
                out,
                "but not that of {unsigned} lines after the last checkpoints: whoever can write the file could have written these"
            )?;
        }
    } else {
        writeln!(
            out,
            "but not who wrote it: somebody could have written all of it anew. Sign it ([audit] signing_key) and give --public-key"
        )?;
    }
    let open = runs().filter(|run| run.end == End::Unknown).count();
    if open > 0 {
        writeln!(
            out,
            "but not that nothing followed the last line of {open} runs, which have no closing line"
        )?;
    }
    let unknown = runs().filter(|run| !run.knows_previous).count();
    if unknown > 0 {
        writeln!(
            out,
            "but not that no whole run is missing before {unknown} of these: they could not know what came before"
        )?;
    }
    writeln!(out, "but not that no run came after the last of these")
}

fn heads(verify: &Verify) -> Result<Vec<Head>, BadArguments> {
    let mut heads = Vec::new();
    for path in &verify.heads {
        let place = || format!("--head {}", path.display());
        let text = std::fs::read_to_string(path).with_context(place);
        let read = text.and_then(|text| Head::all_of(&text).with_context(place));
        heads.extend(read.map_err(BadArguments)?);
    }
    for hash in &verify.hashes {
        let head = Head::of_hash(hash).context("--expect-head");
        heads.push(head.map_err(BadArguments)?);
    }
    Ok(heads)
}

fn public_key(path: &PathBuf) -> Result<PublicKey, BadArguments> {
    let place = || format!("--public-key {}", path.display());
    let text = std::fs::read_to_string(path)
        .with_context(place)
        .map_err(BadArguments)?;
    text.parse().with_context(place).map_err(BadArguments)
}
