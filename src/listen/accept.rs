//! The accept loop: connection caps on the way in, and nobody left standing at the end.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::Instant,
};

use super::{
    Config, Drain, Proxies, RefusedSender, Tls,
    connection::{Origin, Server},
    places::{AddressPlace, Place, Places},
    proxy,
    strangers::Standing,
};

/// Binds a listener whose connections hold a bounded amount of what their peers do not read.
///
/// # Errors
/// When the address cannot be had.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What stands before the routes.
pub struct Front {
    /// The certificates of the moment.
    pub tls: Arc<Tls>,
    /// Told of every client certificate that is refused.
    pub refused: RefusedSender,
}

/// Serves `router` on `listener` until the drain ends that; open connections end with it.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &Config,
    front: Front,
    drain: Drain,
) {
    // Held so that the drain does not take an empty house for the end while guests still queue.
    let _accepting = drain.connections().token();
    let hall = Hall {
        places: Places::new(config),
        proxies: config.proxies(),
        proxy_protocol: config.proxy_protocol,
        head: config.header_timeout.duration(),
        server: Arc::new(Server::new(router, config, front, drain.clone())),
        drain: drain.clone(),
    };
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.accepting().cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, from)) => hall.admit(socket, from).await,
            Err(error) => trouble.pause_after(&error).await,
        }
    }
    if let Ok(listener) = listener.into_std() {
        hall.admit_who_queues(&listener).await;
    }
}

struct Hall {
    places: Places,
    proxies: Proxies,
    proxy_protocol: bool,
    head: Duration,
    server: Arc<Server>,
    drain: Drain,
}

impl Hall {
    /// Without a place the socket is closed at once, which is the cheapest answer there is.
    async fn admit(&self, socket: TcpStream, from: SocketAddr) {
        let ip = from.ip().to_canonical();
        // All of a load balancer's clients come from its few addresses.
        let own = match self.proxies.trust(ip) {
            true => None,
            // Before anybody makes room: an address that has its places drives no other out.
            false => match self.places.take_for(ip) {
                None => return,
                own => own,
            },
        };
        let Some(place) = self.places.take().await else {
            return;
        };
        if self.proxy_protocol && own.is_none() {
            self.admit_behind_proxy(socket, ip, place);
        } else {
            self.spawn(socket, ip, (place, own));
        }
    }

    fn admit_behind_proxy(&self, mut socket: TcpStream, proxy: IpAddr, place: Place) {
        let (server, places, head) = (self.server.clone(), self.places.clone(), self.head);
        let drain = self.drain.clone();
        self.drain.connections().spawn(async move {
            let header = tokio::select! {
                header = tokio::time::timeout(head, proxy::read(&mut socket)) => header,
                () = drain.last_arrivals() => return,
            };
            let client = match header {
                Ok(Ok(client)) => client,
                // A health check that only connects, as load balancers make them all day.
                Ok(Err(proxy::BadHeader::Ended(error))) => {
                    tracing::debug!(%proxy, %error, "a trusted proxy left before its PROXY header");
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(%proxy, %error, "a trusted proxy sent no usable PROXY header");
                    return;
                }
                Err(_) => return,
            };
            // The load balancer's own connections take none of the places of an address.
            let own = client.map(|ip| places.take_for(ip));
            if matches!(own, Some(None)) {
                return;
            }
            let standing = match client {
                Some(_) => places.line.arrive(),
                None => Standing::proven(),
            };
            let origin = Origin {
                ip: client.unwrap_or(proxy),
                is_passed_on: true,
            };
            server.connection(socket, origin, standing).await;
            drop((place, own));
        });
    }

    fn spawn(&self, socket: TcpStream, ip: IpAddr, places: (Place, Option<AddressPlace>)) {
        let server = self.server.clone();
        let standing = match places.1 {
            Some(_) => self.places.line.arrive(),
            None => Standing::proven(),
        };
        self.drain.connections().spawn(async move {
            let origin = Origin {
                ip,
                is_passed_on: false,
            };
            server.connection(socket, origin, standing).await;
            drop(places);
        });
    }

    /// The kernel has accepted connections for us that nobody has looked at yet; closing the
    /// listener would reset them.
    async fn admit_who_queues(&self, listener: &std::net::TcpListener) {
        while let Ok((socket, from)) = listener.accept() {
            if socket.set_nonblocking(true).is_ok()
                && let Ok(socket) = TcpStream::from_std(socket)
            {
                self.admit(socket, from).await;
            }
        }
    }
}

/// Accepting fails, for want of file descriptors most often.
#[derive(Default)]
struct Trouble {
    last: Option<Instant>,
}

impl Trouble {
    /// It passes when connections close, and spinning would not help. It is told once, and again
    /// only when it comes back after it was over.
    async fn pause_after(&mut self, error: &io::Error) {
        if self.last.is_none_or(|last| last.elapsed() > OVER) {
            tracing::warn!(%error, "could not accept connections; it goes on as soon as some close");
        }
        self.last = Some(Instant::now());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Without a failure for so long, the trouble is over.
const OVER: Duration = Duration::from_secs(10);
const BACKLOG: u32 = 1024;
/// Bytes. Answers are small; the kernel would grow this to megabytes for a peer that does not read.
const SEND_BUFFER: u32 = 128 << 10;

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{super::refused_certificates, *};

    fn config() -> Config {
        let defaults: toml::Table = include_str!("../../config/default.toml").parse().unwrap();
        defaults["server"].clone().try_into().unwrap()
    }

    #[tokio::test]
    async fn whom_the_kernel_has_let_in_is_served_after_the_door_is_closed() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        for _ in 0..20 {
            queue.push(TcpStream::connect(address).await.unwrap());
        }
        let drain = Drain::default();
        drain.begin();
        drain.accepting().cancel();
        let router = Router::new().route("/", get(|| async { "served" }));
        let front = Front {
            tls: Arc::new(Tls::off()),
            refused: refused_certificates(1).0,
        };
        serve(listener, router, &config(), front, drain.clone()).await;
        for socket in &mut queue {
            socket.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("served"), "{answer}");
        }
        drain.connections().wait().await;
    }
}
