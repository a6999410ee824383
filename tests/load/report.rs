//! The table at the end.

use crate::generator::Turn;

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    memory: Vec<(&'static str, f64)>,
}

/// The turns of both servers at one kind of call.
pub(crate) struct Row {
    name: &'static str,
    connections: usize,
    pub(crate) bare: Vec<Turn>,
    pub(crate) ours: Vec<Turn>,
}

impl Row {
    pub(crate) fn new(name: &'static str, connections: usize) -> Self {
        Self {
            name,
            connections,
            bare: Vec::new(),
            ours: Vec::new(),
        }
    }

    /// Medians of both, and the median of the ratios within each round.
    fn medians(&self, of: impl Fn(&Turn) -> f64) -> (f64, f64, f64) {
        let ratios = self.bare.iter().zip(&self.ours);
        (
            median(self.bare.iter().map(&of)),
            median(self.ours.iter().map(&of)),
            median(ratios.map(|(bare, ours)| of(ours) / of(bare))),
        )
    }
}

impl Report {
    pub(crate) fn memory(&mut self, what: &'static str, mib: f64) {
        self.memory.push((what, mib));
    }

    pub(crate) fn print(&self) {
        println!("Medians; bare rmcp / zoho-mcp (ratio)\n");
        println!("| call, connections | CPU µs a call | calls/s | p50 µs | p99 µs |");
        println!("|---|---|---|---|---|");
        for row in &self.rows {
            let cells = [
                row.medians(|turn| turn.cpu),
                row.medians(|turn| turn.calls_per_second),
                row.medians(|turn| turn.p50),
                row.medians(|turn| turn.p99),
            ];
            let cells =
                cells.map(|(bare, ours, ratio)| format!("{bare:.1} / {ours:.1} ({ratio:.2}×)"));
            println!(
                "| {}, {} | {} |",
                row.name,
                row.connections,
                cells.join(" | ")
            );
        }
        println!();
        for (what, mib) in &self.memory {
            println!("Memory of {what}: {mib:.1} MiB");
        }
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
