//! `zoho-mcp serve`: the daemon.

use crate::{
    app::{App, Reload, Secrets},
    audit::Audit,
    cli::{BadConfiguration, Serve, daemon, ops::Ops, ready::Ready},
    config::{Environment, Loaded},
    telemetry,
};

pub(super) async fn run(serve: Serve, environment: Environment) -> anyhow::Result<()> {
    let loaded = Loaded::from_file(&serve.config, &environment)?;
    telemetry::init(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let secrets = Secrets::read(&loaded, &environment).map_err(BadConfiguration)?;
    let keys = secrets.keys.clone();
    let audit = Audit::start(
        &loaded.config.audit,
        &loaded.base,
        secrets.signing_key.clone(),
    );
    let audit = audit.map_err(|error| BadConfiguration(error.into()))?;
    let ops = Ops::bind(&loaded.config.server).await?;
    let app = App::new(loaded.config.clone(), secrets, audit).map_err(BadConfiguration)?;
    let listener = daemon::bind(app.config.server.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tracing::info!(
        url,
        "listening; limits are kept in this process, so run one instance"
    );
    let reload = Reload::new(&app, &serve.config, &loaded, environment, keys);
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
