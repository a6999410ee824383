//! The operational log on standard error, metrics and traces. The audit log is not here, and arguments never are.

mod collector;
mod emf;
mod metrics;
mod remote;
mod spans;
mod traces;

use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
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
    let registry = tracing_subscriber::registry()
        .with(filter(&config.level))
        .with(quiet());
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

/// What the configuration asks to hear.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Whatever the level, these rooms of others' stay quiet: rmcp's debug lines hold arguments and
/// results, its info lines session ids, and its warnings names that a caller made up. It is a
/// filter of its own, since in one filter a directive about spans goes before one about a room.
fn quiet() -> Targets {
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_target("rmcp", LevelFilter::OFF)
        .with_targets(["hyper", "h2", "reqwest", "rustls"].map(|room| (room, LevelFilter::WARN)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is logged at that level: rmcp, in a span of its own, and this room.
    fn logged(level: &str) -> String {
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = {
            let text = text.clone();
            move || Text(text.clone())
        };
        let subscriber = tracing_subscriber::registry()
            .with(filter(level))
            .with(quiet())
            .with(fmt::layer().with_writer(writer));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!(target: "rmcp::service", "serve_inner");
            let _inside = span.enter();
            tracing::error!(target: "rmcp::service", "an argument");
            tracing::trace!(target: "rmcp::service", "an argument");
            tracing::debug!(target: "hyper_util::client", "an argument");
            tracing::error!("ours");
        });
        String::from_utf8(text.lock().unwrap().clone()).unwrap()
    }

    #[derive(Clone)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_level_makes_rmcp_talk() {
        for level in [
            "trace",
            "info,rmcp=debug",
            "info, rmcp::service=trace",
            "nonsense=loud",
            "info,[serve_inner]=trace",
            "info,[{}]=trace",
            "trace,[]=trace",
            "info,rmcp[serve_inner]=trace",
            "info,zoho_mcp[{}]=trace",
            "info,hyper_util=trace",
        ] {
            let told = logged(level);
            assert!(told.contains("ours"), "{level}: {told}");
            assert!(!told.contains("argument"), "{level}: {told}");
        }
    }
}
