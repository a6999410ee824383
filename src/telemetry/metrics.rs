//! Metrics for Prometheus: the table of all of them, and how they are read. They are counted where
//! things happen, through the `metrics` facade, which does nothing until a reader is installed.

use std::{fmt::Write as _, fs, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::Instant;

/// Reads the metrics of this process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    prometheus: PrometheusHandle,
    started: Instant,
}

/// The metrics cannot be counted.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be set up")]
pub struct CannotInstall;

impl Metrics {
    /// Begins to count. Once for a process.
    ///
    /// # Errors
    /// When something else counts already.
    pub fn install() -> Result<Self, CannotInstall> {
        let mut builder = PrometheusBuilder::new();
        for (kind, name, _) in TABLE {
            let buckets = match kind {
                Kind::Count | Kind::Gauge => continue,
                Kind::Seconds => &SECONDS[..],
                Kind::ShortSeconds => &SHORT_SECONDS,
            };
            let name = Matcher::Full((*name).into());
            builder = builder
                .set_buckets_for_metric(name, buckets)
                .map_err(|_| CannotInstall)?;
        }
        let recorder = builder.build_recorder();
        let prometheus = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| CannotInstall)?;
        describe();
        Ok(Self {
            prometheus,
            started: Instant::now(),
        })
    }

    /// The text format of Prometheus.
    pub fn render(&self) -> String {
        gauge!("zoho_mcp_uptime_seconds").set(self.started.elapsed().as_secs_f64());
        process();
        let mut text = self.prometheus.render();
        // The facade counts in whole numbers only.
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(ticks) = cpu_ticks(&stat) {
            let _ = writeln!(text, "{CPU}{}", ticks / TICKS);
        }
        text
    }

    /// Folds what histograms have collected, so that they stay small when nobody reads.
    pub async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.prometheus.run_upkeep();
        }
    }
}

/// Says how limits are kept now: `shared` over Redis, or `local`, by this instance alone.
pub fn limiter_mode(mode: &str) {
    for known in ["local", "shared"] {
        gauge!("zoho_mcp_limiter_mode", "mode" => known).set(if known == mode { 1 } else { 0 });
    }
}

enum Kind {
    Count,
    Gauge,
    /// A histogram of seconds.
    Seconds,
    /// A histogram of what takes a millisecond.
    ShortSeconds,
}

