//! The hash chain: every line names the hash of the line before it, so that none can be changed,
//! moved, added or taken out without breaking what follows.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

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

    /// Closes a line that [`super::Event::open_line`] opened: its place, the hash before it, and
    /// its own, which is the SHA-256 of the line as it would be without `,"hash":"…"`.
    pub(super) fn close(&mut self, line: &mut Vec<u8>) {
        self.seq += 1;
        let _ = write!(line, ",\"seq\":{},\"prevHash\":\"", self.seq);
        line.extend_from_slice(&self.hash);
        line.push(b'"');
        let mut hasher = Sha256::new();
        hasher.update(&line);
        hasher.update(b"}");
        self.hash = hex(&hasher.finalize());
        line.extend_from_slice(b",\"hash\":\"");
        line.extend_from_slice(&self.hash);
        line.extend_from_slice(b"\"}\n");
    }
}

fn hex(digest: &[u8]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut hex = [0; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    hex
}
