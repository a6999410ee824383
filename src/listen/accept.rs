//! The accept loop: connection caps, deadlines, `TCP_NODELAY`, and a graceful end.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::ServiceExt;

use super::{
    Config, Connection, Drain, Endless,
    watch::{Guarded, Watch, Watched},
};

/// Serves `router` on `listener` until the drain begins; open connections end with it.
pub async fn serve(listener: TcpListener, router: Router, config: &Config, drain: Drain) {
    let server = Arc::new(Server {
        router,
        drain: drain.clone(),
        head: config.header_timeout.duration(),
        idle: config.idle_timeout.duration(),
        http: http(config),
    });
    let places = Places::new(config);
    loop {
        let accepted = tokio::select! {
            () = drain.begun().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, from)) => {
                // Without a place the socket is closed at once, which is the cheapest answer there is.
                if let Some(place) = places.take(from.ip()) {
                    let server = server.clone();
                    drain.connections().spawn(async move {
                        server.connection(socket, from).await;
                        drop(place);
                    });
                }
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

struct Server {
    router: Router,
    drain: Drain,
    head: Duration,
    idle: Duration,
    http: auto::Builder<TokioExecutor>,
}

impl Server {
    async fn connection(&self, socket: TcpStream, from: SocketAddr) {
        // Without it an answer on a stream waits 40 ms for the peer's delayed acknowledgement.
        if socket.set_nodelay(true).is_err() {
            return;
        }
        let watch = Watch::new(self.head, self.idle);
        let peer = Arc::new(Connection::new(from.ip(), None));
        let service = service_fn(|request: Request<Incoming>| {
            let in_request = watch.request(request.version());
            let answering = self.drain.call();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let router = self.router.clone();
            async move {
                let response = match router.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                let endless = response.extensions().get::<Endless>().is_some();
                let guarded = |body| Guarded {
                    body,
                    _in_request: in_request,
                    _answering: (!endless).then_some(answering),
                };
                Ok::<Response<Guarded<Body>>, Infallible>(response.map(guarded))
            }
        });
        let io = TokioIo::new(Watched {
            socket,
            watch: watch.clone(),
        });
        let mut connection = pin!(self.http.serve_connection(io, service));
        tokio::select! {
            _ = connection.as_mut() => {}
            () = watch.expired() => {}
            () = self.drain.begun().cancelled() => {
                connection.as_mut().graceful_shutdown();
                watch.hurry(LAST_HEAD);
                tokio::select! {
                    _ = connection => {}
                    () = watch.expired() => {}
                }
            }
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
        .max_header_list_size(MAX_HEAD as u32)
        .max_pending_accept_reset_streams(Some(MAX_RESETS))
        .keep_alive_interval(config.idle_timeout.duration());
    http
}

/// For the head of a request that has begun to come in when the drain begins.
const LAST_HEAD: Duration = Duration::from_secs(1);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// Concurrent requests of one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
const MAX_RESETS: usize = 32;

/// Places for connections: in total, and for each address.
struct Places {
    total: Arc<Semaphore>,
    each: usize,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

struct Place {
    ip: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _total: OwnedSemaphorePermit,
}

impl Places {
    fn new(config: &Config) -> Self {
        Self {
            total: Arc::new(Semaphore::new(
                config.max_connections.get().min(Semaphore::MAX_PERMITS),
            )),
            each: config.max_connections_per_address.get(),
            by_address: Arc::default(),
        }
    }

    fn take(&self, ip: IpAddr) -> Option<Place> {
        let total = self.total.clone().try_acquire_owned().ok()?;
        let mut counts = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place {
            ip,
            by_address: self.by_address.clone(),
            _total: total,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

/// Out of file descriptors, most often: it passes when connections close, and spinning would not help.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "could not accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
