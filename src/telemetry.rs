//! The operational log on standard error, metrics and traces. The audit log is not here, and arguments never are.

mod collector;
mod emf;
mod metrics;
mod remote;
mod spans;
mod traces;

use serde::Deserialize;
use tracing_subscriber::{
    EnvFilter, filter::Directive, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub use collector::{BadHeaders, CannotExport, Headers, headers};
pub use emf::{Config as MetricsConfig, Embedded, Ended, ended};
pub use metrics::{CannotInstall, Metrics, limiter_mode};
pub use opentelemetry::trace::TraceId;
pub use remote::Remote;
pub use traces::{Config as TracesConfig, Trace, Traces, Upstream};

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How a line looks.
    pub format: Format,
    /// A level, or a filter such as `info,zoho_mcp=debug`.
    pub level: String,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Json,
    Human,
}

/// Starts the log. Called once; a second call changes nothing.
pub fn init(config: &Config) {
    tell_panics();
    let registry = tracing_subscriber::registry().with(filter(&config.level));
    let _ = match config.format {
        Format::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        Format::Human => registry
            .with(fmt::layer().with_writer(std::io::stderr))
            .try_init(),
    };
}

/// What a panic says may hold what it stumbled over, so that only its place is told.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "a task panicked");
    }));
}

/// Whatever the level, these rooms of others' stay quiet: rmcp's debug lines hold arguments and
/// results, its info lines session ids, and its warnings names that a caller made up.
fn filter(level: &str) -> EnvFilter {
    const QUIET: [(&str, &str); 5] = [
        ("rmcp", "off"),
        ("hyper", "warn"),
        ("h2", "warn"),
        ("reqwest", "warn"),
        ("rustls", "warn"),
    ];
    let ours = level.split(',').filter(|text| {
        !QUIET
            .iter()
            .any(|(quiet, _)| text.trim().starts_with(quiet))
    });
    let own = ours.collect::<Vec<_>>().join(",");
    let own = EnvFilter::try_new(own).unwrap_or_else(|_| EnvFilter::new("info"));
    let quiet = QUIET
        .iter()
        .filter_map(|(name, level)| format!("{name}={level}").parse::<Directive>().ok());
    quiet.fold(own, EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_level_makes_rmcp_talk() {
        for level in [
            "trace",
            "rmcp=debug",
            "info, rmcp::service=trace",
            "nonsense=loud",
        ] {
            let filter = filter(level).to_string();
            assert!(filter.contains("rmcp=off"), "{filter}");
            assert!(
                !filter.contains("rmcp::") && !filter.contains("rmcp=debug"),
                "{filter}"
            );
        }
    }
}
