//! `zoho-mcp serve`: the daemon.

use crate::{
    app::{App, Reload, Secrets},
    audit::Audit,
    cli::{BadConfiguration, Serve, daemon, ready::Ready},
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
    let audit = Audit::start(&loaded.config.audit, Box::new(std::io::stdout()));
    let app = App::new(loaded.config.clone(), secrets, audit).map_err(BadConfiguration)?;
    let listener = daemon::bind(app.config.server.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    match app.redis {
        Some(_) => tracing::info!(url, "listening; limits are to be shared over Redis"),
        None => tracing::info!(
            url,
            "listening; limits are kept in this process, so run one instance, or set redis.url"
        ),
    }
    let reload = Reload::new(&app, &serve.config, &loaded, environment, keys);
    let ready = Ready {
        url,
        ..Ready::default()
    };
    daemon::run(app, listener, Some(reload), || {
        ready.write(serve.ready_file.as_deref())
    })
    .await
}
