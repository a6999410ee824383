//! The order in which the files of a log were written.
//!
//! The time of a first line does not tell it: a line is stamped before it waits for the lock of a
//! shared file. The places in the chains do.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Deserialize;

/// What a file says about its place among the others.
#[derive(Default)]
pub(super) struct Contents {
    /// The time of its first line.
    began: String,
    /// For each run that wrote to it, the first place in its chain.
    runs: BTreeMap<Box<str>, u64>,
    /// The last lines of earlier runs that it names: run and place.
    names: Vec<(Box<str>, u64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow, default)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    boot: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    previous_boot: Option<Cow<'a, str>>,
    previous_seq: Option<u64>,
}

impl Contents {
    /// Takes a line of the file, in order.
    pub(super) fn line(&mut self, text: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(text) else {
            return;
        };
        if line.boot.len() > LONGEST {
            return;
        }
        if self.runs.is_empty() {
            self.began = line.timestamp.into_owned();
        }
        if self.runs.len() < MOST && !self.runs.contains_key(&*line.boot) {
            self.runs.insert((&*line.boot).into(), line.seq);
        }
        if let (Some(boot), Some(seq)) = (line.previous_boot, line.previous_seq)
            && self.names.len() < MOST
            && boot.len() <= LONGEST
        {
            self.names.push(((&*boot).into(), seq));
        }
    }
}

/// The order of files, as indices: one comes before another if a run that wrote to both has the
/// lower places in it, or if the other names the end of a run in it. What that leaves open is
/// decided by the names of files that were put aside, then by the time of the first lines.
pub(super) fn order(files: &[(&Path, Contents)]) -> Vec<usize> {
    let mut waits = vec![0_usize; files.len()];
    let mut after = vec![BTreeSet::new(); files.len()];
    for (before, file) in edges(files) {
        if let (Some(after), Some(waits)) = (after.get_mut(before), waits.get_mut(file))
            && after.insert(file)
        {
            *waits += 1;
        }
    }
    let mut left = ranked(files);
    let mut order = Vec::new();
    while !left.is_empty() {
        let free = |&file: &usize| waits.get(file).is_none_or(|waits| *waits == 0);
        // Files that contradict each other were tampered with; the verifier says where.
        let next = left.iter().position(free).unwrap_or(0);
        let file = left.remove(next);
        for next in after.get(file).into_iter().flatten() {
            if let Some(waits) = waits.get_mut(*next) {
                *waits = waits.saturating_sub(1);
            }
        }
        order.push(file);
    }
    order
}

/// Pairs of files of which the first comes before the second.
fn edges(files: &[(&Path, Contents)]) -> Vec<(usize, usize)> {
    let mut runs: BTreeMap<&str, Vec<(u64, usize)>> = BTreeMap::new();
    for (n, (_, contents)) in files.iter().enumerate() {
        for (boot, seq) in &contents.runs {
            runs.entry(boot).or_default().push((*seq, n));
        }
    }
    let mut edges = Vec::new();
    for run in runs.values_mut() {
        run.sort_unstable();
        let pairs = run.iter().zip(run.iter().skip(1));
        edges.extend(pairs.map(|((_, before), (_, after))| (*before, *after)));
    }
    for (n, (_, contents)) in files.iter().enumerate() {
        for (boot, seq) in &contents.names {
            let mut run = runs.get(&**boot).into_iter().flatten();
            let holder = run.rfind(|(first, _)| first <= seq);
            edges.extend(holder.map(|(_, before)| (*before, n)));
        }
    }
    edges.retain(|(before, after)| before != after);
    edges
}

/// By the time of the first lines, and files of one log by the names under which they were put
/// aside.
fn ranked(files: &[(&Path, Contents)]) -> Vec<usize> {
    let mut by_time: Vec<_> = files.iter().enumerate().collect();
    by_time.sort_by(|(_, (_, a)), (_, (_, b))| a.began.cmp(&b.began));
    let mut logs: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (n, (path, _)) in &by_time {
        let (log, aside) = put_aside(path);
        // The one that is still written to is the last.
        logs.entry(log)
            .or_default()
            .push((aside.is_none(), aside, *n));
    }
    for log in logs.values_mut() {
        log.sort();
        log.reverse();
    }
    let slots = by_time.iter().map(|(n, (path, _))| {
        let log = logs.get_mut(put_aside(path).0);
        log.and_then(Vec::pop).map_or(*n, |(_, _, n)| n)
    });
    slots.collect()
}

