//! One connection: its handshake, its requests, and how it ends.

use std::{convert::Infallible, future::pending, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderValue, Version, header};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    ClientCertificate, Config, Connection, Drain, Endless, Front, RefusedCertificate,
    RefusedSender, Tls, Untrusted,
    frames::Read,
    rest,
    strangers::{Proven, Standing},
    tls::{TrustChanges, shown},
    watch::{Guarded, Watch, Watched},
};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) ip: IpAddr,
    /// It began with a PROXY header, of a load balancer that passes bytes on.
    pub(super) is_passed_on: bool,
}

impl Origin {
    fn peer(
        self,
        certificate: Option<Arc<ClientCertificate>>,
        standing: Arc<Standing>,
    ) -> Connection {
        let peer = Connection::new(self.ip, certificate, standing);
        if self.is_passed_on {
            peer.passed_on()
        } else {
            peer
        }
    }
}

pub(super) struct Server {
    router: Router,
    drain: Drain,
    head: Duration,
    idle: Duration,
    write: Duration,
    handshake: Duration,
    tls: Arc<Tls>,
    refused: RefusedSender,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Server {
    pub(super) fn new(router: Router, config: &Config, front: Front, drain: Drain) -> Self {
        Self {
            router,
            drain,
            head: config.header_timeout.duration(),
            idle: config.idle_timeout.duration(),
            write: config.write_timeout.duration(),
            handshake: config.tls.handshake_timeout.duration(),
            tls: front.tls,
            refused: front.refused,
            http1: http(config).http1_only(),
            http2: http(config).http2_only(),
        }
    }

    pub(super) async fn connection(
        &self,
        socket: TcpStream,
        origin: Origin,
        standing: Arc<Standing>,
    ) {
        // Without it an answer on a stream waits 40 ms for the peer's delayed acknowledgement.
        if socket.set_nodelay(true).is_err() {
            return;
        }
        let watch = Watch::new(self.head, self.idle, self.write, standing.clone());
        let watched = Watched {
            socket,
            watch: watch.clone(),
        };
        // Asked for before the certificates are, so that no change falls between the two.
        let changes = self.tls.trust().map(|trust| trust.changes());
        match self.tls.server() {
            // On the heap, so that a connection without TLS is no larger than it has to be.
            Some(server) => {
                Box::pin(self.secured(server, watched, origin, standing, changes)).await;
            }
            None => {
                let peer = origin.peer(None, standing);
                self.requests(watched, &watch, peer, pending()).await;
            }
        }
    }

    /// The handshake and the requests of a client, until its certificate is not trusted any more.
    async fn secured(
        &self,
        server: Arc<ServerConfig>,
        watched: Watched,
        origin: Origin,
        standing: Arc<Standing>,
        changes: Option<TrustChanges>,
    ) {
        let watch = watched.watch.clone();
        let shaken = self.handshake(server, watched, origin.ip, &standing);
        let Some(stream) = shaken.await else {
            return;
        };
        watch.restart();
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = chain
            .iter()
            .map(|certificate| certificate.clone().into_owned());
        let certificate = ClientCertificate::new(chain.collect()).map(Arc::new);
        let peer = origin.peer(certificate.clone(), standing);
        let end = CancellationToken::new();
        let mut requests = pin!(self.requests(stream, &watch, peer, end.cancelled()));
        tokio::select! {
            () = requests.as_mut() => {}
            why = distrusted(certificate.as_ref(), changes) => {
                // No request is let in any more. A stream asks after its caller by itself, and ends
                // with the reason in the log; who is at rest goes at once.
                end.cancel();
                let last_words = tokio::time::timeout(LAST_WORDS, requests);
                let refused = RefusedCertificate {
                    ip: origin.ip,
                    why,
                    certificate,
                    was_trusted: true,
                };
                let _ = tokio::join!(last_words, self.refused.tell(refused));
            }
        }
    }

    /// `None` when it came to nothing.
    async fn handshake(
        &self,
        server: Arc<ServerConfig>,
        watched: Watched,
        ip: IpAddr,
        standing: &Standing,
    ) -> Option<Box<TlsStream<Watched>>> {
        let (shown, handshake) = shown(TlsAcceptor::from(server).accept(watched));
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.handshake, handshake) => shaken,
            () = self.drain.last_arrivals() => return None,
            () = standing.sent_away() => return None,
        };
        match shaken {
            Ok(Ok(stream)) => return Some(Box::new(stream)),
            Ok(Err(error)) => self.handshake_failed(&error, ip, shown.take()),
            Err(_) => tracing::debug!(%ip, "a TLS handshake took too long"),
        }
        None
    }

    fn handshake_failed(
        &self,
        error: &std::io::Error,
        ip: IpAddr,
        certificate: Option<ClientCertificate>,
    ) {
        tracing::debug!(%ip, %error, "a TLS handshake failed");
        if let Some(why) = Untrusted::of_handshake(error) {
            let refused = RefusedCertificate {
                ip,
                why,
                certificate: certificate.map(Arc::new),
                was_trusted: false,
            };
            self.refused.tell_or_count(refused);
        }
    }

    /// Until the peer leaves, or until `end`, after which no more requests are taken.
    async fn requests<IO>(
        &self,
        io: IO,
        watch: &Arc<Watch>,
        peer: Connection,
        end: impl Future<Output = ()>,
    ) where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = Arc::new(peer);
        let service = service_fn(|request| self.answer(request, watch, &peer));
        let mut end = pin!(async {
            tokio::select! {
                () = end => {}
                () = self.drain.requests().cancelled() => {}
            }
        });
        let mut io = Read::new(io, watch.clone());
        let Some((version, is_last)) = begin(&mut io, watch, end.as_mut()).await else {
            return;
        };
        let http = match version {
            Version::HTTP_2 => &self.http2,
            _ => &self.http1,
        };
        let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
        if is_last {
            connection.as_mut().graceful_shutdown();
        }
        tokio::select! {
            _ = connection.as_mut() => {}
            () = watch.expired() => {}
            () = end, if !is_last => {
                connection.as_mut().graceful_shutdown();
                watch.hurry(LAST_HEAD);
                tokio::select! {
                    _ = connection => {}
                    () = watch.expired() => {}
                }
            }
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        watch: &Arc<Watch>,
        peer: &Arc<Connection>,
    ) -> impl Future<Output = Result<Response<Guarded<Body>>, Infallible>> + use<> {
        let version = request.version();
        let in_request = watch.request(version == Version::HTTP_2);
        let waits = request.headers().contains_key(header::EXPECT);
        let (mut request, rest) = lent(request);
        request.extensions_mut().insert(peer.clone());
        let (router, drain) = (self.router.clone(), self.drain.clone());
        async move {
            let answering = drain.call();
            let mut response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let endless = response.extensions().get::<Endless>().is_some();
            let is_over = match rest {
                // A stream begins at once.
                Some(rest) => !rest.has_passed(waits || endless).await,
                None => false,
            };
            // HTTP/2 says it with GOAWAY, and ends what was left unread by itself.
            if version < Version::HTTP_2 && (is_over || drain.has_begun()) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            let answering = (!endless).then_some(answering);
            let proven = response.extensions_mut().remove::<Proven>();
            Ok(response.map(|body| Guarded::new(body, in_request, proven, answering)))
        }
    }
}

