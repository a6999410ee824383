//! What a log does not prove although nothing in it is wrong: who wrote it, that its runs begin and
//! end where it does, that there are no others.

use std::collections::BTreeSet;

use super::page::count;
use crate::audit::verify::{End, Loss, Run, Verdict};

/// What is not proven, a line for each. `with_keys`: whether the signatures were looked at.
/// `passed_over`: lines of other logs. `returns`: lines that end with a carriage return.
pub(super) fn of(
    verdict: &Verdict,
    with_keys: bool,
    (passed_over, returns): (u64, u64),
) -> Vec<String> {
    let mut gaps = authorship(verdict, with_keys);
    gaps.extend(missing(verdict));
    gaps.extend(lost(verdict));
    if passed_over > 0 {
        gaps.push(format!(
            "but nothing of {} of other logs, passed over",
            count(passed_over, "line")
        ));
    }
    if returns > 0 {
        gaps.push(format!(
            "but not the ends of {}: a carriage return is there, which the daemon does not write and no hash covers, so something has rewritten the file",
            count(returns, "line")
        ));
    }
    gaps.push("but not that no run came after the last of these".into());
    gaps.push(format!(
        "but not that no other instance wrote anything: these lines are of {}",
        instances(verdict)
    ));
    gaps
}

fn authorship(verdict: &Verdict, with_keys: bool) -> Vec<String> {
    if !with_keys {
        return vec!["but not who wrote it: somebody could have written all of it anew. Sign it ([audit] signing_key) and give --public-key".into()];
    }
    let (excused, signed): (Vec<_>, Vec<_>) = verdict.runs.values().partition(|run| run.excused);
    let unsigned: u64 = signed.iter().map(|run| run.unsigned).sum();
    let mut gaps = Vec::new();
    if !excused.is_empty() {
        let excused = count(excused.len(), "run");
        gaps.push(format!(
            "but not who wrote {excused} from before --signed-since: somebody could have written that anew"
        ));
    }
    if unsigned > 0 {
        gaps.push(format!(
            "but not who wrote {} after the last checkpoints: whoever can write the file could have written that",
            count(unsigned, "line")
        ));
    }
    gaps
}

fn instances(verdict: &Verdict) -> String {
    let names: BTreeSet<&str> = verdict.runs.values().map(|run| &*run.instance).collect();
    let told: Vec<&str> = names.iter().copied().take(MOST_NAMES).collect();
    let more = names.len() - told.len();
    match more {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

fn missing(verdict: &Verdict) -> Vec<String> {
    let runs = || verdict.runs.values();
    let mut gaps = Vec::new();
    for (boot, run) in verdict.runs.iter().filter(|(_, run)| run.after_gap) {
        let Run {
            instance,
            first,
            begins_with,
            before,
            ..
        } = run;
        let end = match before {
            None => String::new(),
            Some(None) => ", and did not close its log".to_owned(),
            Some(Some(unended)) => format!(
                ", did not close its log, and has {} without an end",
                count(unended, "call")
            ),
        };
        gaps.push(format!(
            "but not what was before seq {begins_with} of {boot}, {first}: what {instance} wrote until then is not here{end}"
        ));
    }
    if verdict.torn > 0 {
        gaps.push(format!(
            "but not what was in {} that a kill left unfinished",
            count(verdict.torn, "line")
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

/// What found no room, as the log says.
fn lost(verdict: &Verdict) -> Vec<String> {
    let told = verdict.losses.iter().take(MOST_NAMES);
    let mut gaps: Vec<_> = told.map(lost_once).collect();
    let mut more = verdict.more_losses;
    let rest = verdict.losses.iter().skip(MOST_NAMES);
    rest.for_each(|loss| more.add(loss));
    if more.told > 0 {
        let least = if more.is_least { "at least " } else { "" };
        gaps.push(format!(
            "but not what {least}{} said that found no room, and what {least}{} asked for, of which {} tell besides",
            count(more.lines, "line"),
            count(more.calls, "refused call"),
            count(more.told, "more line")
        ));
    }
    gaps
}

fn lost_once(loss: &Loss) -> String {
    let Loss {
        boot,
        seq,
        lines,
        calls,
        from,
        until,
        is_least,
    } = loss;
    let (least, later) = match is_least {
        true => ("at least ", " or later"),
        false => ("", ""),
    };
    let refused = format!("{least}{}", count(calls, "refused call"));
    let said = format!("{least}{} said that found no room", count(lines, "line"));
    let what = match (*lines, *calls) {
        (0, 0) => "lines said that found no room".to_owned(),
        (0, _) => format!("{refused} asked for, since lines found no room"),
        (_, 0) => said,
        _ => format!("{said}, and what {refused} asked for,"),
    };
    format!("but not what {what} between {from} and {until}{later} (seq {seq} of {boot})")
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

const MOST_NAMES: usize = 10;
