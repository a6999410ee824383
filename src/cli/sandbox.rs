//! `zoho-mcp sandbox`: the CRM sandbox alone, to point a client of Zoho's at.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{BadConfiguration, Listen, output, ready::Ready},
    sandbox::{Options, Sandbox, settings::Settings},
};

#[derive(clap::Args)]
pub(super) struct Alone {
    #[command(flatten)]
    listen: Listen,
    /// Change what Zoho's sources differ in, such as unknown_id_status=400; may be repeated.
    /// `GET /__sim/settings` shows them all
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

pub(super) async fn run(Alone { listen, set }: Alone) -> anyhow::Result<()> {
    let settings = set
        .iter()
        .try_fold(Settings::default(), |settings, text| {
            settings
                .set(text)
                .with_context(|| format!("--set {text}: see GET /__sim/settings for what there is"))
        })
        .map_err(BadConfiguration)?;
    let listen_on = listen.listen.unwrap_or(DEFAULT);
    anyhow::ensure!(
        listen_on.ip().is_loopback(),
        "the sandbox listens on loopback addresses only"
    );
    let sandbox = Sandbox::start(Options {
        listen: listen_on,
        settings,
        ..Options::default()
    })
    .await
    .with_context(|| {
        format!("could not listen on {listen_on}; choose another address or port, 0 for a free one")
    })?;
    let url = sandbox.url().to_owned();
    let zoho = sandbox.credentials();
    Ready {
        url: url.clone(),
        sandbox: Some(&url),
        zoho: Some(zoho),
        ..Ready::default()
    }
    .write(listen.ready_file.as_deref())?;
    output::note(format_args!(
        "Zoho CRM sandbox on {url} (data: invented; controls: {url}/__sim/state)"
    ));
    output::note(serde_json::to_string_pretty(zoho)?);
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}

const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);
