//! The way to something that the daemon needs, over TLS and by a name, on which everything can go
//! wrong. What stands behind it knows nothing of that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::sleep,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    names::{NAMES, Names},
    pki::{Ca, Identity},
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody listens.
    Refused,
    /// Connections are accepted and reset.
    Reset,
    /// Connections stay open, and nothing comes back.
    Silent,
    /// The name leads nowhere.
    NameGone,
    /// The certificate has run out.
    Expired,
    /// Reset and well again, four times a second.
    Flapping,
    /// Every answer comes late.
    Slow,
    /// Every answer comes drop by drop.
    Drip,
    /// Every answer ends in its middle, and the connection with it.
    Cut,
    /// Every answer is noise.
    Garbage,
    /// A page for people, with 200.
    Page,
    /// It says that it fails.
    Failing,
    /// It says that we may not.
    Denied,
    /// It says that we ask too often.
    Busy,
}

impl Fault {
    /// Whether connections do not outlive its beginning.
    const fn ends_connections(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Reset | Self::NameGone | Self::Expired
        )
    }
}

/// What is said to a question in the place of what stands behind, if anything.
pub(crate) type Speech = fn(Fault, &str) -> Option<String>;

pub(crate) struct Passage {
    way: Arc<Way>,
    port: u16,
    flapping: Option<AbortOnDropHandle<()>>,
    _listening: AbortOnDropHandle<()>,
}

struct Way {
    fault: watch::Sender<Option<Fault>>,
    far: u16,
    good: TlsAcceptor,
    expired: TlsAcceptor,
    speech: Speech,
    asked: AtomicUsize,
    names: Arc<Names>,
}

impl Passage {
    /// A way to a port of this machine, on which nothing is wrong yet.
    pub(crate) async fn to(port: u16, authority: &Ca, names: &Arc<Names>, speech: Speech) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap().port();
        let way = Arc::new(Way {
            fault: watch::Sender::new(None),
            far: port,
            good: acceptor(&authority.server_named(&NAMES, 2090)),
            expired: acceptor(&authority.server_named(&NAMES, 2021)),
            speech,
            asked: AtomicUsize::new(0),
            names: names.clone(),
        });
        let listening = tokio::spawn(listen(listener, near, way.clone()));
        Self {
            way,
            port: near,
            flapping: None,
            _listening: AbortOnDropHandle::new(listening),
        }
    }

    /// Where it begins.
    pub(crate) fn host(&self) -> String {
        format!("{}:{}", self.way.names.name(), self.port)
    }

    /// How often something was asked on it so far, or tried to be; what is refused is not counted.
    pub(crate) fn asked(&self) -> usize {
        self.way.asked.load(Ordering::Relaxed)
    }

    /// From now on this goes wrong.
    pub(crate) fn suffers(&mut self, fault: Fault) {
        if fault == Fault::NameGone {
            self.way.names.forget();
        }
        if fault == Fault::Flapping {
            let way = self.way.clone();
            let flapping = tokio::spawn(async move {
                loop {
                    for fault in [Some(Fault::Reset), None] {
                        way.fault.send_replace(fault);
                        sleep(FLAP).await;
                    }
                }
            });
            self.flapping = Some(AbortOnDropHandle::new(flapping));
            return;
        }
        self.way.fault.send_replace(Some(fault));
    }

    /// Nothing is wrong any more.
    pub(crate) fn recovers(&mut self) {
        self.flapping = None;
        self.way.names.learn();
        self.way.fault.send_replace(None);
    }
}

async fn listen(first: TcpListener, port: u16, way: Arc<Way>) {
    let mut fault = way.fault.subscribe();
    let mut listener = Some(first);
    loop {
        let is_refused = *fault.borrow_and_update() == Some(Fault::Refused);
        listener = match (is_refused, listener.take()) {
            (true, _) => None,
            (false, Some(kept)) => Some(kept),
            (false, None) => TcpListener::bind(("127.0.0.1", port)).await.ok(),
        };
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok((near, _)) = accepted => {
                tokio::spawn(serve(near, way.clone()));
            }
            Ok(()) = fault.changed() => {}
        }
    }
}

