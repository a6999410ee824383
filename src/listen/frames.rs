//! What the protocol library cannot be told to bound in HTTP/2: how long the head of a request may
//! take when the connection is busy with others, and how much else may come between requests. It
//! sees frames only by their kind and size (RFC 9113, section 4.1).

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    opening::{Opening, PREFACE},
    watch::Watch,
};

/// What a peer says, in the clear.
pub(super) struct Read<IO> {
    io: IO,
    opening: Opening,
    frames: Frames,
    watch: Arc<Watch>,
}

impl<IO> Read<IO> {
    pub(super) fn new(io: IO, watch: Arc<Watch>) -> Self {
        Self {
            io,
            opening: Opening::default(),
            frames: Frames::new(),
            watch,
        }
    }
}

impl<IO: AsyncRead + Unpin> Read<IO> {
    /// The version of HTTP that the peer begins with.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn version(&mut self) -> io::Result<Version> {
        self.opening.version(&mut self.io).await
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Read<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(this.opening.poll_read(Pin::new(&mut this.io), cx, buf))?;
        let came = buf.filled().get(before..).unwrap_or_default();
        if !came.is_empty() {
            this.frames.see(came).map_err(io::Error::other)?;
            this.watch.is_within_a_head(this.frames.is_within());
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Read<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Follows the bytes of a peer. Anything but HTTP/2 is passed over.
#[derive(Debug)]
pub(super) struct Frames {
    place: Place,
    /// A header block has begun and the frame that ends it has not come.
    in_head: bool,
    /// Frames that ask for work and carry no request, since the last one that did.
    idle: u32,
}

#[derive(Debug)]
enum Place {
    /// So many bytes of the preface have come.
    Preface(usize),
    Header([u8; HEADER], usize),
    Payload {
        kind: u8,
        left: usize,
    },
    /// HTTP/1.1: its heads are watched elsewhere.
    Other,
}

/// A peer that sends one frame after the other and asks for nothing.
#[derive(Debug, thiserror::Error)]
#[error("too many HTTP/2 frames without a request")]
pub(super) struct Flood;

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Preface(0),
            in_head: false,
            idle: 0,
        }
    }

    /// Takes note of what has come.
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = match &mut self.place {
                Place::Other => return Ok(()),
                Place::Preface(seen) if PREFACE.get(*seen) != Some(first) => {
                    self.place = Place::Other;
                    return Ok(());
                }
                Place::Preface(seen) => {
                    *seen += 1;
                    if *seen == PREFACE.len() {
                        self.place = Place::Header([0; HEADER], 0);
                    }
                    rest
                }
                Place::Header(header, seen) => {
                    if let Some(byte) = header.get_mut(*seen) {
                        *byte = *first;
                    }
                    *seen += 1;
                    if *seen == HEADER {
                        let header = *header;
                        self.begin(header)?;
                    }
                    rest
                }
                Place::Payload { left, .. } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.place = Place::Header([0; HEADER], 0);
                    }
                    bytes.get(taken..).unwrap_or_default()
                }
            };
        }
        Ok(())
    }

    /// Whether more has to come before anything can be done with what has. Bodies have a deadline
    /// of their own.
    pub(super) fn is_within(&self) -> bool {
        let in_frame = match self.place {
            Place::Header(_, seen) => seen > 0,
            Place::Payload { kind, .. } => kind != DATA,
            // The first head has its deadline from the beginning of the connection.
            Place::Preface(_) | Place::Other => false,
        };
        self.in_head || in_frame
    }

    fn begin(&mut self, header: [u8; HEADER]) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = header;
        let left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS | CONTINUATION => self.in_head = flags & END_HEADERS == 0,
            _ => {}
        }
        match kind {
            HEADERS => self.idle = 0,
            DATA if left > 0 => self.idle = 0,
            // Whoever reads a long answer makes room for more of it.
            WINDOW_UPDATE => {}
            _ => self.idle += 1,
        }
        self.place = match left {
            0 => Place::Header([0; HEADER], 0),
            _ => Place::Payload { kind, left },
        };
        if self.idle > MAX_IDLE_FRAMES {
            Err(Flood)
        } else {
            Ok(())
        }
    }
}

/// Bytes before each frame's payload.
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// A client that pings every second during the hour that streams last stays far below.
const MAX_IDLE_FRAMES: u32 = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags, 0, 0, 0, 1]].concat();
        [head, vec![7; payload]].concat()
    }

    fn after(parts: &[Vec<u8>]) -> Frames {
        let mut frames = Frames::new();
        frames.see(PREFACE).unwrap();
        for part in parts {
            frames.see(part).unwrap();
        }
        frames
    }

    #[test]
    fn a_head_is_over_with_the_frame_that_ends_it() {
        let (whole, begun) = (frame(HEADERS, END_HEADERS, 9), frame(HEADERS, 0, 9));
        assert!(!after(&[]).is_within());
        assert!(!after(std::slice::from_ref(&whole)).is_within());
        assert!(after(std::slice::from_ref(&begun)).is_within());
        assert!(after(&[begun.clone(), frame(CONTINUATION, 0, 3)]).is_within());
        assert!(!after(&[begun, frame(CONTINUATION, END_HEADERS, 0)]).is_within());
        for torn in 1..whole.len() {
            assert!(after(&[whole[..torn].to_vec()]).is_within(), "{torn}");
        }
        assert!(!after(&[frame(DATA, 0, 9)[..12].to_vec()]).is_within());
    }

    #[test]
    fn who_asks_for_nothing_comes_to_an_end_and_who_asks_does_not() {
        let most = usize::try_from(MAX_IDLE_FRAMES).unwrap();
        for kind in [2, 3, 4, 6, 11] {
            let mut frames = after(&vec![frame(kind, 0, 8); most]);
            assert!(frames.see(&frame(kind, 0, 8)).is_err(), "{kind}");
        }
        let mut frames = after(&[]);
        for _ in 0..3 {
            frames.see(&frame(6, 0, 8).repeat(most)).unwrap();
            frames.see(&frame(HEADERS, END_HEADERS, 1)).unwrap();
        }
        after(&vec![frame(WINDOW_UPDATE, 0, 4); most * 3]);
        let empty = frame(DATA, 0, 0).repeat(most + 1);
        assert!(after(&[]).see(&empty).is_err());
    }

    #[test]
    fn other_protocols_are_passed_over() {
        let mut frames = Frames::new();
        frames.see(b"PRI /mcp HTTP/1.1\r\n").unwrap();
        frames.see(&frame(6, 0, 8).repeat(20_000)).unwrap();
        assert!(!frames.is_within());
    }

    proptest! {
        #[test]
        fn it_is_of_no_matter_how_the_bytes_come(
            kinds in prop::collection::vec((0_u8..12, any::<u8>(), 0_usize..40), 0..20),
            cuts in prop::collection::vec(1_usize..30, 1..80),
        ) {
            let frames = kinds.into_iter().map(|(kind, flags, size)| frame(kind, flags, size));
            let bytes = [PREFACE.to_vec(), frames.flatten().collect()].concat();
            let (mut whole, mut parts) = (Frames::new(), Frames::new());
            whole.see(&bytes).unwrap();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                parts.see(part).unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(whole.is_within(), parts.is_within());
            prop_assert_eq!(whole.idle, parts.idle);
        }
    }
}
