//! What a log does not prove although nothing in it is wrong: its runs may not begin, or not end.

use crate::audit::verify::{End, Run, Verdict};

/// What is not here, a line for each gap.
pub(super) fn of(verdict: &Verdict) -> Vec<String> {
    let runs = || verdict.runs.values();
    let mut gaps = Vec::new();
    for (boot, run) in verdict.runs.iter().filter(|(_, run)| run.after_gap) {
        let Run {
            instance,
            first,
            begins_with,
            ..
        } = run;
        gaps.push(format!(
            "but not what was before seq {begins_with} of {boot}, {first}: what {instance} wrote until then is not here"
        ));
    }
    if verdict.torn > 0 {
        gaps.push(format!(
            "but not what was in {} lines that a kill left unfinished",
            verdict.torn
        ));
    }
    gaps.extend(open(verdict));
    let copies = runs().filter(|run| run.is_a_copy).count();
    if copies > 0 {
        gaps.push(format!(
            "but not what the file's copy of {copies} of these names as the run before: these went to standard output, which keeps nothing"
        ));
    }
    let unknown = runs().filter(|run| !run.knows_previous).count();
    if unknown > 0 {
        gaps.push(format!(
            "but not that no whole run is missing before {unknown} of these: they could not know what came before"
        ));
    }
    gaps
}

fn open(verdict: &Verdict) -> Option<String> {
    let mut open = verdict
        .runs
        .iter()
        .filter(|(_, run)| run.end == End::Unknown);
    let (boot, run) = open.next()?;
    Some(match open.count() {
        0 => format!(
            "but not that nothing followed seq {} of {boot}: there is no closing line",
            run.seq()
        ),
        others => format!(
            "but not that nothing followed the last line of {} runs, which have no closing line",
            others + 1
        ),
    })
}
