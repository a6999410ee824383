//! HTTP+SSE on several instances, over every kind of Redis that there is besides a single one.

use serde_json::json;

use crate::{
    house::{House, Setup, eventually},
    redis::{Options, Redis},
    relay::apart,
    stream::Stream,
};

/// A stream on the first instance, whose messages all reach the second: they are answered, and run
/// where the stream is, once.
async fn carries_messages(redis: &Redis, change: impl FnOnce(&mut Setup)) -> ([House; 2], Stream) {
    let (houses, mut stream) = apart(redis, change).await;
    for id in 1..=20 {
        let found = stream
            .call(id, "search_contacts", json!({ "name": "Giulia" }))
            .await;
        let items = &found["result"]["structuredContent"]["items"];
        assert!(items.is_array(), "{found}");
    }
    let all = || (houses[0].events("tool_call_start").len() == 20).then_some(());
    eventually("all calls in the log", all).await;
    assert_eq!(houses[1].events("tool_call_start").len(), 0);
    (houses, stream)
}

#[tokio::test]
async fn a_cluster_of_one_node_carries_messages() {
    let redis = Redis::with(Options::cluster);
    let (_houses, _stream) = carries_messages(&redis, |setup| {
        setup.set("redis.kind", "cluster");
    })
    .await;
}

#[tokio::test]
async fn three_primaries_carry_messages() {
    let nodes = Redis::cluster_of_three();
    let urls = nodes.each_ref().map(Redis::url);
    let (_houses, _stream) = carries_messages(&nodes[0], |setup| {
        setup
            .set("redis.url", &format!("{urls:?}"))
            .set("redis.kind", "cluster");
    })
    .await;
}

#[tokio::test]
async fn a_primary_behind_sentinels_carries_messages() {
    let primary = Redis::start();
    let sentinel = Redis::with(|options| options.sentinel_of(&primary));
    let (_houses, _stream) = carries_messages(&sentinel, |setup| {
        setup
            .set("redis.kind", "sentinel")
            .set("redis.master", "primary");
    })
    .await;
}
