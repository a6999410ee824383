//! Lines of other logs that went to the same place.

use serde::{Deserialize, de::IgnoredAny};

#[derive(clap::Args)]
pub(super) struct Mixed {
    /// The operational log and embedded metrics went to the same place, such as a group of
    /// CloudWatch: their lines of JSON are passed over
    #[arg(long)]
    mixed: bool,
}

/// A line of JSON, as far as it tells another log from this one.
#[derive(Deserialize)]
struct Other {
    target: Option<IgnoredAny>,
    #[serde(rename = "_aws")]
    metrics: Option<IgnoredAny>,
    boot: Option<IgnoredAny>,
    seq: Option<IgnoredAny>,
    hash: Option<IgnoredAny>,
}

impl Mixed {
    /// Whether a line is to be passed over. Nothing that has a place in a chain is another log's,
    /// or a line could be hidden as one.
    pub(super) fn is_anothers(&self, text: &[u8]) -> bool {
        self.mixed
            && serde_json::from_slice::<Other>(text).is_ok_and(|line| {
                let is_known = line.target.is_some() || line.metrics.is_some();
                let is_ours = line.boot.is_some() || line.seq.is_some() || line.hash.is_some();
                is_known && !is_ours
            })
    }
}
