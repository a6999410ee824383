//! `zoho-mcp audit verify`: what a log proves, and what it does not.

use std::{io::Write, path::PathBuf};

use anyhow::Context as _;

use super::{
    BadArguments,
    doubt::{Doubt, Signed, Unproven},
    files::Files,
    mixed::Mixed,
    page::{Page, count},
};
use crate::audit::{
    Head,
    verify::{End, Expectations, Run, Verdict},
};

#[derive(clap::Args)]
pub(super) struct Verify {
    /// The files of the log, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    signed: Signed,
    /// The log is still written to, or its process was killed: a missing last line is no fault,
    /// and neither is an unfinished one
    #[arg(long)]
    open: bool,
    /// Older files were deleted on purpose: what an instance wrote before its first line here is
    /// allowed to be missing
    #[arg(long)]
    partial: bool,
    /// A file out of the folder [audit] heads: the log has to reach the line that it names; can be
    /// given again
    #[arg(long = "head", value_name = "FILE")]
    heads: Vec<PathBuf>,
    /// The hash of a line that the log has to reach; can be given again
    #[arg(long = "expect-head", value_name = "HASH")]
    hashes: Vec<String>,
    #[command(flatten)]
    mixed: Mixed,
}

pub(super) fn run(verify: &Verify, out: &mut Page<impl Write>) -> anyhow::Result<()> {
    let files = Files::new(&verify.files)?;
    let expected = Expectations {
        open: verify.open,
        partial: verify.partial,
        heads: heads(verify)?,
        ..verify.signed.expectations()?
    };
    let (with_keys, with_heads) = (!expected.keys.is_empty(), !expected.heads.is_empty());
    let mut doubt = Doubt::of(expected, &verify.mixed);
    files.lines(|at, text| {
        doubt.line(at, text);
    })?;
    let (verdict, gaps) = doubt.finish();
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
        "the log is not as it was written: {}",
        count(total, "finding")
    );
    if verdict.runs.is_empty() {
        return Err(Unproven::Empty.into());
    }
    tell_proof(&verdict, with_keys, out)?;
    if with_heads {
        writeln!(out, "PROVEN  the log reaches every head that was given")?;
    }
    for gap in gaps {
        writeln!(out, "{gap}")?;
    }
    Ok(())
}

fn tell_run(
    boot: &str,
    run: &Run,
    with_keys: bool,
    out: &mut Page<impl Write>,
) -> std::io::Result<()> {
    let signed = match (&run.signer, with_keys) {
        (None, false) if run.begins_with > 1 => {
            "its first line, which says who signs it, is not here".into()
        }
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
                "signed by {signer} but for the last {}, {vouched}",
                count(run.unsigned, "line")
            )
        }
        (Some(signer), true) => {
            let unsigned = count(run.unsigned, "line");
            format!("signed by {signer} but for the last {unsigned}")
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
    let lines = count(lines, "line");
    writeln!(
        out,
        "run     {boot} of {instance}: {lines}, {first} to {last}, {end}; {signed}"
    )?;
    writeln!(out, "        head {}", run.head())?;
    if let Some(named) = run.outlived(with_keys) {
        writeln!(
            out,
            "        still written, behind seq {named}, when the next run had begun: two daemons called {instance} at once"
        )?;
    }
    tell_calls(run, out)
}

/// Calls of the run that have no end, with the first ids.
fn tell_calls(run: &Run, out: &mut Page<impl Write>) -> std::io::Result<()> {
    match unended(run.calls.count(), &run.calls.ids()) {
        Some(told) => writeln!(out, "        {told}"),
        None => Ok(()),
    }
}

/// The same, of so many calls, or more than these.
fn unended((calls, is_more): (usize, bool), ids: &[&str]) -> Option<String> {
    if calls == 0 {
        let perhaps = "perhaps calls without an end: more were open than are kept";
        return is_more.then(|| perhaps.to_owned());
    }
    let first: Vec<_> = ids.iter().copied().take(MOST_IDS).collect();
    let and_more = if calls > first.len() { ", …" } else { "" };
    let at_least = if is_more { "at least " } else { "" };
    let (calls, first) = (count(calls, "call"), first.join(", "));
    Some(format!(
        "{at_least}{calls} without an end: {first}{and_more}"
    ))
}

fn tell_proof(
    verdict: &Verdict,
    with_keys: bool,
    out: &mut Page<impl Write>,
) -> std::io::Result<()> {
    writeln!(
        out,
        "PROVEN  no line was changed, moved, added or taken out between the first and the last of each run"
    )?;
    let mut runs = verdict.runs.values();
    if with_keys && runs.clone().any(Run::is_vouched) {
        let others = if runs.any(|run| run.excused) {
            " the others"
        } else {
            " it"
        };
        writeln!(out, "PROVEN  whoever wrote{others} held the signing key")?;
    }
    Ok(())
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

/// Ids that are named of the calls of a run.
const MOST_IDS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_an_end_are_told_also_where_none_of_them_is_known() {
        let perhaps = "perhaps calls without an end: more were open than are kept";
        for (count, wanted) in [
            ((0, false), None),
            ((0, true), Some(perhaps)),
            ((2, false), Some("2 calls without an end: a, b")),
            ((2, true), Some("at least 2 calls without an end: a, b")),
        ] {
            assert_eq!(unended(count, &["a", "b"]).as_deref(), wanted);
        }
    }
}
