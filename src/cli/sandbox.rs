//! `zoho-mcp sandbox`: the CRM sandbox alone, to point a client of Zoho's at.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Listen, ready::Ready},
    sandbox::{Options, Sandbox},
};

pub(super) async fn run(listen: Listen) -> anyhow::Result<()> {
    let listen_on = listen.listen.unwrap_or(DEFAULT);
    anyhow::ensure!(
        listen_on.ip().is_loopback(),
        "the sandbox listens on loopback addresses only"
    );
    let sandbox = Sandbox::start(Options {
        listen: listen_on,
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
    eprintln!("Zoho CRM sandbox on {url} (data: invented; controls: {url}/__sim/state)");
    eprintln!("{}", serde_json::to_string_pretty(zoho)?);
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