/// The version of HTTP that a peer begins with, and whether its first request is its last, since the
/// end has come: that request may be on its way. None when nothing comes.
async fn begin<IO: AsyncRead + Unpin>(
    io: &mut Read<IO>,
    watch: &Watch,
    end: impl Future<Output = ()>,
) -> Option<(Version, bool)> {
    tokio::select! {
        biased;
        version = io.version() => return Some((version.ok()?, false)),
        () = watch.expired() => return None,
        () = end => watch.hurry(LAST_HEAD),
    }
    tokio::select! {
        version = io.version() => Some((version.ok()?, true)),
        () = watch.expired() => None,
    }
}

/// The request as the router takes it, and what is left of its body afterwards.
fn lent(request: Request<Incoming>) -> (Request<Body>, Option<rest::Rest>) {
    if request.body().is_end_stream() {
        return (request.map(Body::new), None);
    }
    let (head, body) = request.into_parts();
    let (body, rest) = rest::lend(body);
    (Request::from_parts(head, Body::new(body)), Some(rest))
}

/// Returns when the CA or the revocation lists have changed and the certificate is not trusted any
/// more: an open connection gets no further than a new one.
async fn distrusted(
    certificate: Option<&Arc<ClientCertificate>>,
    changes: Option<TrustChanges>,
) -> Untrusted {
    let (Some(certificate), Some(mut changes)) = (certificate, changes) else {
        return pending().await;
    };
    loop {
        let trust = changes.next().await;
        if let Err(why) = trust.verdict(certificate) {
            return why;
        }
    }
}

fn http(config: &Config) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        // The watch's own deadline for a head is shorter; this one backs it up.
        .header_read_timeout(config.idle_timeout.duration())
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .max_pending_accept_reset_streams(Some(MAX_RESETS))
        .max_local_error_reset_streams(Some(MAX_RESETS))
        .keep_alive_interval(config.idle_timeout.duration());
    http
}

/// For what is under way on a connection whose certificate is not trusted any more: streams look
/// after their caller once a second.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// For the head of a request that has begun to come in when no more are taken.
const LAST_HEAD: Duration = Duration::from_secs(1);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// Concurrent requests of one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Bytes of a request that wait unread, while it is not known yet who sends it; of one connection
/// twice as many.
const WINDOW: u32 = 64 << 10;
/// Streams that a peer opens and resets, or makes us reset, before its connection ends.
const MAX_RESETS: usize = 32;
