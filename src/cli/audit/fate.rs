//! What became of the run of a call that has no end in the log.

use serde_json::Value;

use super::telling::text;

/// How the run ended in which a call began, as far as a later line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    /// No line says it.
    #[default]
    Unknown,
    /// The next run found no closing line of it.
    CutOff,
    /// It has a closing line.
    Closed,
}

impl Fate {
    /// What the line says of a run: which, and how it ended.
    pub(super) fn told_by(line: &Value) -> Option<(&str, Self)> {
        match text(line, "event")? {
            "log_close" => Some((text(line, "boot")?, Self::Closed)),
            "log_open" => {
                let fate = match text(line, "previousEnd")? {
                    "closed" => Self::Closed,
                    _ => Self::CutOff,
                };
                Some((text(line, "previousBoot")?, fate))
            }
            _ => None,
        }
    }

    /// Why the call has no end.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Unknown => "the daemon was killed, or had not ended it yet",
            Self::CutOff => {
                "the daemon ended without closing its log during it, as its next run says: it was killed, or could not write its end"
            }
            Self::Closed => {
                "the daemon closed its log without its end: lines_lost says whether lines found no room"
            }
        }
    }
}
