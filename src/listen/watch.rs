//! How long a connection may sit: for its first byte and each request's head a short while,
//! between requests a longer one, during a request as long as the request's own deadlines say;
//! and how long it may leave what we write unread.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::strangers::{Proven, Standing};

/// One connection's clock.
pub(super) struct Watch {
    began: Instant,
    head: Duration,
    idle: Duration,
    write: Duration,
    standing: Arc<Standing>,
    /// Milliseconds after `began`; [`NEVER`] during a request.
    deadline: AtomicU64,
    /// The same for a peer that reads nothing; [`NEVER`] while the socket takes what we write.
    unread: AtomicU64,
    /// The same for a head over HTTP/2 that has begun, whatever else the connection is busy with.
    begun: AtomicU64,
    /// HTTP/2: bytes between requests are not the head of one.
    is_multiplexed: AtomicBool,
    /// As `unread`, for each answer over HTTP/2: there a peer can read the connection and let a
    /// single answer wait.
    answers: Mutex<Vec<Arc<AtomicU64>>>,
    in_flight: AtomicUsize,
    /// Between requests, no byte of the next one seen yet.
    is_idle: AtomicBool,
}

const NEVER: u64 = u64::MAX;

impl Watch {
    pub(super) fn new(
        head: Duration,
        idle: Duration,
        write: Duration,
        standing: Arc<Standing>,
    ) -> Arc<Self> {
        let watch = Self {
            began: Instant::now(),
            head,
            idle,
            write,
            standing,
            deadline: AtomicU64::new(NEVER),
            unread: AtomicU64::new(NEVER),
            begun: AtomicU64::new(NEVER),
            is_multiplexed: AtomicBool::new(false),
            answers: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            is_idle: AtomicBool::new(false),
        };
        watch.allow(head);
        Arc::new(watch)
    }

    /// Returns when a deadline has passed, or when the connection has to make room.
    pub(super) async fn expired(&self) {
        loop {
            let unread = self.unread.load(Ordering::Relaxed).min(self.answers());
            let begun = self.begun.load(Ordering::Relaxed);
            let left = match self.deadline.load(Ordering::Relaxed).min(unread).min(begun) {
                NEVER => self.idle,
                deadline => {
                    let at = self.began + Duration::from_millis(deadline);
                    match at.checked_duration_since(Instant::now()) {
                        Some(left) if !left.is_zero() => left,
                        _ => return,
                    }
                }
            };
            // A deadline comes nearer by the first byte of a head or by a write that waits, so look
            // that often.
            let look = tokio::time::sleep(left.min(self.head).min(self.write));
            tokio::select! {
                () = look => {}
                () = self.standing.sent_away() => return,
            }
        }
    }

    /// A request's head has arrived whole; until the guard is dropped only what the peer leaves
    /// unread expires.
    pub(super) fn request(self: &Arc<Self>, is_multiplexed: bool) -> InRequest {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.deadline.store(NEVER, Ordering::Relaxed);
        self.standing.asks(self.idle);
        let unread = is_multiplexed.then(|| {
            self.is_multiplexed.store(true, Ordering::Relaxed);
            let unread = Arc::new(AtomicU64::new(NEVER));
            self.lock().push(unread.clone());
            unread
        });
        InRequest {
            watch: self.clone(),
            unread,
        }
    }

    /// Leaves a connection without a request no more than `span`. To be called before
    /// [`Watch::expired`], which would notice a nearer deadline late.
    pub(super) fn hurry(&self, span: Duration) {
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            self.allow(span);
        }
    }

    fn answers(&self) -> u64 {
        let deadlines = self.lock();
        let deadlines = deadlines.iter().map(|at| at.load(Ordering::Relaxed));
        deadlines.min().unwrap_or(NEVER)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<AtomicU64>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handshake has taken its own time; the first byte of a request gets all of its.
    pub(super) fn restart(&self) {
        self.allow(self.head);
    }

    /// Pings and window updates come between the requests of HTTP/2.
    fn bytes_came(&self) {
        let multiplexed = self.is_multiplexed.load(Ordering::Relaxed);
        if !multiplexed && self.is_idle.swap(false, Ordering::Relaxed) {
            self.allow(self.head);
        }
    }

    /// Whether bytes of HTTP/2 came of which more have to come.
    pub(super) fn is_within_a_head(&self, within: bool) {
        if !within {
            self.begun.store(NEVER, Ordering::Relaxed);
        } else if self.begun.load(Ordering::Relaxed) == NEVER {
            self.begun.store(self.after(self.head), Ordering::Relaxed);
        }
    }

    /// Whoever has proven nothing is given no more time for each byte that it takes.
    fn wrote(&self, taken: bool) {
        if taken {
            if self.standing.proven_for().is_some() {
                self.flushed();
            }
        } else if self.unread.load(Ordering::Relaxed) == NEVER {
            self.unread.store(self.after(self.write), Ordering::Relaxed);
        }
    }

    /// The socket has taken everything.
    fn flushed(&self) {
        self.unread.store(NEVER, Ordering::Relaxed);
    }

    /// Between requests. Whoever has proven nothing waits no longer for the next one than for the
    /// first, and nobody rests longer by asking for what proves nothing.
    fn rest(&self) {
        let proven = self.standing.proven_for();
        let known = proven.map_or(Duration::ZERO, |since| self.idle.saturating_sub(since));
        self.allow(known.max(self.idle.min(self.head)));
    }

    fn allow(&self, span: Duration) {
        self.deadline.store(self.after(span), Ordering::Relaxed);
    }

    fn after(&self, span: Duration) -> u64 {
        let at = (self.began.elapsed() + span).as_millis();
        u64::try_from(at).unwrap_or(NEVER)
    }
}

/// A request being answered.
pub(super) struct InRequest {
    watch: Arc<Watch>,
    unread: Option<Arc<AtomicU64>>,
}

impl InRequest {
    /// Something is there for the peer, or nothing at the moment.
    fn offers(&self, something: bool) {
        if let Some(unread) = &self.unread {
            let at = if something {
                self.watch.after(self.watch.write)
            } else {
                NEVER
            };
            unread.store(at, Ordering::Relaxed);
        }
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        if let Some(unread) = &self.unread {
            self.watch
                .lock()
                .retain(|other| !Arc::ptr_eq(other, unread));
        }
        if self.watch.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.watch.rest();
            self.watch.is_idle.store(true, Ordering::Relaxed);
        }
    }
}

/// A socket that tells its watch when bytes come.
pub(super) struct Watched {
    pub(super) socket: TcpStream,
    pub(super) watch: Arc<Watch>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.bytes_came();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.watch.wrote(polled.is_ready());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.watch.wrote(polled.is_ready());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.socket).poll_flush(cx);
        if polled.is_ready() {
            self.watch.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A response body that holds its request's guards until the last byte is handed over.
pub(super) struct Guarded<B> {
    body: B,
    /// Before the request ends, so that the rest after it counts from here.
    _proven: Option<Proven>,
    in_request: InRequest,
    _answering: Option<TaskTrackerToken>,
}

impl<B> Guarded<B> {
    /// `answering` holds up the drain.
    pub(super) fn new(
        body: B,
        in_request: InRequest,
        proven: Option<Proven>,
        answering: Option<TaskTrackerToken>,
    ) -> Self {
        in_request.offers(true);
        Self {
            body,
            _proven: proven,
            in_request,
            _answering: answering,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Guarded<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        // Asked for more only when the peer has room for it.
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.in_request
            .offers(matches!(polled, Poll::Ready(Some(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
