//! What is remembered of a log by an id, whatever that holds.

use std::collections::HashMap;

/// Values by id, of which the first are forgotten where there are too many: between `MOST` and twice
/// as many of the last are there.
pub(super) struct Recent<V> {
    young: HashMap<String, V>,
    old: HashMap<String, V>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<V> Recent<V> {
    /// Remembers it. What is longer than any id is none of ours.
    pub(super) fn insert(&mut self, id: &str, value: V) {
        if id.len() > LONGEST {
            return;
        }
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id.to_owned(), value);
    }

    /// Forgets it.
    pub(super) fn remove(&mut self, id: &str) -> Option<V> {
        let old = self.old.remove(id);
        self.young.remove(id).or(old)
    }
}

const MOST: usize = 10_000;
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_and_never_more_than_there_is_room_for() {
        let mut recent = Recent::default();
        for n in 0..5 * MOST {
            recent.insert(&n.to_string(), n);
            assert!(recent.young.len() + recent.old.len() <= 2 * MOST);
        }
        assert_eq!(recent.remove("0"), None);
        let last = 4 * MOST;
        assert_eq!(recent.remove(&last.to_string()), Some(last));
        assert_eq!(recent.remove(&last.to_string()), None);
        recent.insert(&"x".repeat(LONGEST + 1), 1);
        assert_eq!(recent.remove(&"x".repeat(LONGEST + 1)), None);
    }
}
