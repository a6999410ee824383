//! The rest of a request that was answered before it was read to its end. A connection that is closed
//! in the middle of it loses the answer, and whatever request comes behind; and who is answered
//! early, a stranger perhaps, may share the connection with others, behind a load balancer. Over
//! HTTP/2 the end of such an answer resets the stream, and some clients make a failure of that.

use std::{
    mem::take,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// A body that comes back when nobody has read it to its end.
pub(super) struct Lent {
    left: Left,
    back: Rest,
}

/// What was left of it.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Left>>);

#[derive(Default)]
enum Left {
    #[default]
    Nothing,
    Unread(Incoming),
    /// It broke off, or its framing made no sense: where another request would begin is not known.
    Torn,
}

pub(super) fn lend(body: Incoming) -> (Lent, Rest) {
    let back = Rest::default();
    let lent = Lent {
        left: Left::Unread(body),
        back: back.clone(),
    };
    (lent, back)
}

impl Rest {
    /// Lets who is still sending come to an end, and drops what comes; not for long. False when there
    /// is more. One that `waits` to be asked for the body sends none.
    pub(super) async fn has_passed(&self, waits: bool) -> bool {
        let mut body = match take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            Left::Nothing => return true,
            Left::Torn => return false,
            Left::Unread(body) => body,
        };
        if waits {
            return false;
        }
        let passing = async {
            let mut passed = 0;
            while let Some(frame) = body.frame().await {
                passed += frame.ok()?.data_ref().map_or(0, Bytes::len);
                if passed > MOST {
                    return None;
                }
            }
            Some(())
        };
        matches!(timeout(PATIENCE, passing).await, Ok(Some(())))
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Left::Unread(body) = &mut self.left else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        match polled {
            Poll::Ready(None) => self.left = Left::Nothing,
            Poll::Ready(Some(Err(_))) => self.left = Left::Torn,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.left {
            Left::Unread(body) => body.is_end_stream(),
            Left::Nothing | Left::Torn => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.left {
            Left::Unread(body) => body.size_hint(),
            Left::Nothing | Left::Torn => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let left = match take(&mut self.left) {
            Left::Unread(body) if body.is_end_stream() => Left::Nothing,
            left => left,
        };
        *self.back.0.lock().unwrap_or_else(PoisonError::into_inner) = left;
    }
}

/// Bytes.
const MOST: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(1);
