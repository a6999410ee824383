//! What is known of a write afterwards.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    super::{Context, Written},
    Once,
};
use crate::zoho::{RecordId, records, written};

/// What a look for a lost write finds.
#[derive(Default)]
pub(in crate::tools) struct Looked {
    /// Records that hold all of it, each as [`Receipt::found`].
    pub(in crate::tools) these: Vec<Receipt>,
    /// Another one may be it, and nothing that is shown tells.
    pub(in crate::tools) or_another: bool,
}

impl From<records::Looked> for Looked {
    fn from(looked: records::Looked) -> Self {
        Self {
            these: looked.these.into_iter().map(Receipt::found).collect(),
            or_another: looked.or_another,
        }
    }
}

/// What is known of a write that has happened.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tools) struct Receipt {
    pub(in crate::tools) id: RecordId,
    /// When the record was made or changed, as Zoho says.
    pub(in crate::tools) time: Option<String>,
    pub(in crate::tools) outcome: Outcome,
    /// Arguments that Zoho passed over.
    pub(in crate::tools) not_kept: Vec<&'static str>,
    /// Whether there are others could not be looked up.
    pub(in crate::tools) is_unchecked: bool,
}

/// replayed, found: an earlier call made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::tools) enum Outcome {
    Created,
    Updated,
    Unchanged,
    Replayed,
    Found,
}

impl Outcome {
    /// As the log has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Replayed => "replayed",
            Self::Found => "found",
        }
    }

    /// What an agent is told after the fact.
    pub(in crate::tools) const fn remark(self) -> &'static str {
        match self {
            Self::Created | Self::Updated => "",
            Self::Unchanged => " It was so already: nothing was written.",
            Self::Replayed => {
                " An earlier call with this idempotency_key wrote it: nothing was written now."
            }
            Self::Found => {
                " It is taken for the write of the earlier call with this idempotency_key, whose \
                 answer was lost: nothing was written now."
            }
        }
    }
}

impl Receipt {
    /// Of a write that lost nothing, as far as is known.
    pub(in crate::tools) fn new(id: RecordId, time: Option<String>, outcome: Outcome) -> Self {
        Self {
            id,
            time,
            outcome,
            not_kept: Vec::new(),
            is_unchecked: false,
        }
    }

    /// Of a record that was made now.
    pub(in crate::tools) fn created(written: written::Written) -> Self {
        Self::new(written.id, written.created_time, Outcome::Created)
    }

    /// Of a record that an earlier attempt may have made.
    pub(in crate::tools) fn found(written: written::Written) -> Self {
        Self::new(written.id, written.created_time, Outcome::Found)
    }

    /// For the log, before anything else is waited for: a caller who leaves from here on leaves a
    /// record behind.
    pub(super) fn note(&self, call: &Context<'_>) {
        // A tool writes once.
        let _ = call.written.set(Written {
            record: self.id.as_str().into(),
            outcome: self.outcome.name(),
        });
    }

    /// With what Zoho passed over.
    pub(super) async fn compared<W: Once>(mut self, call: &Context<'_>, write: &W) -> Self {
        if matches!(self.outcome, Outcome::Created | Outcome::Found) {
            let fields = write.not_kept(call, &self.id).await;
            self.is_unchecked = fields.is_none();
            let fields = fields.unwrap_or_default();
            let named = W::FIELDS
                .iter()
                .filter(|(theirs, _)| fields.contains(theirs));
            self.not_kept = named.map(|(_, ours)| *ours).collect();
        }
        self
    }
}
