//! The exact sliding window: arithmetic only. Time is a number of milliseconds that comes in.
//!
//! A call at `t` fills a place during `t <= now < t + span`. The log holds the calls that do, so
//! that no interval as long as the span ever holds more calls than the limit: a counter per fixed
//! window, or a bucket that refills, lets nearly twice as many pass at the worst moment.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

/// The calls of one key that still count, oldest first.
#[derive(Debug, Default)]
pub struct Window {
    log: VecDeque<(u64, Uuid)>,
    ids: HashSet<Uuid>,
    span: u64,
}

/// How a window stands towards one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Places that are free, before this call takes one.
    pub free: u32,
    /// Milliseconds until there is a place; zero when there is one.
    pub wait: u64,
    /// Milliseconds until the oldest call leaves; zero when the window is empty.
    pub reset: u64,
    /// The call is in the window already: it needs no place.
    pub counted: bool,
}

impl Window {
    /// Forgets what no longer counts, then looks. Costs nothing that grows with the window, but
    /// for calls that leave it, each of which leaves once.
    pub fn look(&mut self, now: u64, limit: u32, span: u64, id: &Uuid) -> Outlook {
        self.span = span;
        self.forget(now);
        let limit = limit as usize;
        let leaves = |index: usize| {
            let entry = self.log.get(index);
            entry.map_or(0, |(at, _)| at.saturating_add(span).saturating_sub(now))
        };
        let counted = self.ids.contains(id);
        Outlook {
            free: limit.saturating_sub(self.log.len()) as u32,
            // A lowered limit leaves a log that is too long: more than one call has to leave.
            wait: match self.log.len().checked_sub(limit) {
                Some(excess) if !counted => leaves(excess),
                _ => 0,
            },
            reset: leaves(0),
            counted,
        }
    }

    /// How the window stands towards a call that it has not seen, when it does not exist yet.
    pub fn empty(limit: u32) -> Outlook {
        Outlook {
            free: limit,
            wait: 0,
            reset: 0,
            counted: false,
        }
    }

