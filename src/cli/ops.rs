//! The listener for operators: metrics and probes. It outlives the drain, so that the end can be
//! watched as well.

use std::sync::Arc;

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    app::App,
    cli::{daemon, ready},
    listen::{self, Config, Drain, Front, Tls},
    router,
    telemetry::Metrics,
};

pub(super) struct Ops {
    pub(super) url: String,
    listener: TcpListener,
    metrics: Metrics,
}

impl Ops {
    /// Binds and begins to count, if `[server] ops_listen` is set.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.ops_listen else {
            return Ok(None);
        };
        let listener = daemon::bind(address)?;
        Ok(Some(Self {
            url: ready::url("http", listener.local_addr()?),
            listener,
            metrics: Metrics::install()?,
        }))
    }

    /// Serves until the task is aborted.
    pub(super) fn serve(self, app: &App) -> JoinHandle<()> {
        let routes = router::ops(app, self.metrics.clone());
        // Plain, and nobody stands in front of it.
        let config = Config {
            proxy_protocol: false,
            ..app.config.server.clone()
        };
        let (refused, _) = listen::refused_certificates(1);
        let front = Front {
            tls: Arc::new(Tls::off()),
            refused,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = listen::serve(self.listener, routes, &config, front, Drain::default()) => {}
                () = self.metrics.keep_up() => {}
            }
        })
    }
}
