//! The time before a daemon has its secrets: it answers probes, takes no calls, and tries again.

use std::{
    error::Error as _, future, net::TcpListener as Socket, os::fd::AsFd as _, sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    app::{BadSecrets, Secrets, read_tls},
    audit::CannotOpen,
    cli::BadConfiguration,
    config::{Environment, Loaded, Problem, Refused},
    health,
    listen::{self, Drain, Front},
    refusal::Refusal,
    secrets::refresh::Pace,
};

/// The secrets that the configuration refers to. What is missing in a file or in the environment
/// ends the start at once: nobody will bring it. AWS may only be late.
pub(super) async fn secrets(
    loaded: &Loaded,
    environment: &Environment,
    listener: &TcpListener,
) -> anyhow::Result<Secrets> {
    let refused = match read(loaded, environment).await? {
        Err(refused) if refused.may_pass() => refused,
        read => return read.map_err(unusable),
    };
    let socket = Socket::from(listener.as_fd().try_clone_to_owned()?);
    let (socket, server) = (TcpListener::from_std(socket)?, loaded.config.server.clone());
    let drain = Drain::default();
    // Nobody is asked who they are yet, so nobody records a certificate that is refused.
    let front = Front {
        tls: Arc::new(read_tls(loaded, environment).map_err(unusable)?),
        refused: listen::refused_certificates(1).0,
    };
    let answering = tokio::spawn({
        let drain = drain.clone();
        async move { listen::serve(socket, not_yet(), &server, front, drain).await }
    });
    let secrets = wait(loaded, environment, refused).await;
    // Whoever asked keeps no connection to what cannot answer more than this.
    drain.begin();
    drain
        .finish(Duration::ZERO, Duration::ZERO, future::ready(()))
        .await;
    let _ = answering.await;
    secrets
}

async fn wait(
    loaded: &Loaded,
    environment: &Environment,
    mut refused: BadSecrets,
) -> anyhow::Result<Secrets> {
    let config = &loaded.config.auth.api_keys;
    let deadline = Instant::now() + config.start_deadline.duration();
    let pace = Pace::at_least_every(config.refresh.duration());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut told = String::new();
    for failures in 1.. {
        let problem = refused.to_string();
        if problem != told {
            tracing::warn!(problem, "not ready: waiting for secrets");
            told = problem;
        }
        let again = async {
            sleep(pace.pause(failures)).await;
            read(loaded, environment).await
        };
        let found = tokio::select! {
            found = timeout_at(deadline, again) => found,
            _ = terminate.recv() => bail!("ended while it waited for secrets"),
            _ = interrupt.recv() => bail!("ended while it waited for secrets"),
        };
        let Ok(found) = found else { break };
        refused = match found? {
            Ok(secrets) => return Ok(secrets),
            Err(refused) if refused.may_pass() => refused,
            Err(refused) => return Err(unusable(refused)),
        };
    }
    let waited = config.start_deadline;
    Err(refused).with_context(|| format!("no usable secrets within {waited}"))
}

/// The refusal of a configuration whose audit log cannot be written.
pub(super) fn cannot_log(loaded: &Loaded, error: &CannotOpen) -> Refused {
    let cause = error.source().map(|cause| format!(": {cause}"));
    let text = format!("{error}{}", cause.unwrap_or_default());
    loaded.refused(vec![Problem::new(text, error.remedy())])
}

fn unusable(refused: BadSecrets) -> anyhow::Error {
    BadConfiguration(refused.into()).into()
}

async fn read(
    loaded: &Loaded,
    environment: &Environment,
) -> anyhow::Result<Result<Secrets, BadSecrets>> {
    let (loaded, environment) = (loaded.clone(), environment.clone());
    Ok(spawn_blocking(move || Secrets::read(&loaded, &environment)).await?)
}

/// Alive, and nothing more.
fn not_yet() -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/health", get(waiting))
        .fallback(|| async { Refusal::Starting })
}

async fn waiting() -> Response {
    let checks = json!({ "secrets": { "status": "waiting" } });
    let report = json!({ "status": "unhealthy", "checks": checks, "uptime": 0.0 });
    (StatusCode::SERVICE_UNAVAILABLE, Json(report)).into_response()
}
