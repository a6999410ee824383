//! Who takes part, how often they call, and what they have to be told.

use super::Setup;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Looks contacts up and leaves notes, sometimes twice with the same key.
    Support,
    Sales,
    Reader,
    /// Calls far more than its limit.
    Flooder,
    /// Tries a key that nobody has.
    Stranger,
    /// Calls a tool that its role may not.
    Trespasser,
    /// Asks for records of others.
    Prying,
    /// Sends bodies of a mebibyte.
    Giant,
    /// Leaves in the middle of a write, and writes again until it is told that it is written.
    Quitter,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Answered,
    /// The tool ran and said that it failed.
    Failed,
    /// The tool is not permitted.
    Denied,
    Unauthorized,
    TooLarge,
    Limited,
    Overloaded,
    /// The caller left, or was not let finish its body.
    Cut,
    /// There was no answer.
    Lost,
    /// Anything else.
    Odd,
}

impl Role {
    pub(crate) const ALL: [Self; 9] = [
        Self::Support,
        Self::Sales,
        Self::Reader,
        Self::Flooder,
        Self::Stranger,
        Self::Trespasser,
        Self::Prying,
        Self::Giant,
        Self::Quitter,
    ];

    pub(crate) fn behaves(self) -> bool {
        self <= Self::Reader
    }

    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// The clients of the configuration that have it.
    pub(crate) fn clients(self, agents: usize) -> Vec<String> {
        if self.behaves() {
            let numbered = |number| format!("{}-{number}", self.name());
            return (0..agents).map(numbered).collect();
        }
        vec![self.name()]
    }

    /// Calls that one client has under way at once.
    pub(crate) fn hands(self) -> usize {
        match self {
            Self::Flooder => 8,
            Self::Quitter => 4,
            _ => 1,
        }
    }

    /// Calls a second of one client.
    pub(crate) fn rate(self, setup: &Setup) -> f64 {
        match self {
            Self::Flooder => setup.flood,
            Self::Stranger => 20.0,
            Self::Trespasser | Self::Prying | Self::Giant | Self::Quitter => 5.0,
            Self::Support | Self::Sales | Self::Reader => setup.rate,
        }
    }

    pub(crate) fn may_be_told(self, outcome: Outcome) -> bool {
        use Outcome::{Answered, Cut, Denied, Failed, Limited, TooLarge, Unauthorized};
        match self {
            Self::Support | Self::Sales | Self::Reader => outcome == Answered,
            Self::Flooder => matches!(outcome, Answered | Limited),
            Self::Stranger => matches!(outcome, Unauthorized | Limited),
            Self::Trespasser => outcome == Denied,
            Self::Prying => outcome == Failed,
            Self::Giant => matches!(outcome, TooLarge | Cut),
            // An earlier attempt still runs, or may still be written.
            Self::Quitter => matches!(outcome, Answered | Cut | Failed),
        }
    }
}
