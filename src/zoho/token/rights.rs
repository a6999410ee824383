//! Which fields were seen to keep what is written to them, and which are hidden. Rights to fields are
//! those of the user behind the token, so that this is known of each by itself.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::{super::lock, Tokens};

/// A module and one of its fields.
pub(in crate::zoho) type FieldOf = (&'static str, &'static str);

/// When a field was last seen so.
#[derive(Default)]
pub(super) struct Rights {
    kept: Mutex<HashMap<FieldOf, Instant>>,
    hidden: Mutex<HashMap<FieldOf, Instant>>,
    looks: Mutex<HashMap<FieldOf, (Look, Instant)>>,
}

/// What became of a look for a field, or for any that does as well, among those that a module shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::zoho) enum Look {
    /// It is there.
    Shown,
    /// It is not, and one that does as well in part is.
    Partly,
    /// It is not.
    Hidden,
    /// Which fields there are may not be read.
    Refused,
}

impl Tokens {
    /// Whether that was seen not long ago.
    pub(in crate::zoho) fn keeps(&self, field: FieldOf, now: Instant) -> bool {
        is_known(&self.0.rights.kept, field, now, KEPT_FOR)
    }

    /// Which of these fields a record that was just written does not hold; of all it is remembered.
    pub(in crate::zoho) fn lost(
        &self,
        module: &'static str,
        fields: impl Iterator<Item = &'static str>,
        holds: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Vec<&'static str> {
        let is_lost = |name: &&'static str| {
            let kept = holds(name);
            self.saw((module, *name), kept, now);
            !kept
        };
        fields.filter(is_lost).collect()
    }

    /// It was seen now, or that it does not.
    fn saw(&self, field: FieldOf, keeps: bool, now: Instant) {
        let mut kept = lock(&self.0.rights.kept);
        match keeps {
            true => kept.insert(field, now),
            false => kept.remove(&field),
        };
    }

    /// Whether Zoho refused to show it not long ago.
    pub(in crate::zoho) fn hides(&self, field: FieldOf, now: Instant) -> bool {
        is_known(&self.0.rights.hidden, field, now, HIDDEN_FOR)
    }

    /// Zoho refused now to show it.
    pub(in crate::zoho) fn was_refused(&self, field: FieldOf, now: Instant) {
        lock(&self.0.rights.hidden).insert(field, now);
    }

    /// What became of the last look for it, while that is believed.
    pub(in crate::zoho) fn looked(&self, field: FieldOf, now: Instant) -> Option<Look> {
        let (look, since) = lock(&self.0.rights.looks).get(&field).copied()?;
        let believed = match look {
            Look::Shown => KEPT_FOR,
            Look::Partly | Look::Hidden | Look::Refused => HIDDEN_FOR,
        };
        (now < since + believed).then_some(look)
    }

    /// It was looked for them now.
    pub(in crate::zoho) fn saw_fields<const N: usize>(&self, looks: [(FieldOf, Look); N]) {
        let now = Instant::now();
        let looks = looks.map(|(field, look)| (field, (look, now)));
        lock(&self.0.rights.looks).extend(looks);
    }
}

fn is_known(
    seen: &Mutex<HashMap<FieldOf, Instant>>,
    field: FieldOf,
    now: Instant,
    within: Duration,
) -> bool {
    let seen = lock(seen).get(&field).copied();
    seen.is_some_and(|seen| now < seen + within)
}

/// As long as what fields there are is kept.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Whoever was given the right to see a field sees it soon.
const HIDDEN_FOR: Duration = Duration::from_secs(600);
