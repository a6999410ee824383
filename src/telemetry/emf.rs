//! Metrics inside the log, for CloudWatch: one line of JSON a minute for each tool and outcome, in
//! the embedded metric format, on standard error.
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether lines are written.
    pub emf: bool,
    /// Where CloudWatch keeps the metrics.
    pub namespace: String,
}

/// Writes the lines of this process.
pub struct Embedded {
    namespace: String,
}

/// A tool call that has ended.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names and units say it")]
pub struct Ended<'a> {
    pub tool: &'a str,
    pub outcome: &'static str,
    pub millis: u64,
    pub records: u64,
    pub credits: u32,
}

/// Counts a call, where lines are written.
pub fn ended(call: Ended<'_>) {
    // Most have no CloudWatch, and then this is all it costs.
    if ON.load(Ordering::Relaxed) {
        minute().add(call);
    }
}

impl Embedded {
    /// Begins to count, if that is wanted.
    pub fn start(config: &Config) -> Option<Self> {
        if !config.emf {
            return None;
        }
        ON.store(true, Ordering::Relaxed);
        let namespace = config.namespace.clone();
        Some(Self { namespace })
    }

    /// Writes what each minute brought, for ever.
    pub async fn keep_writing(&self) {
        loop {
            tokio::time::sleep(MINUTE).await;
            self.write();
        }
    }

    /// Writes what has happened since the last time.
    pub fn write(&self) {
        let minute = std::mem::take(&mut *minute());
        let mut text = String::new();
        for line in minute.lines(&self.namespace, Timestamp::now()) {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        // A log that cannot be written has nobody to tell it to.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// What one minute brought, by tool and outcome.
#[derive(Default)]
struct Minute(BTreeMap<(String, &'static str), Sum>);

#[derive(Default)]
struct Sum {
    calls: u64,
    records: u64,
    credits: u64,
    /// Of every `stride`-th call.
    millis: Vec<u64>,
    stride: u64,
}

impl Minute {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, call: Ended<'_>) {
        let key = (call.tool.to_owned(), call.outcome);
        // There are as many as tools and outcomes; whatever happens, there is an end to it.
        if self.0.len() >= MOST_LINES && !self.0.contains_key(&key) {
            return;
        }
        self.0.entry(key).or_default().add(call);
    }

    fn lines(&self, namespace: &str, at: Timestamp) -> Vec<Value> {
        let lines = self.0.iter();
        lines
            .map(|((tool, outcome), sum)| sum.line(namespace, at, tool, outcome))
            .collect()
    }
}

impl Sum {
    fn add(&mut self, call: Ended<'_>) {
        self.stride = self.stride.max(1);
        if self.calls.is_multiple_of(self.stride) {
            if self.millis.len() >= MOST_VALUES {
                // Every second one stands for two from here on.
                let mut at = 0;
                self.millis.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride *= 2;
            }
            if self.calls.is_multiple_of(self.stride) {
                self.millis.push(call.millis);
            }
        }
        self.calls += 1;
        self.records += call.records;
        self.credits += u64::from(call.credits);
    }

    fn line(&self, namespace: &str, at: Timestamp, tool: &str, outcome: &str) -> Value {
        let metric = |name: &str, unit: &str| json!({ "Name": name, "Unit": unit });
        json!({
            "_aws": {
                "Timestamp": at.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": [["toolName", "outcome"]],
                    "Metrics": [
                        metric("Calls", "Count"),
                        metric("DurationMs", "Milliseconds"),
                        metric("RecordsReturned", "Count"),
                        metric("Credits", "Count"),
                    ],
                }],
            },
            "toolName": tool,
            "outcome": outcome,
            "Calls": self.calls,
            "DurationMs": self.millis,
            "RecordsReturned": self.records,
            "Credits": self.credits,
        })
    }
}

fn minute() -> MutexGuard<'static, Minute> {
    SINCE.lock().unwrap_or_else(PoisonError::into_inner)
}

static ON: AtomicBool = AtomicBool::new(false);
static SINCE: Mutex<Minute> = Mutex::new(Minute::new());
const MINUTE: Duration = Duration::from_secs(60);
/// As many values as the format allows for one metric.
const MOST_VALUES: usize = 100;
const MOST_LINES: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(millis: u64) -> Ended<'static> {
        Ended {
            tool: "search_contacts",
            outcome: "success",
            millis,
            records: 2,
            credits: 1,
        }
    }

    #[test]
    fn a_line_says_what_its_numbers_are() {
        let mut minute = Minute::default();
        minute.add(call(7));
        minute.add(call(9));
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let lines = minute.lines("ZohoMcp", at);
        let line = &lines[0];
        assert_eq!(lines.len(), 1);
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_123_i64);
        assert_eq!(line["Calls"], 2);
        assert_eq!(line["DurationMs"], json!([7, 9]));
        assert_eq!(line["RecordsReturned"], 4);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number() || line[name].is_array(), "{name}");
        }
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string());
        }
    }

    #[test]
    fn there_is_an_end_to_the_lines() {
        let mut minute = Minute::default();
        for n in 0..1000 {
            let tool = format!("tool-{n}");
            minute.add(Ended {
                tool: &tool,
                ..call(1)
            });
        }
        assert_eq!(minute.0.len(), MOST_LINES);
    }

    proptest! {
        #[test]
        fn however_many_calls_the_values_are_few_and_evenly_taken(calls in 1_u64..5000) {
            let mut sum = Sum::default();
            for n in 0..calls {
                sum.add(call(n));
            }
            prop_assert_eq!(sum.calls, calls);
            prop_assert!(sum.millis.len() <= MOST_VALUES);
            prop_assert!(sum.millis.len() as u64 >= calls.min(MOST_VALUES as u64 / 2));
            let expected: Vec<u64> = (0..calls).step_by(sum.stride as usize).collect();
            prop_assert_eq!(&sum.millis, &expected);
        }
    }
}
