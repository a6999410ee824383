//! Redis loses what it was told: nobody is told that a stream is gone which is there, however many
//! there are, however far Redis is, and whoever is asked.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    house::{House, SUPPORT, Setup},
    lag::Lag,
    pair::{mode, pair, sharing},
    redis::Redis,
    relay::{apart, reached},
    stream::Stream,
};

async fn ping(stream: &Stream) -> u16 {
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let posted = stream.post(&ping).await;
    if posted.status == 503 {
        assert_eq!(posted.header("retry-after"), "1");
    }
    posted.status.as_u16()
}

/// Streams on the first instance, whose messages reach the second.
async fn streams(houses: &[House; 2], count: usize) -> Vec<Stream> {
    let mut streams = Vec::new();
    while streams.len() < count {
        let open = (0..10).map(|_| async {
            let mut stream = houses[0].agent(SUPPORT).stream().await;
            stream.post_to(&houses[1].agent(SUPPORT));
            stream
        });
        streams.extend(join_all(open).await);
    }
    streams
}

/// Asks each until it is reached; none may be told that it is gone.
async fn all_are_reached(mut streams: Vec<Stream>) -> Vec<Stream> {
    let mut reached = Vec::new();
    for _ in 0..60 {
        let answers = join_all(streams.iter().map(ping)).await;
        let mut away = Vec::new();
        for (stream, status) in streams.into_iter().zip(answers) {
            match status {
                202 => reached.push(stream),
                503 => away.push(stream),
                status => panic!("{status} of a stream that is there"),
            }
        }
        if away.is_empty() {
            return reached;
        }
        streams = away;
        sleep(Duration::from_millis(500)).await;
    }
    panic!("{} are lost", streams.len());
}

#[tokio::test]
async fn many_streams_far_from_redis_are_never_gone_when_it_forgets_or_stops_for_a_moment() {
    let redis = Redis::start();
    let way = Lag::before(&redis).await;
    let houses = pair(&redis, |setup: &mut Setup| {
        sharing(setup);
        setup.set("redis.url", way.url()).set("redis.timeout", "1s");
        setup.set("mcp.max_streams_per_client", "200");
        setup.set("mcp.max_streams_per_user", "200");
        setup.set("limits.client", "{ requests = 1000, per = \"1m\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let all = streams(&houses, 120).await;
    // To say something of each, one after the other, would take longer than a sign of life holds.
    way.takes(Duration::from_millis(100));
    let (some, _others): (Vec<_>, Vec<_>) =
        all.into_iter().enumerate().partition(|(n, _)| n % 12 == 0);
    let some = some.into_iter().map(|(_, stream)| stream).collect();
    let _: String = redis.ask(&["FLUSHALL"]);
    let some = all_are_reached(some).await;
    redis.freeze();
    sleep(Duration::from_secs(3)).await;
    redis.thaw();
    all_are_reached(some).await;
}

#[tokio::test]
async fn an_instance_that_starts_on_an_emptied_redis_takes_no_stream_for_gone() {
    let redis = Redis::start();
    let (mut houses, mut stream) = apart(&redis, |_| ()).await;
    // The first cannot say that it lives before the second has been asked.
    houses[0].signal("-STOP");
    houses[1].restart().await;
    let _: String = redis.ask(&["FLUSHALL"]);
    mode(&houses[1], "shared").await;
    stream.post_to(&houses[1].agent(SUPPORT));
    for _ in 0..5 {
        assert_eq!(ping(&stream).await, 503);
    }
    houses[0].signal("-CONT");
    reached(&mut stream, 100).await;
}

#[tokio::test]
async fn whatever_single_thing_redis_loses_a_stream_is_not_gone() {
    let redis = Redis::start();
    let (_houses, mut stream) = apart(&redis, |_| ()).await;
    let mut first = 100;
    for key in redis.keys() {
        let _: u8 = redis.ask(&["DEL", &key]);
        reached(&mut stream, first).await;
        first += 100;
    }
}
