//! Tells Redis what this instance has admitted, in few and small questions of which several are on
//! their way at once: a million calls are told in seconds, and no question takes Redis long.

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::{
    claim::Key,
    limiter::Limiter,
    shared::{Part, Shared},
};
use crate::store::Unavailable;

impl Limiter {
    /// Tells Redis the calls that this instance has admitted at `since` or later. What Redis
    /// knows already stays as it is. Answers since when the next telling has to tell.
    pub(super) async fn merge_windows(
        &self,
        shared: &Shared,
        since: u64,
    ) -> Result<u64, Unavailable> {
        let (keys, until) = self.windows().newer(self.now(), since);
        let (mut next, mut told) = (Question::default(), FuturesUnordered::new());
        for key in keys {
            for part in self.parts(&key, since) {
                if let Some(full) = next.add(part) {
                    told.push(shared.merge(full));
                }
                if told.len() >= AT_ONCE
                    && let Some(answer) = told.next().await
                {
                    answer?;
                }
            }
        }
        told.push(shared.merge(next));
        while let Some(answer) = told.next().await {
            answer?;
        }
        Ok(until)
    }

    fn parts(&self, key: &Key, since: u64) -> Vec<Part> {
        let Some((span, calls)) = self.windows().calls(self.now(), key, since) else {
            return Vec::new();
        };
        let part = |calls: &[_]| Part {
            key: key.clone(),
            span,
            calls: calls.to_vec(),
        };
        calls.chunks(CALLS).map(part).collect()
    }
}

/// Many small windows go together.
#[derive(Default)]
pub(super) struct Question {
    pub(super) parts: Vec<Part>,
    calls: usize,
}

impl Question {
    /// Returns what was gathered before when the part does not fit into it.
    fn add(&mut self, part: Part) -> Option<Self> {
        let is_full = self.calls + part.calls.len() > CALLS || self.parts.len() >= WINDOWS;
        let full = is_full.then(|| std::mem::take(self));
        self.calls += part.calls.len();
        self.parts.push(part);
        full
    }
}

/// In one question: about a millisecond of Redis's time.
const CALLS: usize = 500;
const WINDOWS: usize = 100;
/// On their way at once: together they take less than the shortest of timeouts.
const AT_ONCE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::dimension::Whose;
    use uuid::Uuid;

    fn part(name: usize, calls: usize) -> Part {
        Part {
            key: ("client", Whose::Clients(name.to_string().into())),
            span: 1,
            calls: vec![(0, Uuid::nil()); calls],
        }
    }

    #[test]
    fn every_part_is_told_once_and_no_question_is_large() {
        let mut next = Question::default();
        let size = |n: usize| [1, 499, 500, 2][n % 4];
        let mut questions: Vec<Question> = (0..1_000)
            .filter_map(|n| next.add(part(n, size(n))))
            .collect();
        questions.push(next);
        for Question { parts, calls } in &questions {
            assert_eq!(
                parts.iter().map(|part| part.calls.len()).sum::<usize>(),
                *calls
            );
            assert!(*calls <= CALLS && parts.len() <= WINDOWS);
        }
        let told = questions.into_iter().flat_map(|question| question.parts);
        let told: Vec<Key> = told.map(|part| part.key).collect();
        let all: Vec<Key> = (0..1_000).map(|name| part(name, 1).key).collect();
        assert_eq!(told, all);
        let mut small = Question::default();
        let full = (0..1_000).filter(|&n| small.add(part(n, 1)).is_some());
        assert_eq!(full.count(), 9, "a hundred windows each");
    }
}
