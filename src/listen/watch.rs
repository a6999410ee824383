//! How long a connection may sit: for its first byte and each request's head a short while,
//! between requests a longer one, during a request as long as the request's own deadlines say.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Version,
    body::{Body, Frame, SizeHint},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// One connection's clock.
pub(super) struct Watch {
    began: Instant,
    head: Duration,
    idle: Duration,
    /// Milliseconds after `began`; [`NEVER`] during a request.
    deadline: AtomicU64,
    in_flight: AtomicUsize,
    /// Between requests, no byte of the next one seen yet.
    is_idle: AtomicBool,
    /// HTTP/2: bytes between requests may be a ping as well, so they begin no head.
    is_framed: AtomicBool,
}

const NEVER: u64 = u64::MAX;

impl Watch {
    pub(super) fn new(head: Duration, idle: Duration) -> Arc<Self> {
        let watch = Self {
            began: Instant::now(),
            head,
            idle,
            deadline: AtomicU64::new(NEVER),
            in_flight: AtomicUsize::new(0),
            is_idle: AtomicBool::new(false),
            is_framed: AtomicBool::new(false),
        };
        watch.allow(head);
        Arc::new(watch)
    }

    /// Returns when a deadline has passed.
    pub(super) async fn expired(&self) {
        loop {
            let left = match self.deadline.load(Ordering::Relaxed) {
                NEVER => self.idle,
                deadline => {
                    let at = self.began + Duration::from_millis(deadline);
                    match at.checked_duration_since(Instant::now()) {
                        Some(left) if !left.is_zero() => left,
                        _ => return,
                    }
                }
            };
            // A deadline can only come nearer by the first byte of a head, so look that often.
            tokio::time::sleep(left.min(self.head)).await;
        }
    }

    /// A request's head has arrived whole; until the guard is dropped nothing expires here.
    pub(super) fn request(self: &Arc<Self>, version: Version) -> InRequest {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.is_framed
            .store(version >= Version::HTTP_2, Ordering::Relaxed);
        self.deadline.store(NEVER, Ordering::Relaxed);
        InRequest(self.clone())
    }

    /// Leaves a connection without a request no more than `span`. To be called before
    /// [`Watch::expired`], which would notice a nearer deadline late.
    pub(super) fn hurry(&self, span: Duration) {
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            self.allow(span);
        }
    }

    fn bytes_came(&self) {
        if self.is_idle.swap(false, Ordering::Relaxed) {
            self.allow(self.head);
        }
    }

    fn allow(&self, span: Duration) {
        let at = (self.began.elapsed() + span).as_millis();
        self.deadline
            .store(u64::try_from(at).unwrap_or(NEVER), Ordering::Relaxed);
    }
}

/// A request being answered.
pub(super) struct InRequest(Arc<Watch>);

impl Drop for InRequest {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.allow(self.0.idle);
            let framed = self.0.is_framed.load(Ordering::Relaxed);
            self.0.is_idle.store(!framed, Ordering::Relaxed);
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
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A response body that holds its request's guards until the last byte is handed over.
pub(super) struct Guarded<B> {
    pub(super) body: B,
    pub(super) _in_request: InRequest,
    pub(super) _answering: Option<TaskTrackerToken>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Guarded<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(75);

    async fn seconds_until_it_expires(watch: &Watch) -> u64 {
        let began = Instant::now();
        watch.expired().await;
        began.elapsed().as_secs()
    }

    fn rested(version: Version) -> Arc<Watch> {
        let watch = Watch::new(HEAD, IDLE);
        drop(watch.request(version));
        watch
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_head_has_a_short_while_and_the_time_between_requests_is_longer() {
        assert_eq!(seconds_until_it_expires(&Watch::new(HEAD, IDLE)).await, 5);
        assert_eq!(
            seconds_until_it_expires(&rested(Version::HTTP_11)).await,
            75
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_begins_the_next_head_and_a_frame_may_be_a_ping() {
        for (version, seconds) in [(Version::HTTP_11, 5), (Version::HTTP_2, 75)] {
            let watch = rested(version);
            watch.bytes_came();
            assert_eq!(
                seconds_until_it_expires(&watch).await,
                seconds,
                "{version:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_expires_during_a_request_and_only_idle_connections_are_hurried() {
        let watch = Watch::new(HEAD, IDLE);
        let request = watch.request(Version::HTTP_11);
        watch.hurry(Duration::from_secs(1));
        assert!(
            tokio::time::timeout(IDLE * 9, watch.expired())
                .await
                .is_err()
        );
        drop(request);
        watch.hurry(Duration::from_secs(1));
        assert_eq!(seconds_until_it_expires(&watch).await, 1);
    }
}