    /// Counts a call, once. Never holds more than the limit, also where more are let pass: of those
    /// only the latest matter to the calls that come.
    pub fn record(&mut self, now: u64, limit: u32, span: u64, id: Uuid) {
        self.span = span;
        self.forget(now);
        if self.ids.insert(id) {
            self.log.push_back((now, id));
        }
        while self.log.len() > limit as usize {
            if let Some((_, oldest)) = self.log.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    /// In milliseconds.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// The calls that were counted at `since` or later and still count, with the milliseconds since
    /// each was counted.
    pub fn ages(&self, now: u64, since: u64) -> Vec<(u64, Uuid)> {
        self.log
            .iter()
            .filter(|(at, _)| *at >= since)
            .map(|&(at, id)| (now.saturating_sub(at), id))
            .filter(|(age, _)| *age < self.span)
            .collect()
    }

    /// Whether a call was counted at `since` or later.
    pub fn is_newer(&self, since: u64) -> bool {
        self.log.back().is_some_and(|(at, _)| *at >= since)
    }

    /// Whether nothing in it counts any more.
    pub fn is_idle(&self, now: u64) -> bool {
        self.log
            .back()
            .is_none_or(|(at, _)| at.saturating_add(self.span) <= now)
    }

    fn forget(&mut self, now: u64) {
        while let Some((at, id)) = self.log.front() {
            if at.saturating_add(self.span) > now {
                break;
            }
            self.ids.remove(id);
            self.log.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u64) -> Uuid {
        Uuid::from_u64_pair(0, n)
    }

    fn take(window: &mut Window, now: u64, limit: u32, span: u64, id: Uuid) -> Result<(), u64> {
        match window.look(now, limit, span, &id).wait {
            0 => {
                window.record(now, limit, span, id);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    #[test]
    fn a_place_is_free_again_after_exactly_the_span() {
        let mut window = Window::default();
        assert_eq!(take(&mut window, 100, 2, 1000, id(1)), Ok(()));
        assert_eq!(take(&mut window, 400, 2, 1000, id(2)), Ok(()));
        assert_eq!(take(&mut window, 500, 2, 1000, id(3)), Err(600));
        assert_eq!(take(&mut window, 1099, 2, 1000, id(3)), Err(1));
        assert_eq!(take(&mut window, 1100, 2, 1000, id(3)), Ok(()));
        assert_eq!(take(&mut window, 1100, 2, 1000, id(4)), Err(300));
    }

    #[test]
    fn a_lowered_limit_waits_until_enough_calls_have_left() {
        let mut window = Window::default();
        for n in 0..5 {
            assert_eq!(take(&mut window, n * 100, 5, 1000, id(n)), Ok(()));
        }
        assert_eq!(window.look(400, 2, 1000, &id(9)).wait, 900);
        assert_eq!(take(&mut window, 1299, 2, 1000, id(9)), Err(1));
        assert_eq!(take(&mut window, 1300, 2, 1000, id(9)), Ok(()));
    }

    #[test]
    fn a_call_that_was_counted_passes_again_though_the_window_is_full() {
        let mut window = Window::default();
        assert_eq!(take(&mut window, 0, 1, 1000, id(1)), Ok(()));
        assert_eq!(take(&mut window, 500, 1, 1000, id(1)), Ok(()));
        assert_eq!(take(&mut window, 999, 1, 1000, id(2)), Err(1));
        assert_eq!(take(&mut window, 1000, 1, 1000, id(2)), Ok(()));
    }

    #[test]
    fn a_window_is_idle_once_its_last_call_has_left() {
        let mut window = Window::default();
        assert!(window.is_idle(0));
        window.record(0, 1, 1000, id(1));
        assert!(!window.is_idle(999));
        assert!(window.is_idle(1000));
    }

    #[test]
    fn it_holds_no_more_than_one_span_and_one_limit_of_calls_though_nobody_looks() {
        let mut window = Window::default();
        for n in 0..10_000 {
            window.record(n * 100, 1_000, 1_000, id(n));
        }
        assert_eq!((window.log.len(), window.ids.len()), (10, 10));
        for n in 10_000..20_000 {
            window.record(999_900, 50, 1_000, id(n));
        }
        assert_eq!((window.log.len(), window.ids.len()), (50, 50));
        assert_eq!(window.ages(999_900, 0).len(), 50);
    }

    #[derive(Default)]
    struct Naive(Vec<(u64, Uuid)>);

    impl Naive {
        fn count(&self, now: u64, span: u64) -> usize {
            self.0.iter().filter(|(at, _)| at + span > now).count()
        }

        fn take(&mut self, now: u64, limit: u32, span: u64, id: Uuid) -> bool {
            let counted = self
                .0
                .iter()
                .any(|&(at, known)| known == id && at + span > now);
            let room = self.count(now, span) < limit as usize;
            if room && !counted {
                self.0.push((now, id));
            }
            room || counted
        }
    }

    proptest! {
        #[test]
        fn it_decides_as_a_naive_model_does_and_never_exceeds_the_limit(
            limit in 1_u32..6,
            span in 1_u64..200,
            calls in proptest::collection::vec((0_u64..80, 0_u64..40), 1..120),
        ) {
            let (mut window, mut naive) = (Window::default(), Naive::default());
            let mut now = 0;
            for (gap, n) in calls {
                now += gap;
                let outlook = window.look(now, limit, span, &id(n));
                let expected = naive.take(now, limit, span, id(n));
                prop_assert_eq!(outlook.wait == 0, expected);
                if expected {
                    window.record(now, limit, span, id(n));
                } else {
                    let later = now + outlook.wait;
                    prop_assert!(naive.count(later, span) < limit as usize);
                    prop_assert!(naive.count(later - 1, span) >= limit as usize);
                }
                prop_assert!(window.log.len() <= limit as usize);
                prop_assert_eq!(window.ids.len(), window.log.len());
            }
            let most = naive.0.iter().map(|&(start, _)| {
                naive.0.iter().filter(|(at, _)| (start..start + span).contains(at)).count()
            });
            prop_assert!(most.max().unwrap_or(0) <= limit as usize);
        }
    }
}
