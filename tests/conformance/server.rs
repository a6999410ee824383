//! The daemon's own router and guards around what the official conformance suite asks a server to
//! have: it reads the daemon's configuration, and is started as the daemon is.
//!
//! The suite knows no credentials. So a key is added to each request, outside the walk: the file
//! `conformance.key` beside the configuration holds it.

#![expect(
    clippy::indexing_slicing,
    reason = "what the fixtures do not say is null"
)]

mod asking;
mod fixtures;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use axum::{
    extract::{Request, State},
    http::HeaderValue,
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tokio::signal::unix::{SignalKind, signal};
use zoho_mcp::{
    app::{App, Secrets},
    audit::Audit,
    config::{Environment, Loaded},
    listen::{self, Front},
    router,
};

use fixtures::Fixtures;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().collect();
    let after = |option: &str| {
        let given = arguments.iter().skip_while(|word| *word != option).nth(1);
        given
            .map(PathBuf::from)
            .with_context(|| format!("{option} is needed"))
    };
    let (config, ready) = (after("--config")?, after("--ready-file")?);
    let environment: Environment = std::env::vars().collect();
    let loaded = Loaded::from_file(&config, &environment)?;
    let secrets = Secrets::read(&loaded, &environment)?;
    let audit = Audit::discarding(loaded.config.audit.on_failure);
    let app = App::new(loaded.config.clone(), secrets, audit)?;
    let key = loaded.base.join("conformance.key");
    let routes = router::around(&app, Fixtures::new()?).layer(from_fn_with_state(key, with_key));
    let listener = listen::bind(loaded.config.server.listen)?;
    let url = format!("http://{}", listener.local_addr()?);
    let (refused, _none_without_tls) = listen::refused_certificates(1);
    let front = Front {
        tls: app.tls.clone(),
        refused,
    };
    let (server, drain) = (app.config.server.clone(), app.drain.clone());
    tokio::spawn(async move { listen::serve(listener, routes, &server, front, drain).await });
    write_ready(&ready, &url)?;
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

/// As a whole, since somebody waits for it.
fn write_ready(path: &Path, url: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, serde_json::json!({ "url": url }).to_string())?;
    fs::rename(unfinished, path)
}

async fn with_key(State(key): State<PathBuf>, mut request: Request, next: Next) -> Response {
    if let Ok(key) = fs::read_to_string(key)
        && let Ok(key) = HeaderValue::from_str(key.trim())
    {
        request.headers_mut().insert("x-api-key", key);
    }
    next.run(request).await
}
