//! How many rows a call may have: what was asked for, within the role's ceiling.

use super::{Context, input::Limit};
use crate::zoho::Page;

/// The rows of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) size: u32,
    /// Set when the role's ceiling cut what was asked for.
    pub(super) limited_to: Option<u32>,
}

impl Slice {
    /// What a call may have of what it asked for.
    pub(super) fn new(call: &Context<'_>, limit: Option<Limit>, default: u32) -> Self {
        let asked = limit.map_or(default, Limit::get);
        Self::cut(asked, call.grant.rows(asked))
    }

    fn cut(asked: u32, allowed: u32) -> Self {
        let size = asked.min(allowed).clamp(1, Limit::MAX);
        Self {
            size,
            limited_to: (size < asked).then_some(size),
        }
    }

    /// The page of that size.
    pub(super) fn page(self, number: u32) -> Page {
        Page {
            number,
            size: self.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_when_the_role_cut_it() {
        assert_eq!(
            Slice::cut(20, 20),
            Slice {
                size: 20,
                limited_to: None
            }
        );
        assert_eq!(
            Slice::cut(20, 10),
            Slice {
                size: 10,
                limited_to: Some(10)
            }
        );
        assert_eq!(
            Slice::cut(5, 10),
            Slice {
                size: 5,
                limited_to: None
            }
        );
    }
}
