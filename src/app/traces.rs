//! The traces as the configuration wants them.

use anyhow::Context as _;

use super::Secrets;
use crate::{config::Config, telemetry::Traces};

/// Starts to export, where there is a collector.
pub(super) fn start(config: &Config, secrets: &mut Secrets) -> anyhow::Result<Traces> {
    let headers = std::mem::take(&mut secrets.trace_headers);
    Traces::start(&config.traces, headers).context("traces")
}
