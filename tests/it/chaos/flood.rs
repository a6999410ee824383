//! Many calls while Zoho is down: what Zoho hears of them.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::interval;

use super::{
    scene::{Question, ask, is_strict, word},
    zoho,
};
use crate::{
    house::{House, SUPPORT},
    passage::Fault,
};

#[tokio::test(flavor = "multi_thread")]
async fn zoho_down_hears_of_hardly_more_calls_than_come_in() {
    let mut scene = zoho::scene().await;
    let contact = scene.contact().await;
    for fault in [Fault::Reset, Fault::Failing, Fault::Silent] {
        scene.becomes_well(&contact).await.unwrap();
        scene.needed.passage.suffers(fault);
        let (before, began) = (scene.needed.passage.asked(), Instant::now());
        let calls = calls(&scene.houses, began).await;
        let asked = scene.needed.passage.asked() - before;
        let each = calls as f64 / began.elapsed().as_secs_f64();
        println!(
            "\nZoho, many calls | {fault:?} | {calls} calls, {each:.0} a second | {asked} requests to Zoho"
        );
        assert!(
            asked * 10 <= calls * 11,
            "{asked} requests for {calls} calls"
        );
        scene.needed.passage.recovers();
    }
}

/// How many calls were made, of which each was told what is in the way.
async fn calls(houses: &[House; 2], began: Instant) -> usize {
    let lasts = if is_strict() { 2 * LASTS } else { LASTS };
    let callers = (0..CALLERS).map(|n| {
        let agent = houses[n % 2].agent(SUPPORT);
        tokio::spawn(async move {
            let (mut tick, mut calls) = (interval(PACE), 0);
            while began.elapsed() < lasts {
                tick.tick().await;
                let answer = ask(&agent, Question::Read, "").await;
                assert_eq!(word(Question::Read, &answer), "reads told");
                calls += 1;
            }
            calls
        })
    });
    let made = join_all(callers).await;
    made.into_iter().map(|calls| calls.unwrap()).sum::<usize>()
}

const CALLERS: usize = 100;
/// A thousand calls a second, where the machine is fast enough.
const PACE: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(2);
