//! `zoho-mcp serve`: the daemon.

use tokio::net::TcpListener;

use crate::{
    app::{App, Origins, Reload, Secrets},
    audit::Audit,
    cli::{
        BadConfiguration, Serve, daemon,
        ops::Ops,
        ready::{self, Ready},
        starting,
    },
    config::{Environment, Loaded},
    telemetry,
};

pub(super) async fn run(serve: Serve, environment: Environment) -> anyhow::Result<()> {
    let loaded = Loaded::from_file(&serve.config, &environment)?;
    telemetry::init(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let listener = daemon::bind(loaded.config.server.listen)?;
    let ops = Ops::bind(&loaded.config.server)?;
    let mut secrets = starting::secrets(&loaded, &environment, &listener).await?;
    for warning in secrets.warnings(&loaded.config) {
        tracing::warn!("{warning}");
    }
    let origins = Origins {
        keys: secrets.key_source.take(),
        issuers: secrets.issuers.clone(),
        people: secrets.people.clone(),
    };
    let audit = Audit::start(
        &loaded.config.audit,
        &loaded.base,
        secrets.signing_key.clone(),
        secrets.pseudonym_key.as_ref(),
    );
    let audit = audit.map_err(|error| starting::cannot_log(&loaded, &error))?;
    let log = audit.clone();
    let sockets = (listener, ops);
    let ended = recorded(
        serve,
        environment,
        loaded,
        (secrets, origins),
        audit,
        sockets,
    )
    .await;
    daemon::ending(&log, ended).await
}

/// From the first line of the audit log.
async fn recorded(
    serve: Serve,
    environment: Environment,
    loaded: Loaded,
    (secrets, origins): (Secrets, Origins),
    audit: Audit,
    (listener, ops): (TcpListener, Option<Ops>),
) -> anyhow::Result<()> {
    let app = App::new(loaded.config.clone(), secrets, audit).map_err(BadConfiguration)?;
    for warning in app.tls.warnings() {
        tracing::warn!("{warning}");
    }
    let url = ready::url(app.tls.scheme(), listener.local_addr()?);
    match app.redis {
        Some(_) => tracing::info!(url, "listening; limits are to be shared over Redis"),
        None => tracing::info!(
            url,
            "listening; limits are kept in this process, so run one instance, or set redis.url"
        ),
    }
    let reload = Reload::new(&app, &serve.config, &loaded, environment, origins);
    let ready = Ready {
        url,
        ops: ops.as_ref().map(|ops| ops.url.clone()),
        ..Ready::default()
    };
    daemon::run(app, listener, ops, Some(reload), || {
        ready.write(serve.ready_file.as_deref())
    })
    .await
}
