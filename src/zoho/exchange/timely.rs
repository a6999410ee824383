//! The body of a write that is not sent too late.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// Fails once its time is over. An instance that stood still for long, and by then is taken for dead, so
/// writes nothing when it wakes: another one may have made the same write.
pub(super) struct Timely {
    bytes: Option<Bytes>,
    until: Instant,
}

/// The time of a request was over before it was sent.
#[derive(Debug, thiserror::Error)]
#[error("too late to be sent")]
pub(super) struct TooLate;

impl Timely {
    pub(super) const fn new(bytes: Bytes, until: Instant) -> Self {
        Self {
            bytes: Some(bytes),
            until,
        }
    }
}

impl Body for Timely {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let is_late = Instant::now() >= self.until;
        let bytes = self.bytes.take();
        Poll::Ready(bytes.map(|bytes| match is_late {
            true => Err(TooLate),
            false => Ok(Frame::data(bytes)),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_late_is_not_sent() {
        let body = |until| Timely::new(Bytes::from_static(b"{}"), until);
        let soon = Instant::now() + Duration::from_secs(60);
        assert_eq!(body(soon).size_hint().exact(), Some(2));
        assert_eq!(body(soon).collect().await.unwrap().to_bytes(), "{}");
        assert!(body(Instant::now()).collect().await.is_err());
    }
}
