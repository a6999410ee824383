//! Agents that keep calling while something else happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{agent::Agent, house::eventually};

pub(crate) struct Traffic {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    workers: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// About a hundred calls a second, on connections that stay open. Each has to be answered well.
    pub(crate) fn of(agent: &Agent) -> Self {
        Self::asking(agent, "tools/list", &json!({}))
    }

    /// The same with another question.
    pub(crate) fn asking(agent: &Agent, method: &'static str, params: &Value) -> Self {
        let (is_over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let worker = |_| {
            let (agent, is_over, answered) = (agent.clone(), is_over.clone(), answered.clone());
            let params = params.clone();
            tokio::spawn(async move {
                let mut tick = tokio::time::interval(Duration::from_millis(40));
                while !is_over.load(Ordering::Relaxed) {
                    tick.tick().await;
                    let answer = agent.ask(method, params.clone()).await;
                    assert_eq!(answer.status, 200, "{}", answer.text);
                    assert_ne!(answer.result()["isError"], true, "{}", answer.text);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let workers = (0..4).map(worker).collect();
        Self {
            is_over,
            answered,
            workers,
        }
    }

    /// Waits until it is seen to go on.
    pub(crate) async fn goes_on(&self) {
        let enough = self.answered.load(Ordering::Relaxed) + 40;
        eventually("calls to go on", || {
            (self.answered.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
    }

    /// Ends it; every call that was made was answered well.
    pub(crate) async fn ends_well(self) {
        self.goes_on().await;
        self.is_over.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.expect("a call failed");
        }
    }
}
