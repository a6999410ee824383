//! Where the log stands, kept in a second place: the chain shows what was changed in it, and this
//! that its end was not cut off.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{config::is_name, lifecycle::is_boot};

/// A file with the place and the hash of the last line that every sink has taken, and no more. The
/// hash is the one in the first sink, which is a file where there is one.
pub(super) struct HeadFile {
    path: PathBuf,
}

impl HeadFile {
    /// The file of an instance in a folder.
    pub(super) fn of(folder: &Path, instance: &str) -> Self {
        Self {
            path: folder.join(format!("{instance}.head")),
        }
    }

    /// Its path.
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes where the log stands; `who` are the fields that name the run.
    pub(super) fn write(&self, seq: u64, hash: &str, who: &[u8]) -> io::Result<()> {
        let mut line = format!("{{\"seq\":{seq},\"hash\":\"{hash}\"");
        line.push_str(&String::from_utf8_lossy(who));
        line.push('}');
        // Opened each time: it may have been moved to where it is safe.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&self.path)?;
        // Always as long, and written at once, so that no reader meets a part of an older one.
        file.write_all_at(format!("{line:<WIDTH$}\n").as_bytes(), 0)
    }
}

/// The last line of a log, as it was known elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    hash: Box<str>,
}

/// A head as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    seq: u64,
    hash: Box<str>,
    instance: Box<str>,
    boot: Box<str>,
}

/// No head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BadHead {
    #[error("expected the hash of a line: 64 digits of 0-9 and a-f")]
    Hash,
    #[error("expected a head as [audit] heads keeps it: seq, hash, instance and boot, and no more")]
    File,
}

impl Head {
    /// By the hash of the line.
    ///
    /// # Errors
    /// [`BadHead::Hash`]
    pub fn of_hash(hash: &str) -> Result<Self, BadHead> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match hash.len() == 64 && hash.bytes().all(is_digit) {
            true => Ok(Self { hash: hash.into() }),
            false => Err(BadHead::Hash),
        }
    }

    /// Those in a file of heads, one a line.
    ///
    /// # Errors
    /// [`BadHead::File`] for a line that is none, and where there is no line.
    pub fn all_of(text: &str) -> Result<Vec<Self>, BadHead> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let heads = lines.map(|line| {
            let head: Written = serde_json::from_str(line).map_err(|_| BadHead::File)?;
            let is_ours = head.seq > 0 && is_name(&head.instance) && is_boot(&head.boot);
            Self::of_hash(&head.hash)
                .ok()
                .filter(|_| is_ours)
                .ok_or(BadHead::File)
        });
        let heads: Vec<Self> = heads.collect::<Result<_, _>>()?;
        if heads.is_empty() {
            Err(BadHead::File)
        } else {
            Ok(heads)
        }
    }

    /// The hash of the line.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Bytes of a head, whatever its instance is called.
const WIDTH: usize = 255;

#[cfg(test)]
mod tests {
    use super::{super::chain::Chain, *};

    #[test]
    fn what_is_written_is_read() {
        let folder = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let instance = "i".repeat(64);
        let file = HeadFile::of(&folder, &instance);
        let mut chain = Chain::new();
        let who = format!(",\"instance\":\"{instance}\",\"boot\":\"0123456789abcdef\"");
        let mut read = Vec::new();
        for (seq, text) in [(100, "a longer line"), (2, "b")] {
            chain.close(
                &mut Vec::new(),
                format!("{{\"x\":\"{text}\"").as_bytes(),
                None,
            );
            file.write(seq, chain.hash(), who.as_bytes()).unwrap();
            let text = std::fs::read_to_string(folder.join(format!("{instance}.head"))).unwrap();
            assert_eq!(text.len(), WIDTH + 1, "{text}");
            read = Head::all_of(&text).unwrap();
            assert_eq!(read[0].hash(), chain.hash());
        }
        assert_eq!(read.len(), 1);
        std::fs::remove_dir_all(folder).unwrap();
        assert!(file.write(3, chain.hash(), who.as_bytes()).is_err());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let good = "0f".repeat(32);
        assert!(Head::of_hash(&good).is_ok());
        for hash in ["", "0f", &good.to_uppercase(), &good.replace('0', "g")] {
            assert_eq!(Head::of_hash(hash), Err(BadHead::Hash), "{hash}");
        }
        let head = |seq: u64, boot: &str| {
            format!("{{\"seq\":{seq},\"hash\":\"{good}\",\"instance\":\"i\",\"boot\":\"{boot}\"}}")
        };
        let boot = "0123456789abcdef";
        assert!(Head::all_of(&head(1, boot)).is_ok());
        let line = head(1, boot).replace('}', ",\"event\":\"log_close\"}");
        let hash_alone = format!("{{\"hash\":\"{good}\"}}");
        let (unplaced, unnamed) = (head(0, boot), head(1, "b"));
        for text in [
            "",
            "\n",
            "{}",
            &hash_alone,
            &good,
            &line,
            &unplaced,
            &unnamed,
        ] {
            assert_eq!(Head::all_of(text), Err(BadHead::File), "{text}");
        }
    }
}