async fn serve(near: TcpStream, way: Arc<Way>) {
    let mut fault = way.fault.subscribe();
    let during = *fault.borrow_and_update();
    if matches!(during, Some(Fault::Silent | Fault::Reset)) {
        way.asked.fetch_add(1, Ordering::Relaxed);
    }
    // Who is silent shakes no hands.
    let during = *fault
        .wait_for(|it| *it != Some(Fault::Silent))
        .await
        .unwrap();
    let acceptor = match during {
        Some(Fault::Reset) => {
            let _ = near.set_zero_linger();
            return;
        }
        Some(Fault::Expired) => &way.expired,
        _ => &way.good,
    };
    let Ok(mut near) = acceptor.accept(near).await else {
        return;
    };
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", way.far)).await else {
        return;
    };
    let (mut answers, mut questions) = far.split();
    let gone = relay(&mut near, &mut answers, &mut questions, &way, fault).await;
    if gone == Some(Fault::Reset) {
        let _ = near.get_ref().0.set_zero_linger();
    }
}

/// Passes on what is asked and answered, until one side has gone or a fault ends it.
async fn relay(
    near: &mut TlsStream<TcpStream>,
    answers: &mut ReadHalf<'_>,
    questions: &mut WriteHalf<'_>,
    way: &Way,
    mut fault: watch::Receiver<Option<Fault>>,
) -> Option<Fault> {
    let (mut asked, mut answered) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut during = *fault.borrow_and_update();
    loop {
        if let Some(it) = during.filter(|it| it.ends_connections()) {
            return Some(it);
        }
        let is_silent = during == Some(Fault::Silent);
        tokio::select! {
            Ok(()) = fault.changed() => during = *fault.borrow_and_update(),
            read = near.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return None };
                way.asked.fetch_add(1, Ordering::Relaxed);
                if is_silent {
                    during = *fault.wait_for(|it| *it != Some(Fault::Silent)).await.ok()?;
                }
                let question = String::from_utf8_lossy(&asked[..read]);
                let said = during.and_then(|it| (way.speech)(it, &question));
                if let Some(said) = said {
                    let _ = near.write_all(said.as_bytes()).await;
                    let _ = near.shutdown().await;
                    return None;
                }
                questions.write_all(&asked[..read]).await.ok()?;
            }
            read = answers.read(&mut answered), if !is_silent => {
                let Ok(read @ 1..) = read else { return None };
                answer(near, &answered[..read], during).await?;
            }
        }
    }
}

/// Passes an answer on, or what becomes of it; none when that ends the connection.
async fn answer(
    near: &mut TlsStream<TcpStream>,
    bytes: &[u8],
    during: Option<Fault>,
) -> Option<()> {
    match during {
        Some(Fault::Slow) => {
            sleep(LATE).await;
            near.write_all(bytes).await.ok()?;
        }
        Some(Fault::Drip) => {
            for byte in bytes {
                near.write_all(std::slice::from_ref(byte)).await.ok()?;
                near.flush().await.ok()?;
                sleep(DROP).await;
            }
        }
        Some(Fault::Cut) => {
            near.write_all(&bytes[..bytes.len() / 2]).await.ok()?;
            let _ = near.flush().await;
            return None;
        }
        Some(Fault::Garbage) => near.write_all(&[0xA7; 512]).await.ok()?,
        _ => near.write_all(bytes).await.ok()?,
    }
    near.flush().await.ok()
}

/// An answer over HTTP, after which the connection ends.
pub(crate) fn said(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         {headers}Connection: close\r\n\r\n{body}"
    )
}

/// What a proxy shows people.
pub(crate) fn page() -> String {
    said("200 OK", "", "<html><h1>We'll be right back</h1></html>")
        .replace("application/json", "text/html")
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Longer than Redis is waited for, and no longer than Zoho is.
const LATE: Duration = Duration::from_millis(700);
/// No answer is complete in time.
const DROP: Duration = Duration::from_millis(60);
const FLAP: Duration = Duration::from_millis(250);
