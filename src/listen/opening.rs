//! The first bytes of a connection, by which a peer says whether it speaks HTTP/1.1 or HTTP/2
//! (RFC 9113, section 3.4). They are looked at and given back.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use http::Version;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

/// How every connection over HTTP/2 begins.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What has been looked at and not been read.
#[derive(Debug, Default)]
pub(super) struct Opening {
    bytes: [u8; PREFACE.len()],
    came: usize,
    given: usize,
}

impl Opening {
    /// Reads as far as it takes to know.
    ///
    /// # Errors
    /// Those of `io`.
    pub(super) async fn version(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Version> {
        loop {
            let Some((came, free)) = self.bytes.split_at_mut_checked(self.came) else {
                return Ok(Version::HTTP_11);
            };
            if !PREFACE.starts_with(came) {
                return Ok(Version::HTTP_11);
            }
            if free.is_empty() {
                return Ok(Version::HTTP_2);
            }
            match io.read(free).await? {
                0 => return Ok(Version::HTTP_11),
                more => self.came += more,
            }
        }
    }

    /// Reads what was looked at, and then what follows it, in one piece: whoever reads a head with
    /// one look needs room for it once.
    pub(super) fn poll_read(
        &mut self,
        mut io: Pin<&mut (impl AsyncRead + Unpin)>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let held = self.bytes.get(self.given..self.came).unwrap_or_default();
        let (now, later) = held.split_at(held.len().min(buf.remaining()));
        buf.put_slice(now);
        self.given += now.len();
        if !later.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match io.as_mut().poll_read(cx, buf) {
            // What follows has not come, or is told to whoever reads on.
            _ if !now.is_empty() => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    /// A peer whose bytes come in parts.
    fn saying<'a>(parts: &[&'a [u8]]) -> Box<dyn AsyncRead + Unpin + 'a> {
        let nothing: Box<dyn AsyncRead + Unpin> = Box::new(tokio::io::empty());
        let parts = parts.iter().rev();
        parts.fold(nothing, |later, part| Box::new(part.chain(later)))
    }

    /// The version, and all that is read afterwards.
    fn read(parts: &[&[u8]], room: usize) -> (Version, Vec<u8>) {
        let (mut io, mut opening) = (saying(parts), Opening::default());
        let version = opening.version(&mut io).now_or_never().unwrap().unwrap();
        let mut all = Vec::new();
        loop {
            let mut bytes = vec![0; room];
            let mut buf = ReadBuf::new(&mut bytes);
            let read =
                std::future::poll_fn(|cx| opening.poll_read(Pin::new(&mut io), cx, &mut buf));
            read.now_or_never().unwrap().unwrap();
            if buf.filled().is_empty() {
                return (version, all);
            }
            all.extend_from_slice(buf.filled());
        }
    }

    #[test]
    fn a_head_is_read_in_one_piece() {
        let head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let (first, rest) = head.split_at(5);
        let mut io = saying(&[first, rest]);
        let mut opening = Opening::default();
        let version = opening.version(&mut io).now_or_never().unwrap().unwrap();
        assert_eq!(version, Version::HTTP_11);
        let mut bytes = [0; 100];
        let mut buf = ReadBuf::new(&mut bytes);
        let read = std::future::poll_fn(|cx| opening.poll_read(Pin::new(&mut io), cx, &mut buf));
        read.now_or_never().unwrap().unwrap();
        assert_eq!(buf.filled(), head);
    }

    #[test]
    fn whoever_leaves_in_the_middle_has_said_nothing_of_version_2() {
        for length in 0..PREFACE.len() {
            let (version, all) = read(&[&PREFACE[..length]], 9);
            assert_eq!((version, &all[..]), (Version::HTTP_11, &PREFACE[..length]));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_the_bytes_come(
            begins in prop::bool::ANY,
            follows in prop::collection::vec(any::<u8>(), 0..80),
            cuts in prop::collection::vec(1_usize..30, 1..40),
            room in 1_usize..50,
        ) {
            let preface = if begins { &PREFACE[..] } else { b"PRI / HTTP/1.1\r\n" };
            let said = [preface, &follows].concat();
            let (mut parts, mut rest) = (Vec::new(), &said[..]);
            for cut in cuts.iter().cycle() {
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                parts.push(part);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let (version, all) = read(&parts, room);
            prop_assert_eq!(version == Version::HTTP_2, begins);
            prop_assert_eq!(all, said);
        }
    }
}
