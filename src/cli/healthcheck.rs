//! `zoho-mcp healthcheck`: exit code 0 when the daemon can work, 1 when it cannot.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use zeroize::Zeroizing;

#[derive(clap::Args)]
pub(super) struct Healthcheck {
    /// What to ask: the port of `server.listen`, https where it speaks TLS
    // Read later: a refusal of the argument parser would repeat what may hold a password.
    #[arg(
        long,
        env = "ZOHO_MCP_HEALTH_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:3000/health"
    )]
    url: String,
    /// The certificate to show, as PEM, where the daemon asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

pub(super) async fn run(healthcheck: Healthcheck) -> anyhow::Result<()> {
    let mut url = readable(&healthcheck.url)?;
    if url.path() == "/" {
        url.set_path("/health");
    }
    // The daemon's certificate is for the name that clients use, and nothing is told to it here.
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let mut client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(is_loopback)
        .timeout(Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let (Some(cert), Some(key)) = (&healthcheck.cert, &healthcheck.key) {
        client = client.identity(identity(cert, key)?);
    }
    let answer = client
        .build()?
        .get(url.clone())
        .send()
        .await
        .with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    anyhow::ensure!(status.is_success(), "{url} answered {status}");
    Ok(())
}

/// A URL that can be shown.
fn readable(text: &str) -> Result<reqwest::Url, BadUrl> {
    let url: reqwest::Url = text.parse().map_err(|_| BadUrl::Unreadable)?;
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(url),
        false => Err(BadUrl::Credentials),
    }
}

/// Why there is nothing to ask. Shows nothing of the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadUrl {
    #[error("--url is no URL\n  remedy: write it as http://127.0.0.1:3000/health")]
    Unreadable,
    #[error(
        "--url has a user name or a password, which would be shown and which no probe needs\n  \
         remedy: leave out everything up to the @"
    )]
    Credentials,
}

fn identity(cert: &Path, key: &Path) -> anyhow::Result<reqwest::Identity> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let pem = Zeroizing::new([read(cert)?, b"\n".to_vec(), read(key)?].concat());
    reqwest::Identity::from_pem(&pem).with_context(|| {
        let (cert, key) = (cert.display(), key.display());
        format!("{cert} and {key} are not a certificate and its key as PEM")
    })
}
