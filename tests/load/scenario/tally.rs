//! What became of all the calls of a phase, and the tables.

use std::{collections::BTreeMap, time::Duration};

use super::{
    agent::{Seen, Work},
    role::{Outcome, Role},
};
use crate::generator::percentile;

pub(crate) struct Tally {
    work: Vec<Work>,
}

impl Tally {
    pub(crate) fn new(work: Vec<Work>) -> Self {
        Self { work }
    }

    pub(crate) fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.work.iter().flat_map(|work| &work.seen)
    }

    pub(crate) fn told(&self) -> impl Iterator<Item = &String> {
        self.work.iter().flat_map(|work| &work.told)
    }

    /// Calls of which something became that must not.
    pub(crate) fn unexpected(&self) -> usize {
        let is_odd = |seen: &&Seen| !seen.role.may_be_told(seen.outcome);
        self.seen().filter(is_odd).count()
    }

    /// What so large a share of the calls of those that behave took at most.
    pub(crate) fn good(&self, share: f64) -> Duration {
        let good = self.seen().filter(|seen| seen.role.behaves());
        let mut latencies: Vec<_> = good.map(|seen| seen.latency).collect();
        latencies.sort_unstable();
        percentile(&latencies, share)
    }

    fn print(&self, phase: &str) {
        let mut rows = BTreeMap::<(Role, Outcome), Vec<Duration>>::new();
        for seen in self.seen() {
            let row = rows.entry((seen.role, seen.outcome)).or_default();
            row.push(seen.latency);
        }
        for ((role, outcome), mut latencies) in rows {
            latencies.sort_unstable();
            let at = |share| percentile(&latencies, share).as_secs_f64() * 1e3;
            let mark = if role.may_be_told(outcome) {
                ""
            } else {
                " (!)"
            };
            println!(
                "| {phase} | {} | {outcome:?}{mark} | {} | {:.1} | {:.1} |",
                role.name(),
                latencies.len(),
                at(0.5),
                at(0.99)
            );
        }
    }
}

pub(crate) fn print(alone: &Tally, together: &Tally) {
    println!("| phase | role | outcome | calls | p50 ms | p99 ms |\n|---|---|---|---|---|---|");
    alone.print("alone");
    together.print("together");
    let lost = |tally: &Tally| {
        let lost = tally.seen().filter(|seen| seen.outcome == Outcome::Lost);
        lost.count()
    };
    println!("\n| figure | |\n|---|---|");
    println!("| calls lost | {} |", lost(alone) + lost(together));
}
