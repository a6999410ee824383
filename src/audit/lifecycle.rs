//! The lines that the log writes about itself: where it begins, how far it has come, where it
//! ends, and what it had to leave out or mend.

use std::fmt::Write as _;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Event, Kind,
    config::Pace,
    event::string,
    lost::Lost,
    sign::SigningKey,
    sink::{Previous, Tail},
};

/// Who writes: a process (`boot`) of an instance. Every line names both, so that several
/// instances can share a file or a stream.
pub(super) struct Writer {
    /// `,"instance":"…","boot":"…"`
    fields: Vec<u8>,
    /// The id of the key that its pseudonyms are made with, unless that is forgotten at its end.
    pseudonyms: Option<String>,
}

impl Writer {
    /// `pseudonyms`: the id of the configured key that they are made with.
    pub(super) fn new(instance: &str, pseudonyms: Option<String>) -> Self {
        let boot = Uuid::new_v4().simple().to_string();
        let mut fields = b",\"instance\":".to_vec();
        string(&mut fields, instance, 64);
        fields.extend_from_slice(b",\"boot\":\"");
        fields.extend(boot.bytes().take(BOOT));
        fields.push(b'"');
        Self { fields, pseudonyms }
    }

    /// The fields that name it.
    pub(super) fn fields(&self) -> &[u8] {
        &self.fields
    }

    pub(super) fn sign(&self, open: &mut Vec<u8>) {
        open.extend_from_slice(&self.fields);
    }

    /// The first line for a sink, one of so many: what wrote the log, who signs it and how often, which key
    /// makes its pseudonyms, and where the last run of the same instance ended.
    pub(super) fn opening(
        &self,
        (sink, sinks): (&str, usize),
        previous: &Previous,
        pace: Pace,
        key: Option<&SigningKey>,
    ) -> Vec<u8> {
        let version = env!("CARGO_PKG_VERSION");
        let mut more = format!(",\"version\":\"{version}\",\"sink\":\"{sink}\",\"sinks\":{sinks}");
        let pseudonyms = self.pseudonyms.as_deref().unwrap_or(FORGOTTEN_KEY);
        // Writing into a string cannot fail.
        let _ = write!(more, ",\"pseudonymKey\":\"{pseudonyms}\"");
        if let Some(key) = key {
            let id = key.public().id();
            let _ = write!(more, ",\"signer\":\"{id}\"{}", often(pace));
        }
        match previous {
            Previous::Named(tail) | Previous::Unverified(tail) => {
                let Tail {
                    boot, seq, hash, ..
                } = tail;
                let word = match previous {
                    Previous::Unverified(_) => "unverified",
                    _ => "named",
                };
                let (boot, hash) = (quoted(boot), quoted(hash));
                let _ = write!(
                    more,
                    ",\"previous\":\"{word}\",\"previousBoot\":{boot},\"previousSeq\":{seq},\"previousHash\":{hash}"
                );
                more.push_str(&ended(tail));
            }
            Previous::None => more.push_str(",\"previous\":\"none\""),
            Previous::Unknown => more.push_str(",\"previous\":\"unknown\""),
        }
        line(&Event::new(Kind::LogOpen), &more)
    }
}

/// How the run before ended, as far as the file shows.
fn ended(tail: &Tail) -> String {
    match tail.is_closed() {
        true => ",\"previousEnd\":\"closed\"".to_owned(),
        false => {
            let calls = tail
                .unended
                .map(|calls| format!(",\"previousUnended\":{calls}"));
            ",\"previousEnd\":\"cut_off\"".to_owned() + &calls.unwrap_or_default()
        }
    }
}

/// How far the log has come, and how many calls have begun in it and not ended, where that is known.
pub(super) fn checkpoint(pace: Pace, open_calls: Option<usize>) -> Vec<u8> {
    let open = open_calls.map(|calls| format!(",\"openCalls\":{calls}"));
    let more = often(pace) + &open.unwrap_or_default();
    line(&Event::new(Kind::Checkpoint), &more)
}

/// The last line of a clean end, signed at that pace if it is.
pub(super) fn closing(pace: Option<Pace>) -> Vec<u8> {
    let more = pace.map(often).unwrap_or_default();
    line(&Event::new(Kind::LogClose), &more)
}

/// How often a line is signed. Every signed line says it, since older files may be gone.
fn often(pace: Pace) -> String {
    let (lines, every) = (pace.lines, pace.every.duration().as_secs());
    format!(",\"checkpointLines\":{lines},\"checkpointSeconds\":{every}")
}

/// What was left unfinished by somebody who was killed, and is now removed.
pub(super) fn healed(bytes: u64) -> Vec<u8> {
    let reason = format!(
        "removed {bytes} bytes, the beginning of a line that a process was killed in the middle of"
    );
    let event = Event {
        reason: Some(reason.into()),
        ..Event::new(Kind::LogHealed)
    };
    line(&event, "")
}

/// What found no room.
pub(super) fn lost(lost: &Lost) -> Vec<u8> {
    let event = Event {
        reason: Some(lost.to_string().into()),
        ..Event::new(Kind::LinesLost)
    };
    line(&event, &lost.fields())
}

fn quoted(text: &str) -> String {
    let mut quoted = Vec::new();
    string(&mut quoted, text, 64);
    String::from_utf8_lossy(&quoted).into_owned()
}

fn line(event: &Event, more: &str) -> Vec<u8> {
    let mut open = event.open_line(Timestamp::now());
    open.extend_from_slice(more.as_bytes());
    open
}

/// Whether a text has the form of what tells one run from another.
pub(super) fn is_boot(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == BOOT && text.bytes().all(is_digit)
}

/// What stands for the id of a key that nobody has once the process has ended.
pub(super) const FORGOTTEN_KEY: &str = "forgotten";
/// Hex digits that tell one run of a process from another.
const BOOT: usize = 16;