/// Every metric that is counted through the facade, with what it counts.
const TABLE: &[(Kind, &str, &str)] = &[
    (
        Kind::Gauge,
        "zoho_mcp_build_info",
        "1, with the version as a label",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_uptime_seconds",
        "Since the process began",
    ),
    (
        Kind::Count,
        "zoho_mcp_tool_calls_total",
        "Tool calls that ended, by tool and outcome",
    ),
    (
        Kind::Count,
        "zoho_mcp_tool_errors_total",
        "Tool calls that failed, by tool and error",
    ),
    (
        Kind::Count,
        "zoho_mcp_cached_answers_total",
        "Tool calls that were answered out of memory, by tool",
    ),
    (
        Kind::Seconds,
        "zoho_mcp_tool_call_duration_seconds",
        "How long tool calls took",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_calls_in_flight",
        "Tool calls that run now",
    ),
    (
        Kind::Count,
        "zoho_mcp_records_returned_total",
        "CRM records in answers, by tool",
    ),
    (
        Kind::Count,
        "zoho_mcp_logins_total",
        "Credentials that were new on a connection or refused, by outcome and reason",
    ),
    (
        Kind::Count,
        "zoho_mcp_refusals_total",
        "Requests that were refused before a tool ran, malformed ones among them, by refusal",
    ),
    (
        Kind::Count,
        "zoho_mcp_relayed_total",
        "Messages of /sse for another instance by what became of them, and not_taken from others",
    ),
    (
        Kind::Count,
        "zoho_mcp_limited_total",
        "Requests over a limit, by the first dimension that refused; in mode shadow they were served",
    ),
    (
        Kind::Count,
        "zoho_mcp_denied_total",
        "Tool calls that the role does not permit, by reason",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_limiter_mode",
        "1 for the way in which limits are kept now",
    ),
    (
        Kind::Count,
        "zoho_mcp_limit_decisions_total",
        "Requests that limits admitted or refused, by outcome and where it was decided: shared in Redis, local in this instance, or remembered from a refusal",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_limiter_replicas",
        "Instances that share the limits, as far as this one knows",
    ),
    (
        Kind::ShortSeconds,
        "zoho_mcp_redis_request_duration_seconds",
        "How long a question to Redis took, by outcome",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_sessions_open",
        "Sessions that were opened here and have not ended: streams of /sse, and sessions of /mcp",
    ),
    (
        Kind::Count,
        "zoho_mcp_reloads_total",
        "Reloads of configuration and keys, by outcome",
    ),
    (
        Kind::Count,
        "zoho_mcp_credits_total",
        "Zoho API credits spent, by client and tool",
    ),
    (
        Kind::Count,
        "zoho_mcp_zoho_requests_total",
        "Requests to Zoho, by method and outcome",
    ),
    (
        Kind::Seconds,
        "zoho_mcp_zoho_request_duration_seconds",
        "How long Zoho took to answer",
    ),
    (
        Kind::Count,
        "zoho_mcp_zoho_tokens_minted_total",
        "Access tokens that Zoho gave",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_zoho_breaker_open",
        "1 while requests to Zoho are refused because it does not answer",
    ),
    (Kind::Gauge, "zoho_mcp_zoho_up", "1 while Zoho answers"),
    (
        Kind::Gauge,
        "zoho_mcp_zoho_credits_spent",
        "Credits that all instances spent within a day, as far as is known",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_zoho_credits_remaining",
        "Credits that remain of daily_credits, or fewer by Zoho's last word",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_zoho_in_flight",
        "Requests of this instance to Zoho in flight",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_zoho_waiting",
        "Requests of this instance that wait until they may be sent to Zoho",
    ),
    (
        Kind::Count,
        "zoho_mcp_zoho_budget_refusals_total",
        "Requests that were not sent for want of credits, by whose are spent",
    ),
    (
        Kind::Count,
        "zoho_mcp_audit_lines_total",
        "Lines that the audit log has taken",
    ),
    (
        Kind::Count,
        "zoho_mcp_audit_lines_lost_total",
        "Lines that found no room in the audit log",
    ),
    (
        Kind::Count,
        "zoho_mcp_audit_calls_refused_total",
        "Calls that were not made because the audit log had no room for their lines, by client",
    ),
    (
        Kind::Count,
        "zoho_mcp_audit_write_failures_total",
        "Tries to write audit lines that failed",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_audit_queue_lines",
        "Audit lines that wait, or have room reserved",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_audit_writable",
        "1 while the audit log takes lines",
    ),
    (
        Kind::Gauge,
        "zoho_mcp_keys_age_seconds",
        "Since the API keys, and the key set of each issuer, were last read (source)",
    ),
    (
        Kind::Gauge,
        "process_resident_memory_bytes",
        "Resident memory",
    ),
    (
        Kind::Count,
        "zoho_mcp_spans_lost_total",
        "Spans that did not reach the collector: no room in the queue, or not sent (why)",
    ),
    (Kind::Gauge, "process_open_fds", "Open file descriptors"),
    (Kind::Gauge, "process_threads", "Threads"),
];

fn describe() {
    for &(ref kind, name, help) in TABLE {
        match kind {
            Kind::Count => describe_counter!(name, help),
            Kind::Gauge => describe_gauge!(name, help),
            Kind::Seconds | Kind::ShortSeconds => describe_histogram!(name, Unit::Seconds, help),
        }
    }
    gauge!("zoho_mcp_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    // What has not happened yet is zero, not absent.
    for name in [
        "zoho_mcp_calls_in_flight",
        "zoho_mcp_sessions_open",
        "zoho_mcp_zoho_breaker_open",
    ] {
        gauge!(name).set(0);
    }
    for name in [
        "zoho_mcp_audit_lines_lost_total",
        "zoho_mcp_audit_write_failures_total",
        "zoho_mcp_zoho_tokens_minted_total",
    ] {
        counter!(name).absolute(0);
    }
    limiter_mode("local");
    gauge!("zoho_mcp_limiter_replicas").set(1);
}

/// What Linux says about this process; nothing elsewhere.
fn process() {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        if let Some(kib) = field("VmRSS:") {
            gauge!("process_resident_memory_bytes").set(kib * 1024.0);
        }
        if let Some(threads) = field("Threads:") {
            gauge!("process_threads").set(threads);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(open.count() as f64);
    }
}

/// User and system time: the 14th and 15th field, counted after the name in parentheses.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

const CPU: &str = "# HELP process_cpu_seconds_total CPU time, user and system
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total ";
/// A second, as Linux has counted it for user space for ever.
const TICKS: f64 = 100.0;
const UPKEEP: Duration = Duration::from_secs(30);
/// Upper bounds of buckets, in seconds.
const SECONDS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0,
];
const SHORT_SECONDS: [f64; 11] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_ticks(stat), Some(300.0));
        assert_eq!(cpu_ticks("nonsense"), None);
    }
}
