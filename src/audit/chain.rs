//! The hash chain: every line names the hash of the line before it, so that none can be changed,
//! moved, added or taken out without breaking what follows. Some lines are signed as well, and
//! with them everything before them.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use super::{event::number, sign::SigningKey};

/// Where the chain stands: the place and the hash of its last line.
#[derive(Clone)]
pub(super) struct Chain {
    seq: u64,
    hash: [u8; 64],
}

impl Chain {
    /// Before the first line.
    pub(super) const fn new() -> Self {
        Self {
            seq: 0,
            hash: [b'0'; 64],
        }
    }

    /// Adds to `out` a line that [`super::Event::open_line`] opened, and closes it there: its place,
    /// the hash before it, a signature if there is a key to sign with, and its own hash. The
    /// signature is over the line as it would be without `signature` and `hash`, the hash over the
    /// line without `hash`. Answers the length of the line, in bytes.
    pub(super) fn close(
        &mut self,
        out: &mut Vec<u8>,
        open: &[u8],
        key: Option<&SigningKey>,
    ) -> usize {
        let begin = out.len();
        self.seq += 1;
        out.extend_from_slice(open);
        out.extend_from_slice(b",\"seq\":");
        number(out, self.seq);
        out.extend_from_slice(b",\"prevHash\":\"");
        out.extend_from_slice(&self.hash);
        out.push(b'"');
        if let Some(key) = key {
            out.push(b'}');
            let signature = key.sign(out.get(begin..).unwrap_or_default());
            out.pop();
            let _ = write!(out, ",\"signature\":\"{signature}\"");
        }
        self.hash = hash(out.get(begin..).unwrap_or_default());
        out.extend_from_slice(b",\"hash\":\"");
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(b"\"}\n");
        out.len() - begin
    }

    /// The hash of the last line, in hex.
    pub(super) fn hash(&self) -> &str {
        std::str::from_utf8(&self.hash).unwrap_or_default()
    }
}

/// The hash of a line, given without its closing brace.
pub(super) fn hash(open: &[u8]) -> [u8; 64] {
    let mut hasher = Sha256::new();
    hasher.update(open);
    hasher.update(b"}");
    hex(&hasher.finalize())
}

pub(super) fn hex(digest: &[u8]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut hex = [0; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    hex
}
