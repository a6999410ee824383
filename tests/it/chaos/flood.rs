//! Many calls while Zoho is down: what Zoho hears of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::json;

use super::zoho;
use crate::{house::SUPPORT, passage::Fault};

#[tokio::test(flavor = "multi_thread")]
async fn zoho_down_hears_of_hardly_more_calls_than_come_in() {
    for fault in [Fault::Reset, Fault::Failing, Fault::Silent] {
        let mut scene = zoho::scene().await;
        let agents = scene.houses.each_ref().map(|house| house.agent(SUPPORT));
        let search = json!({ "name": "Giulia" });
        for agent in &agents {
            agent
                .call("search_contacts", search.clone())
                .await
                .content();
        }
        scene.needed.passage.suffers(fault);
        let before = scene.needed.passage.asked();
        let (began, calls) = (Instant::now(), Arc::<AtomicUsize>::default());
        let callers = (0..CALLERS).map(|n| {
            let (agent, calls, search) = (agents[n % 2].clone(), calls.clone(), search.clone());
            tokio::spawn(async move {
                let mut tick = tokio::time::interval(PACE);
                while began.elapsed() < LASTS {
                    tick.tick().await;
                    let answer = agent.call("search_contacts", search.clone()).await;
                    assert!(!answer.failure().is_empty());
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        for caller in join_all(callers).await {
            caller.unwrap();
        }
        let calls = calls.load(Ordering::Relaxed);
        let asked = scene.needed.passage.asked() - before;
        let each = calls as f64 / began.elapsed().as_secs_f64();
        println!(
            "Zoho under load | {fault:?}: {calls} calls, {each:.0} a second; {asked} requests to Zoho"
        );
        assert!(
            asked * 10 <= calls * 11,
            "{asked} requests for {calls} calls"
        );
    }
}

const CALLERS: usize = 100;
/// A thousand calls a second, where the machine is fast enough.
const PACE: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(4);
