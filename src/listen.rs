//! Sockets: who may connect, how long they may take, from where they come, and how it all ends.

mod accept;
mod address;
mod connection;
mod cors;
mod descriptors;
mod drain;
mod forwarded;
mod frames;
mod host;
mod opening;
mod peer;
mod places;
pub mod proxy;
mod refused;
mod rest;
mod strangers;
pub mod tls;
mod watch;

use std::{net::SocketAddr, num::NonZeroUsize};

use ipnet::IpNet;
use serde::Deserialize;

use crate::setting::Span;

pub use accept::{Front, bind, serve};
pub use address::Address;
pub use descriptors::{raise_descriptor_limit, use_small_pages};
pub use drain::{Drain, Endless, Outcome};
pub use forwarded::{ForwardedCert, Proxies};
pub use host::{Allowed, guard as host_and_origin};
pub use peer::{ClientCertificate, Connection, Door, Peer, identify};
pub use refused::{RefusedCertificate, RefusedReceiver, RefusedSender, refused_certificates};
pub use tls::{BadTls, Expiring, Tls, Trust, Untrusted};

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every key")]
pub struct Config {
    pub listen: SocketAddr,
    pub ops_listen: Option<SocketAddr>,
    pub ops_anywhere: bool,
    pub public_url: Option<String>,
    pub hosts: Vec<String>,
    pub origins: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    pub proxy_protocol: bool,
    pub max_connections: NonZeroUsize,
    pub max_connections_per_address: NonZeroUsize,
    pub max_requests: NonZeroUsize,
    pub header_timeout: Span,
    pub write_timeout: Span,
    pub idle_timeout: Span,
    pub drain_delay: Option<Span>,
    pub drain_timeout: Span,
    pub tls: tls::Config,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The key that holds no host or origin.
    pub fn check(&self) -> Result<Allowed, BadAddress> {
        match self.ops_listen {
            Some(ops) if !ops.ip().is_loopback() && !self.ops_anywhere => {
                return Err(BadAddress::OpsListen);
            }
            _ => {}
        }
        Allowed::new(self)
    }

    /// How many connections there can be at once: as many as are wanted and as this process has
    /// file descriptors for.
    pub fn connections(&self) -> usize {
        descriptors::affordable(self.max_connections.get())
    }

    /// Whose word about an address or a certificate is believed.
    pub fn proxies(&self) -> Proxies {
        Proxies::new(self.trusted_proxies.clone(), self.tls.forwarded_client_cert)
    }
}

/// A host or an origin that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BadAddress {
    #[error("not an absolute http or https URL")]
    PublicUrl,
    #[error("addresses are made of it by adding a path, and it ends in a query or a fragment")]
    PublicUrlQuery,
    #[error("a host is a name or address, with a port if only one is meant")]
    Host,
    #[error("an origin is a scheme, a host and perhaps a port, without a path")]
    Origin,
    #[error("reachable from other machines, and there is no credential on it")]
    OpsListen,
    #[error("nobody is trusted to say where a connection comes from")]
    ProxyProtocol,
    #[error("nobody is trusted to forward a certificate")]
    ForwardedCertificate,
    #[error("a load balancer that speaks the PROXY protocol reads no headers and writes none")]
    TwoProxies,
}

impl BadAddress {
    /// The key that is wrong.
    pub const fn key(self) -> &'static str {
        match self {
            Self::PublicUrl | Self::PublicUrlQuery => "server.public_url",
            Self::Host => "server.hosts",
            Self::Origin => "server.origins",
            Self::OpsListen => "server.ops_listen",
            Self::ProxyProtocol => "server.proxy_protocol",
            Self::ForwardedCertificate | Self::TwoProxies => "server.tls.forwarded_client_cert",
        }
    }

    /// What to write instead.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::PublicUrl | Self::PublicUrlQuery => "write it as https://mcp.example.com",
            Self::Host => "write it as mcp.internal or mcp.internal:3000",
            Self::Origin => "write it as https://app.example.com",
            Self::OpsListen => {
                "listen on 127.0.0.1, or say ops_anywhere = true where a firewall keeps others out"
            }
            Self::TwoProxies => {
                "set it to \"off\" where server.proxy_protocol is true: there this daemon ends TLS and sees certificates itself"
            }
            Self::ProxyProtocol | Self::ForwardedCertificate => {
                "name the load balancer's network in server.trusted_proxies"
            }
        }
    }
}
