//! The runs in which a pseudonym cannot be found, since theirs are of another key.

use super::{doubt::Unproven, page::count};
use crate::audit::verify::{Run, Verdict};

pub(super) struct Unread {
    /// Runs of which it is known, each by its name.
    others: Vec<String>,
    /// Runs that do not say which key it was.
    unsaid: usize,
}

impl Unread {
    /// Of a search with the key of that id.
    pub(super) fn of(verdict: &Verdict, key: &str) -> Self {
        let is_other = |run: &Run| run.pseudonym_key.as_deref().is_some_and(|of| of != key);
        let others = verdict.runs.iter().filter(|(_, run)| is_other(run));
        let runs = verdict.runs.values();
        Self {
            others: others.map(|(boot, run)| name(boot, run)).collect(),
            unsaid: runs.filter(|run| run.pseudonym_key.is_none()).count(),
        }
    }

    /// Why it shows nothing of these runs that it finds nothing; none where each had that key.
    pub(super) const fn unproven(&self) -> Option<Unproven> {
        match (self.others.is_empty(), self.unsaid) {
            (true, 0) => None,
            (true, _) => Some(Unproven::Unsaid),
            (false, 0) => Some(Unproven::AnotherKey("")),
            (false, _) => Some(Unproven::AnotherKey(
                ", nor of those of which it is not known whether they had it",
            )),
        }
    }

    /// What the search does not answer, a line for each.
    pub(super) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        let first: Vec<_> = self.others.iter().take(MOST_NAMES).cloned().collect();
        if !first.is_empty() {
            let others = count(self.others.len(), "run");
            let more = if self.others.len() > first.len() {
                "; …"
            } else {
                ""
            };
            let names = first.join("; ");
            gaps.push(format!(
                "but not whether it is in {others} with pseudonyms of another key: {names}{more}"
            ));
        }
        if self.unsaid > 0 {
            gaps.push(format!(
                "but not that {} had this pseudonym key: the log does not say which it was",
                count(self.unsaid, "run")
            ));
        }
        gaps
    }
}

fn name(boot: &str, run: &Run) -> String {
    let Run {
        instance,
        first,
        last,
        ..
    } = run;
    format!("{boot} of {instance}, {first} to {last}")
}

const MOST_NAMES: usize = 10;
