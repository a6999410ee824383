//! Many HTTP+SSE streams that stay open, with a trickle of calls among them: what one costs, how
//! long an answer takes, and whether anything is lost. `tests/load/run streams` builds and starts it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::Args;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    backend, call,
    generator::{Endpoint, Envelope, percentile},
    process::{Installation, Process},
};

/// How many, and for how long.
#[derive(Args, Clone)]
pub(crate) struct Setup {
    /// Streams that are open at the same time.
    #[arg(long, default_value_t = 10_000)]
    streams: usize,
    /// Calls a second among all of them, at random moments.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// How long calls are made for, in seconds.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
}

pub(crate) async fn run(installation: &Installation, setup: Setup) {
    zoho_mcp::listen::raise_descriptor_limit();
    let sandbox = installation.sandbox().await;
    let backend = backend::start(&sandbox.ready["zoho"]).await;
    let daemon = installation
        .daemon("daemon", &backend, &sandbox.ready["zoho"], "")
        .await;
    let before = daemon.resident_mib();
    let (crowd, streams) = Crowd::open(&daemon, setup.streams).await;
    let opened = daemon.resident_mib();
    let cpu = daemon.cpu();
    let sent = crowd.trickle(&setup).await;
    // For the last answers.
    sleep(Duration::from_secs(2)).await;
    let cpu = (daemon.cpu() - cpu).as_secs_f64() / setup.seconds;
    let after = daemon.resident_mib();
    let each = |mib: f64| (mib - before) * 1024.0 / setup.streams as f64;
    let mut latencies = crowd.latencies();
    latencies.sort_unstable();
    let at = |share| percentile(&latencies, share).as_secs_f64() * 1e3;
    println!("| figure | |\n|---|---|");
    println!("| streams open | {} |", setup.streams);
    println!("| streams lost | {} |", crowd.lost.load(Ordering::Relaxed));
    println!("| memory before | {before:.1} MiB |");
    println!("| memory with all open | {opened:.1} MiB |");
    println!("| memory of one stream, opened | {:.1} KiB |", each(opened));
    println!(
        "| memory of one stream, after the calls | {:.1} KiB |",
        each(after)
    );
    println!(
        "| calls sent, unanswered | {sent}, {} |",
        sent - latencies.len()
    );
    println!(
        "| answer p50, p99, longest | {:.2}, {:.2}, {:.2} ms |",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("| CPU of a core meanwhile | {:.1} % |", cpu * 100.0);
    drop(streams);
}

/// Everything that the streams share.
struct Crowd {
    endpoint: Endpoint,
    /// Where each session's messages are posted to.
    targets: Mutex<Vec<String>>,
    /// When each call that is not answered was due.
    pending: Mutex<HashMap<u64, Instant>>,
    latencies: Mutex<Vec<Duration>>,
    lost: AtomicUsize,
}

impl Crowd {
    /// Opens so many, a few at a time, each initialized as a client does it.
    async fn open(daemon: &Process, streams: usize) -> (Arc<Self>, JoinSet<()>) {
        let crowd = Arc::new(Self {
            endpoint: daemon.endpoint(),
            targets: Mutex::default(),
            pending: Mutex::default(),
            latencies: Mutex::default(),
            lost: AtomicUsize::new(0),
        });
        let (mut open, mut poster) = (JoinSet::new(), Poster::to(&crowd.endpoint).await);
        for id in 0..streams as u64 {
            let mut stream = Stream::open(&crowd.endpoint).await;
            let target = stream.event().await.expect("an endpoint");
            let initialize = json!({
                "jsonrpc": "2.0", "id": id, "method": "initialize",
                "params": { "protocolVersion": "2024-11-05", "capabilities": {},
                    "clientInfo": { "name": "load", "version": "1" } },
            });
            poster.post(&target, &initialize.to_string()).await;
            stream.event().await.expect("an answer to initialize");
            let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            poster.post(&target, &ready.to_string()).await;
            crowd.targets.lock().unwrap().push(target);
            open.spawn(stream.listen(crowd.clone()));
        }
        (crowd, open)
    }

    /// Calls at random moments (Poisson arrivals), each on the stream whose turn it is. Latency
    /// counts from the moment that a call was due, whether or not it could be sent then.
    async fn trickle(self: &Arc<Self>, setup: &Setup) -> usize {
        let (work, queue) = async_channel(POSTERS * 64);
        let mut posters = JoinSet::new();
        for _ in 0..POSTERS {
            posters.spawn(self.clone().post_from(queue.clone()));
        }
        let end = Instant::now() + Duration::from_secs_f64(setup.seconds);
        let (mut due, mut sent) = (Instant::now(), 0);
        while due < end {
            sleep_until(due).await;
            work.send((due, sent)).await.unwrap();
            sent += 1;
            due += Duration::from_secs_f64(exponential() / setup.rate);
        }
        drop(work);
        posters.join_all().await;
        sent
    }

    async fn post_from(self: Arc<Self>, queue: Queue) {
        // A connection that sends nothing at first would be closed.
        let mut poster = None;
        let search = call("search_contacts", &json!({ "name": "Giulia", "limit": 10 }));
        while let Some((due, number)) = queue.lock().await.recv().await {
            let id = crate::generator::FIRST_ID + number as u64;
            let target = {
                let targets = self.targets.lock().unwrap();
                // A step that visits all of them, and no neighbours.
                targets[(number * STEP) % targets.len()].clone()
            };
            self.pending.lock().unwrap().insert(id, due);
            let first = crate::generator::FIRST_ID.to_string();
            let body = search.replacen(&first, &id.to_string(), 1);
            let mut connection = match poster.take() {
                Some(connection) => connection,
                None => Poster::to(&self.endpoint).await,
            };
            connection.post(&target, &body).await;
            poster = Some(connection);
        }
    }

    fn answered(&self, text: &str) {
        let Ok(answer) = serde_json::from_str::<Envelope>(text) else {
            panic!("no answer: {text}");
        };
        let due = self.pending.lock().unwrap().remove(&answer.id);
        if let (Some(due), false) = (due, answer.result.is_error) {
            self.latencies.lock().unwrap().push(due.elapsed());
        }
    }

    fn latencies(&self) -> Vec<Duration> {
        std::mem::take(&mut self.latencies.lock().unwrap())
    }
}

type Queue = Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<(Instant, usize)>>>;

fn async_channel(room: usize) -> (tokio::sync::mpsc::Sender<(Instant, usize)>, Queue) {
    let (work, queue) = tokio::sync::mpsc::channel(room);
    (work, Arc::new(tokio::sync::Mutex::new(queue)))
}

/// Between two events that come at random, in units of their mean.
pub(crate) fn exponential() -> f64 {
    let random = f64::from(getrandom::u32().unwrap()) / f64::from(u32::MAX);
    -random.max(f64::MIN_POSITIVE).ln()
}

/// One stream, and what has come of its body that was not read yet.
struct Stream {
    socket: TcpStream,
    raw: Vec<u8>,
    text: String,
}

impl Stream {
    async fn open(endpoint: &Endpoint) -> Self {
        let mut socket = TcpStream::connect(endpoint.address).await.unwrap();
        let (host, key) = (endpoint.address, &endpoint.key);
        let head = format!(
            "GET /sse HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\nx-api-key: {key}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let end = loop {
            assert_ne!(socket.read_buf(&mut raw).await.unwrap(), 0, "refused");
            if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8(raw.drain(..end).collect()).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self {
            socket,
            raw,
            text: String::new(),
        }
    }

    async fn listen(mut self, crowd: Arc<Crowd>) {
        while let Some(data) = self.event().await {
            crowd.answered(&data);
        }
        crowd.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// The data of the next event; comments are passed over. `None` at the end.
    async fn event(&mut self) -> Option<String> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let data = data.map(str::to_owned);
                self.text = rest.to_owned();
                if data.is_some() {
                    return data;
                }
            }
            self.chunk().await?;
        }
    }

    async fn chunk(&mut self) -> Option<()> {
        loop {
            if let Some(at) = self.raw.windows(2).position(|two| two == b"\r\n") {
                let size = std::str::from_utf8(&self.raw[..at]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                let whole = at + 2 + size + 2;
                if size == 0 {
                    return None;
                }
                if self.raw.len() >= whole {
                    self.text += std::str::from_utf8(&self.raw[at + 2..whole - 2]).unwrap();
                    self.raw.drain(..whole);
                    return Some(());
                }
            }
            if self.socket.read_buf(&mut self.raw).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// A connection that messages are posted on, one after another.
struct Poster {
    socket: TcpStream,
    head: String,
    answer: Vec<u8>,
}

impl Poster {
    async fn to(endpoint: &Endpoint) -> Self {
        let socket = TcpStream::connect(endpoint.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (host, key) = (endpoint.address, &endpoint.key);
        Self {
            socket,
            head: format!("host: {host}\r\ncontent-type: application/json\r\nx-api-key: {key}"),
            answer: Vec::new(),
        }
    }

    async fn post(&mut self, target: &str, body: &str) {
        let (head, length) = (&self.head, body.len());
        let request =
            format!("POST {target} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        self.socket.write_all(request.as_bytes()).await.unwrap();
        self.answer.clear();
        while !self.answer.ends_with(b"\r\n\r\nAccepted") {
            let read = self.socket.read_buf(&mut self.answer).await.unwrap();
            assert_ne!(read, 0, "the server closed the connection");
        }
        let text = String::from_utf8_lossy(&self.answer);
        assert!(text.starts_with("HTTP/1.1 202"), "{text}");
    }
}

/// Connections that messages are posted on.
const POSTERS: usize = 8;
/// A prime.
const STEP: usize = 7_919;
