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
    http::HeaderValue,
    middleware::Next,
    response::Response,
};
use metrics::counter;
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    forwarded::{self, Proxies},
    strangers::{Proven, Standing},
};
use crate::{audit::Event, refusal::Refusal, telemetry::TraceId};

/// One TCP connection.
#[derive(Debug)]
pub struct Connection {
    ip: IpAddr,
    certificate: Option<Arc<ClientCertificate>>,
    /// It began with a PROXY header.
    is_passed_on: bool,
    announced: AtomicU64,
    standing: Arc<Standing>,
}

/// The certificate that a client has proven to hold the key of: to us in the handshake, or to a
/// trusted proxy. Proof of a key is not trust; [`super::Trust`] decides that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The leaf.
    pub leaf: CertificateDer<'static>,
    /// What came with it, towards a CA.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// SHA-256 over the leaf: what a certificate-bound token names (RFC 8705, section 3.1).
    pub sha256: [u8; 32],
    /// SHA-256 over all of them. Whether the leaf is trusted depends on what came with it.
    pub chain: [u8; 32],
}

impl ClientCertificate {
    /// The first of a chain is the leaf.
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>) -> Option<Self> {
        let whole = chain.iter().fold(Sha256::new(), |whole, certificate| {
            // Apart from each other, wherever one says that it ends.
            whole.chain_update(Sha256::digest(certificate))
        });
        let mut chain = chain.into_iter();
        let leaf = chain.next()?;
        Some(Self {
            sha256: Sha256::digest(&leaf).into(),
            chain: whole.finalize().into(),
            leaf,
            intermediates: chain.collect(),
        })
    }

    /// One that nobody trusts, for what was sent as a certificate and is none.
    pub(super) fn unreadable() -> Self {
        Self {
            leaf: CertificateDer::from(Vec::new()),
            intermediates: Vec::new(),
            sha256: Sha256::digest([]).into(),
            chain: Sha256::digest([]).into(),
        }
    }
}

impl Connection {
    pub(super) fn new(
        ip: IpAddr,
        certificate: Option<Arc<ClientCertificate>>,
        standing: Arc<Standing>,
    ) -> Self {
        Self {
            ip: ip.to_canonical(),
            certificate,
            is_passed_on: false,
            announced: AtomicU64::new(0),
            standing,
        }
    }

    /// The same connection of a client that a load balancer passes on byte by byte: it has read none
    /// of the headers, so that all of them are the client's own, wherever the client stands.
    pub(super) fn passed_on(self) -> Self {
        Self {
            is_passed_on: true,
            ..self
        }
    }

    /// A request over it had a good credential: it may stay between requests, and as long as the
    /// answer holds what is returned, which is one of its extensions.
    pub(crate) fn prove(&self) -> Proven {
        self.standing.prove()
    }

    /// A request over it had a bad credential: it has to prove itself again.
    pub fn disprove(&self) {
        self.standing.disprove();
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
    /// The trace that it is part of, where traces are kept.
    pub trace: Option<TraceId>,
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
    pub const fn names(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Mcp => (Some("/mcp"), Some("streamable_http")),
            Self::Sse => (Some("/sse"), Some("sse")),
            Self::Messages => (Some("/messages"), Some("sse")),
            Self::Other => (None, None),
        }
    }
}

#[cfg(test)]
impl Peer {
    /// Somebody on this machine.
    pub(crate) fn sample() -> Self {
        let ip = IpAddr::from([127, 0, 0, 1]);
        Self {
            ip,
            certificate: None,
            connection: Arc::new(Connection::new(ip, None, Standing::proven())),
            request_id: Uuid::nil(),
            trace: None,
            door: Door::Mcp,
            session: None,
        }
    }
}

impl Peer {
    /// Where a message came from that another instance hands over: all that it knows of that.
    pub fn relayed(ip: IpAddr, request_id: Uuid, session: Arc<str>) -> Self {
        Self {
            ip,
            certificate: None,
            connection: Arc::new(Connection::new(ip, None, Standing::proven())),
            request_id,
            trace: None,
            door: Door::Messages,
            session: Some(session),
        }
    }

    /// An event that names this request.
    pub fn sign(&self, event: Event) -> Event {
        let (path, transport) = self.door.names();
        Event {
            request_id: Some(self.request_id),
            trace_id: self.trace,
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
    State(proxies): State<Proxies>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let connection = request
        .extensions()
        .get::<Arc<Connection>>()
        .ok_or(Refusal::Internal)?
        .clone();
    let (ip, forwarded) = if connection.is_passed_on {
        (connection.ip, None)
    } else {
        let (ip, headers) = (connection.ip, request.headers());
        (
            proxies.client_ip(ip, headers),
            proxies.certificate(ip, headers),
        )
    };
    forwarded::strip(request.headers_mut());
    let (request_id, door) = (Uuid::now_v7(), Door::of(request.uri().path()));
    request.extensions_mut().insert(Peer {
        ip,
        certificate: one_of(connection.certificate.clone(), forwarded),
        connection,
        request_id,
        trace: None,
        door,
        session: None,
    });
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        let refusal = refusal.name();
        counter!("zoho_mcp_refusals_total", "refusal" => refusal).increment(1);
        tracing::debug!(refusal, request_id = %request_id, "a request was refused");
    }
    if let Ok(id) = HeaderValue::from_str(
        request_id
            .as_hyphenated()
            .encode_lower(&mut Uuid::encode_buffer()),
    ) {
        response.headers_mut().insert("x-request-id", id);
    }
    Ok(response)
}

/// A proxy that proves a certificate of its own and forwards another's leaves open whose request
/// it is, so neither counts.
fn one_of(
    own: Option<Arc<ClientCertificate>>,
    forwarded: Option<ClientCertificate>,
) -> Option<Arc<ClientCertificate>> {
    match (own, forwarded) {
        (own, None) => own,
        (None, Some(forwarded)) => Some(Arc::new(forwarded)),
        (Some(_), Some(_)) => Some(Arc::new(ClientCertificate::unreadable())),
    }
}
