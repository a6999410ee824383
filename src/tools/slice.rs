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

/// How many rows each list shows of those that it has: as many as the others, and what they leave.
pub(super) fn split<const LISTS: usize>(room: usize, has: [usize; LISTS]) -> [usize; LISTS] {
    let mut shown = [0; LISTS];
    for _ in 0..room {
        let lacking = shown
            .iter_mut()
            .zip(has)
            .filter(|(shown, has)| **shown < *has);
        match lacking.min_by_key(|(shown, _)| **shown) {
            Some((shown, _)) => *shown += 1,
            None => break,
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_share_the_room_and_none_is_left_empty() {
        for (room, has, shown) in [
            (9, [3, 3], [3, 3]),
            (3, [9, 9], [2, 1]),
            (4, [9, 1], [3, 1]),
            (4, [1, 9], [1, 3]),
            (1, [9, 9], [1, 0]),
            (1, [0, 9], [0, 1]),
            (0, [9, 9], [0, 0]),
        ] {
            assert_eq!(split(room, has), shown, "{room} {has:?}");
        }
        assert_eq!(split(9, [9, 1, 9]), [4, 1, 4]);
        assert_eq!(split(2, [0, 9, 9]), [0, 1, 1]);
    }

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
