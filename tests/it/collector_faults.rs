//! A collector of traces that refuses, hangs or is not there: it is told of, and nobody waits for it.

use std::time::{Duration, Instant};

use crate::{
    collector::{Collector, Manner, traced},
    house::{House, SUPPORT, eventually},
};

#[tokio::test]
async fn spans_that_do_not_arrive_are_counted() {
    let collector = Collector::start(Manner::Refuses).await;
    let house = traced(&collector, |setup| {
        setup.set("server.ops_listen", "127.0.0.1:0");
    })
    .await;
    house.agent(SUPPORT).tools().await;
    let lost = "zoho_mcp_spans_lost_total{why=\"not_sent\"} ";
    house.measured(lost).await;
}

#[tokio::test]
async fn a_collector_that_refuses_or_hangs_costs_no_call_anything() {
    for manner in [Manner::Refuses, Manner::Hangs] {
        let collector = Collector::start(manner).await;
        let mut house = traced(&collector, |_| ()).await;
        let began = Instant::now();
        while collector.asked() == 0 {
            let agent = house.agent(SUPPORT);
            agent.search("Giulia").await.content();
            assert!(began.elapsed() < Duration::from_secs(20));
        }
        if manner == Manner::Refuses {
            let told = || {
                house
                    .operational_log()
                    .contains("traces.headers")
                    .then_some(())
            };
            eventually("a word about it", told).await;
        }
        let agent = house.agent(SUPPORT);
        agent.search("Giulia").await.content();
        house.signal("-TERM");
        assert!(house.ended().await.success());
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_spoken_of_once() {
    let mut house = House::with(|setup| {
        setup.set("traces.endpoint", "http://127.0.0.1:9");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let told = || {
        house
            .operational_log()
            .contains("does not answer")
            .then_some(())
    };
    for _ in 0..2 {
        agent.tools().await;
        eventually("a word about it", told).await;
    }
    house.signal("-TERM");
    assert!(house.ended().await.success());
    let log = house.operational_log();
    assert_eq!(
        log.matches("the collector does not answer").count(),
        1,
        "{log}"
    );
}
