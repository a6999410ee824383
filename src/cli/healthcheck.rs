//! `zoho-mcp healthcheck`: exit code 0 when the daemon can work, 1 when it cannot.

use std::time::Duration;

use anyhow::Context as _;

#[derive(clap::Args)]
pub(super) struct Healthcheck {
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:3000/health")]
    url: reqwest::Url,
}

pub(super) async fn run(healthcheck: Healthcheck) -> anyhow::Result<()> {
    let mut url = healthcheck.url;
    if url.path() == "/" {
        url.set_path("/health");
    }
    // The daemon's certificate is for the name that clients use, and nothing is told to it here.
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(is_loopback)
        .timeout(Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let answer = client
        .get(url.clone())
        .send()
        .await
        .with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    anyhow::ensure!(status.is_success(), "{url} answered {status}");
    Ok(())
}
