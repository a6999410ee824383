//! The traces as the configuration wants them.

use anyhow::Context as _;

use super::{Secrets, references::read};
use crate::{
    config::{Config, Environment, Loaded},
    telemetry::{self, Traces},
};

/// Starts to export, where there is a collector.
pub(super) fn start(config: &Config, secrets: &mut Secrets) -> anyhow::Result<Traces> {
    let headers = std::mem::take(&mut secrets.trace_headers);
    Traces::start(&config.traces, headers).context("traces")
}

/// What proves this daemon to the collector.
pub(super) fn headers(
    loaded: &Loaded,
    environment: &Environment,
) -> anyhow::Result<telemetry::Headers> {
    let Some(reference) = &loaded.config.traces.headers else {
        return Ok(telemetry::Headers::new());
    };
    let secret = read(loaded, environment, "traces.headers", reference)?;
    telemetry::headers(secret.bytes()).context("traces.headers")
}
