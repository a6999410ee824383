//! A line of the log as it is read again: what places it in its chain, and the texts that its hash
//! and its signature are over.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use super::{chain::hash, config::is_name, lifecycle::is_boot, sign::PublicKey};

/// What a line says about its place.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) instance: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) boot: Cow<'a, str>,
    pub(super) seq: u64,
    #[serde(borrow)]
    pub(super) prev_hash: Cow<'a, str>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) hash: Cow<'a, str>,
    /// Of a first line: who signs the log. Of every signed one: after how many lines and seconds
    /// at most.
    #[serde(borrow)]
    pub(super) signer: Option<Cow<'a, str>>,
    /// Of a first line: which key makes the run's pseudonyms.
    #[serde(borrow)]
    pub(super) pseudonym_key: Option<Cow<'a, str>>,
    pub(super) checkpoint_lines: Option<u64>,
    pub(super) checkpoint_seconds: Option<u64>,
    /// Of a first line: the kind of sink that has it, and how many there are.
    #[serde(borrow)]
    pub(super) sink: Option<Cow<'a, str>>,
    pub(super) sinks: Option<u64>,
    #[serde(borrow)]
    pub(super) previous: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) previous_boot: Option<Cow<'a, str>>,
    pub(super) previous_seq: Option<u64>,
    #[serde(borrow)]
    pub(super) previous_hash: Option<Cow<'a, str>>,
    /// How that run ended, and how many calls of it have no end.
    #[serde(borrow)]
    pub(super) previous_end: Option<Cow<'a, str>>,
    pub(super) previous_unended: Option<u64>,
    #[serde(borrow)]
    pub(super) execution_id: Option<Cow<'a, str>>,
    /// Of `lines_lost`: what was lost by event, and when the first and the last.
    #[serde(borrow)]
    pub(super) reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) lost_from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) lost_until: Option<Cow<'a, str>>,
    #[serde(skip)]
    text: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for what is no line of this log.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let line: Self = serde_json::from_str(text).ok()?;
        // Without a time nothing could be late, and names of another form are not ours.
        let is_ours = is_name(&line.instance) && is_boot(&line.boot) && line.time().is_some();
        is_ours.then_some(Self { text, ..line })
    }

    /// When it was recorded, as it says.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.timestamp.parse().ok()
    }

    /// The same for what may not even be text.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(text).ok().and_then(Self::parse)
    }

    /// Whether the hash is the one of this text.
    pub(super) fn is_unaltered(&self) -> bool {
        let end = format!(",\"hash\":\"{}\"}}", self.hash);
        let body = self.text.strip_suffix(&end);
        body.is_some_and(|open| hash(open.as_bytes()).as_slice() == self.hash.as_bytes())
    }

    /// Whether it claims to be signed.
    pub(super) const fn has_signature(&self) -> bool {
        self.signature.is_some()
    }

    /// The one of the keys that has signed this text.
    pub(super) fn signed_by<'k>(&self, keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
        let signature = self.signature.as_ref()?;
        let end = format!(
            ",\"signature\":\"{signature}\",\"hash\":\"{}\"}}",
            self.hash
        );
        let open = self.text.strip_suffix(&end)?;
        let message = format!("{open}}}");
        keys.iter()
            .find(|key| key.verifies(message.as_bytes(), signature))
    }
}
