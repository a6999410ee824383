//! Several questions to Zoho at once, few enough that one call cannot take all connections.

use std::future::Future;

use futures_util::stream::{self, StreamExt};
use jiff::civil::Date;

use super::Progress;
use crate::zoho::{Crm, ZohoError, deals::DealFilter};

/// Runs futures of a kind, at most three at once, and gives their results in order. Reports a
/// step after each; `done` were done before.
pub(super) async fn gather<F: Future>(
    progress: &Progress,
    done: u32,
    message: &'static str,
    futures: Vec<F>,
) -> Vec<F::Output> {
    let total = u32::try_from(futures.len())
        .unwrap_or(u32::MAX)
        .saturating_add(done);
    let numbered = futures.into_iter().enumerate();
    let mut running = stream::iter(numbered.map(async |(at, future)| (at, future.await)))
        .buffer_unordered(AT_ONCE);
    let mut results = Vec::new();
    let mut done = done;
    while let Some(result) = running.next().await {
        results.push(result);
        done = done.saturating_add(1);
        progress.report(done, total, message).await;
    }
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A question that a number answers.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// Sum and number of deals.
    Deals(DealFilter),
    /// Contacts created from the first day up to, without, the second.
    NewContacts(Date, Date),
    /// Tasks due before this day and not done.
    OverdueTasks(Date),
}

/// The answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figure {
    pub(super) count: u64,
    pub(super) amount: f64,
}

/// Asks one question.
pub(super) async fn figure(crm: &Crm, question: Question) -> Result<Figure, ZohoError> {
    let counted = |count| Figure { count, amount: 0.0 };
    match question {
        Question::Deals(filter) => {
            let total = crm.deal_total(&filter).await?;
            Ok(Figure {
                count: total.deals,
                amount: total.amount,
            })
        }
        Question::NewContacts(from, to) => crm.count_contacts_created(from, to).await.map(counted),
        Question::OverdueTasks(today) => crm.count_overdue_tasks(today).await.map(counted),
    }
}

const AT_ONCE: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn results_keep_their_order_and_few_run_at_once() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (running, most) = (&running, &most);
        let step = async |number: u32| {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            for _ in 0..(10 - number) {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            number
        };
        let futures: Vec<_> = (0..10).map(step).collect();
        let results = gather(&Progress::default(), 0, "asking", futures).await;
        assert_eq!(results, (0..10).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    }
}
