//! Where a request came from.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;
use uuid::Uuid;

use crate::{audit::Event, refusal::Refusal};

/// One TCP connection.
#[derive(Debug)]
pub struct Connection {
    ip: IpAddr,
    certificate: Option<Arc<ClientCertificate>>,
    announced: AtomicU64,
}

/// The certificate that a client has proven to hold the key of.
#[derive(Debug)]
pub struct ClientCertificate {
    /// The leaf.
    pub leaf: CertificateDer<'static>,
    /// SHA-256 over the leaf: what a certificate-bound token names (RFC 8705, section 3.1).
    pub sha256: [u8; 32],
}

impl Connection {
    pub(super) fn new(ip: IpAddr, certificate: Option<Arc<ClientCertificate>>) -> Self {
        Self {
            ip: ip.to_canonical(),
            certificate,
            announced: AtomicU64::new(0),
        }
    }

    /// Whether `credential` (a digest of its id) is new on this connection since the last one.
    pub fn is_new_credential(&self, credential: u64) -> bool {
        self.announced.swap(credential, Ordering::Relaxed) != credential
    }
}

/// Where a request came from, as far as it can be known, and the id it goes by.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Behind trusted proxies the address that the outermost of them saw.
    pub ip: IpAddr,
    /// The client's certificate, where TLS asked for one.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The connection that the request came over.
    pub connection: Arc<Connection>,
    /// The request's id in the log, in the limits and in `X-Request-Id`.
    pub request_id: Uuid,
    /// The door that it came through.
    pub door: Door,
    /// The session it belongs to, as the log names it: not the id, which opens it.
    pub session: Option<Arc<str>>,
}

/// The doors that agents come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the paths say it")]
pub enum Door {
    Mcp,
    Sse,
    Messages,
    Other,
}

impl Door {
    fn of(path: &str) -> Self {
        match path {
            "/mcp" => Self::Mcp,
            "/sse" => Self::Sse,
            "/messages" => Self::Messages,
            _ => Self::Other,
        }
    }

    /// The path and the transport behind it, as the audit log has them.
    const fn names(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Mcp => (Some("/mcp"), Some("streamable_http")),
            Self::Sse => (Some("/sse"), Some("sse")),
            Self::Messages => (Some("/messages"), Some("sse")),
            Self::Other => (None, None),
        }
    }
}

impl Peer {
    /// An event that names this request.
    pub fn sign(&self, event: Event) -> Event {
        let (path, transport) = self.door.names();
        Event {
            request_id: Some(self.request_id),
            session_id: self.session.clone(),
            ip: Some(self.ip),
            path,
            transport,
            ..event
        }
    }
}

/// Guard: settles the address that everything after counts and records, and names the request.
///
/// # Errors
/// [`Refusal::Internal`] when the request did not come through the accept loop.
pub async fn identify(
    State(trusted): State<Arc<[IpNet]>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let connection = request
        .extensions()
        .get::<Arc<Connection>>()
        .ok_or(Refusal::Internal)?
        .clone();
    let ip = client_ip(connection.ip, request.headers(), &trusted);
    let (request_id, door) = (Uuid::now_v7(), Door::of(request.uri().path()));
    request.extensions_mut().insert(Peer {
        ip,
        certificate: connection.certificate.clone(),
        connection,
        request_id,
        door,
        session: None,
    });
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(
        request_id
            .as_hyphenated()
            .encode_lower(&mut Uuid::encode_buffer()),
    ) {
        response.headers_mut().insert("x-request-id", id);
    }
    Ok(response)
}

/// The right-most address of `X-Forwarded-For` that is not a trusted proxy's own, if the peer is one.
fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    if !is_trusted(&peer) {
        return peer;
    }
    let mut outermost = peer;
    let values: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    for hop in values
        .iter()
        .rev()
        .flat_map(|value| value.rsplit(','))
        .take(MAX_HOPS)
    {
        let Ok(ip) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        outermost = ip.to_canonical();
        if !is_trusted(&outermost) {
            break;
        }
    }
    outermost
}

const MAX_HOPS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(peer: &str, forwarded: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_str(forwarded).unwrap());
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        client_ip(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(ip("192.0.2.1", "198.51.100.7"), "192.0.2.1");
        assert_eq!(ip("10.1.1.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(
            ip("10.1.1.1", "6.6.6.6, 198.51.100.7, 10.2.2.2"),
            "198.51.100.7"
        );
        assert_eq!(ip("10.1.1.1", "nonsense"), "10.1.1.1");
        assert_eq!(ip("10.1.1.1", ""), "10.1.1.1");
    }
}
