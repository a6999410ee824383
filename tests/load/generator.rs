//! The load: so many connections that stay open, each with one call in flight. An answer counts
//! when its status is 200, its id the call's, and its result no error.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::process::Process;

/// Stands in a body where each call puts its own id, of the same length.
pub(crate) const FIRST_ID: u64 = 100_000_000;

/// Who is called, and with what key.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

/// One turn.
pub(crate) struct Load {
    pub(crate) endpoint: Endpoint,
    pub(crate) body: String,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What came of a turn.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// CPU time of the server process for each answered call, in microseconds.
    pub(crate) cpu: f64,
    pub(crate) calls_per_second: f64,
    /// Microseconds.
    pub(crate) p50: f64,
    /// Microseconds.
    pub(crate) p99: f64,
}

#[derive(Default)]
struct Progress {
    answered: AtomicU64,
    measuring: AtomicBool,
    ended: AtomicBool,
}

impl Load {
    pub(crate) async fn run(&self, server: &Process) -> Turn {
        let progress = Arc::new(Progress::default());
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            let connection = Connection::open(&self.endpoint, &self.body).await;
            connections.spawn(connection.run(progress.clone()));
        }
        tokio::time::sleep(self.warm_up).await;
        progress.measuring.store(true, Ordering::Relaxed);
        let (cpu, answered) = (server.cpu(), progress.answered.load(Ordering::Relaxed));
        let began = Instant::now();
        tokio::time::sleep(self.measured).await;
        let elapsed = began.elapsed();
        let cpu = server.cpu() - cpu;
        let answered = (progress.answered.load(Ordering::Relaxed) - answered) as f64;
        progress.ended.store(true, Ordering::Relaxed);
        let mut latencies: Vec<Duration> = connections.join_all().await.concat();
        latencies.sort_unstable();
        let at = |share| micros(percentile(&latencies, share));
        Turn {
            cpu: micros(cpu) / answered,
            calls_per_second: answered / elapsed.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}

/// What so large a share stays below. Sorted, and not empty.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted[place.min(sorted.len() - 1)]
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

struct Connection {
    socket: TcpStream,
    request: Vec<u8>,
    /// Where the id stands in the request.
    id_at: usize,
    answer: Vec<u8>,
}

/// An answer, as far as it has to be looked at.
#[derive(Deserialize)]
pub(crate) struct Envelope {
    pub(crate) id: u64,
    pub(crate) result: Outcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    #[serde(default)]
    pub(crate) is_error: bool,
}

impl Connection {
    async fn open(endpoint: &Endpoint, body: &str) -> Self {
        let socket = TcpStream::connect(endpoint.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\n\
             x-api-key: {}\r\ncontent-length: {}\r\n\r\n",
            endpoint.address,
            endpoint.key,
            body.len()
        );
        let id = FIRST_ID.to_string();
        let id_at = head.len() + body.find(&id).expect("an id");
        Self {
            socket,
            request: [head.as_bytes(), body.as_bytes()].concat(),
            id_at,
            answer: Vec::with_capacity(64 << 10),
        }
    }

    async fn run(mut self, progress: Arc<Progress>) -> Vec<Duration> {
        let mut latencies = Vec::new();
        let mut id = FIRST_ID;
        while !progress.ended.load(Ordering::Relaxed) {
            id += 1;
            let slot = self.id_at..self.id_at + id.to_string().len();
            self.request[slot].copy_from_slice(id.to_string().as_bytes());
            let sent = Instant::now();
            self.socket.write_all(&self.request).await.unwrap();
            let body_at = self.read().await;
            let latency = sent.elapsed();
            let text = String::from_utf8_lossy(&self.answer);
            let envelope: Envelope = serde_json::from_str(&text[body_at..])
                .unwrap_or_else(|error| panic!("no result ({error}): {text}"));
            assert!(envelope.id == id && !envelope.result.is_error, "{text}");
            progress.answered.fetch_add(1, Ordering::Relaxed);
            if progress.measuring.load(Ordering::Relaxed) {
                latencies.push(latency);
            }
        }
        latencies
    }

    /// Reads one answer to its end and says where its body begins.
    async fn read(&mut self) -> usize {
        self.answer.clear();
        let mut whole = None;
        loop {
            let read = self.socket.read_buf(&mut self.answer).await.unwrap();
            assert_ne!(read, 0, "the server closed the connection");
            if whole.is_none() {
                whole = head(&self.answer);
            }
            if let Some((body_at, length)) = whole
                && self.answer.len() >= body_at + length
            {
                return body_at;
            }
        }
    }
}

/// Where the body begins and how long it is, once the head is there.
fn head(answer: &[u8]) -> Option<(usize, usize)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap_or_else(|| panic!("no length: {head}"));
    Some((end + 4, length.parse().unwrap()))
}