/// The path of a log, and the time in the name under which a file of it was put aside.
fn put_aside(path: &Path) -> (&str, Option<&str>) {
    let text = path.to_str().unwrap_or_default();
    let is_time = |time: &str| {
        let (day, rest) = time.split_at_checked(8).unwrap_or_default();
        rest.starts_with('T') && day.bytes().all(|digit| digit.is_ascii_digit())
    };
    let mut splits = text.rmatch_indices('.').map(|(at, _)| text.split_at(at));
    let aside = splits.find_map(|(log, time)| {
        let time = time.strip_prefix('.').filter(|time| is_time(time))?;
        Some((log, Some(time)))
    });
    aside.unwrap_or((text, None))
}

/// Runs of a file, and bytes of what names one: a log that has more of either is none of ours, or is
/// refused by whoever verifies it.
const MOST: usize = 20_000;
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(lines: &[&str]) -> Contents {
        let mut contents = Contents::default();
        for line in lines {
            let (time, rest) = line.split_once(' ').unwrap();
            let (boot, rest) = rest.split_once(' ').unwrap();
            let (seq, names) = rest.split_once(' ').unwrap_or((rest, ""));
            let names = match names.split_once(' ') {
                Some((boot, seq)) => {
                    format!(",\"previousBoot\":\"{boot}\",\"previousSeq\":{seq}")
                }
                None => String::new(),
            };
            let text =
                format!("{{\"timestamp\":\"{time}\",\"boot\":\"{boot}\",\"seq\":{seq}{names}}}");
            contents.line(text.as_bytes());
        }
        contents
    }

    /// The files, given in any order, as they are read.
    fn ordered<'a>(files: &[(&'a str, &[&str])]) -> Vec<&'a str> {
        let read = |&(path, lines): &(&'a str, &[&str])| (Path::new(path), contents(lines));
        let files: Vec<_> = files.iter().map(read).collect();
        let order = order(&files).into_iter();
        order.map(|n| files[n].0.to_str().unwrap()).collect()
    }

    #[test]
    fn files_that_two_runs_share_are_ordered_by_their_chains() {
        // The other's line was stamped first and waited for the lock; then the clock went back.
        let files: &[(&str, &[&str])] = &[
            ("a", &["5 one 1", "2 other 1"]),
            ("b", &["1 other 2", "6 one 2"]),
            ("c", &["0 one 4", "7 other 5"]),
        ];
        assert_eq!(ordered(files), ["a", "b", "c"]);
        let reversed: Vec<_> = files.iter().rev().copied().collect();
        assert_eq!(ordered(&reversed), ["a", "b", "c"]);
    }

    #[test]
    fn a_run_comes_after_the_one_that_it_names() {
        let files: &[(&str, &[&str])] = &[("late", &["1 b 1 a 9"]), ("early", &["2 a 1", "3 a 9"])];
        assert_eq!(ordered(files), ["early", "late"]);
    }

    #[test]
    fn files_that_share_no_run_are_ordered_by_name_then_by_time() {
        let log = "x/audit.jsonl";
        let first = "x/audit.jsonl.20260102T000000.000001Z";
        let again = "x/audit.jsonl.20260102T000000.000001Z+";
        let files: &[(&str, &[&str])] = &[
            (log, &["1 d 1"]),
            (again, &["2 c 1"]),
            ("y/audit.jsonl", &["4 e 1"]),
            (first, &["3 b 1"]),
        ];
        assert_eq!(ordered(files), [first, again, log, "y/audit.jsonl"]);
    }

    #[test]
    fn files_that_contradict_each_other_are_all_read() {
        let files: &[(&str, &[&str])] = &[("a", &["1 x 1", "1 y 2"]), ("b", &["2 x 2", "2 y 1"])];
        assert_eq!(ordered(files), ["a", "b"]);
    }
}
