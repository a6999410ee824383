//! A Redis that answers and does not have the data that instances have told it.

use crate::{
    house::{House, SUPPORT, Setup},
    pair::{admitted, health, last_mode, mode, pair},
    redis::{Options, Redis},
};

/// Two instances tell Redis of calls that its snapshot lacks; then it starts again out of that,
/// before anybody can find that it was gone.
async fn older_after_a_restart(
    options: impl FnOnce(Options) -> Options,
    change: impl FnOnce(&mut Setup),
) {
    let mut redis = Redis::with(options);
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
        change(setup);
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let mut passed = admitted(&houses, SUPPORT, 4).await;
    let _: String = redis.ask(&["SAVE"]);
    passed += admitted(&houses, SUPPORT, 8).await;
    assert_eq!(passed, 12);
    let to_all = |signal| houses.iter().for_each(|house: &House| house.signal(signal));
    to_all("-STOP");
    redis.kill();
    redis.restart();
    to_all("-CONT");
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        mode(house, "local").await;
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 20, "what the snapshot lacks counts");
}

#[tokio::test]
async fn a_redis_that_starts_again_at_once_out_of_an_older_snapshot_is_told_what_it_lacks() {
    older_after_a_restart(|options| options, |_| ()).await;
}

#[tokio::test]
async fn so_is_a_node_of_a_cluster() {
    older_after_a_restart(Options::cluster, |setup| {
        setup.set("redis.kind", "cluster");
    })
    .await;
}

#[tokio::test]
async fn a_user_that_may_not_ask_which_process_it_is_shares_all_the_same() {
    let redis = Redis::start();
    redis.allow("s3cret", &["-info"]);
    let houses = pair(&redis, |setup| {
        setup.set("redis.username", "zoho");
        setup
            .set("redis.password", "env:REDIS_SECRET")
            .variable("REDIS_SECRET", "s3cret");
        setup.set("limits.client", "{ requests = 10, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    assert_eq!(admitted(&houses, SUPPORT, 30).await, 10);
    let log = houses[0].operational_log();
    assert!(log.contains("add +info to its rights"), "{log}");
}

#[tokio::test]
async fn instances_with_different_keys_for_names_say_so_and_keep_their_shares() {
    const KEYS: [&str; 2] = [
        "first-key-of-thirty-two-characters",
        "other-key-of-thirty-two-characters",
    ];
    let redis = Redis::start();
    let mut one = House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s")
            .set("redis.expected_replicas", "2")
            .set("limits.client", "{ requests = 20, per = \"1h\" }")
            .set("audit.pseudonym_key", "env:PSEUDONYMS")
            .variable("PSEUDONYMS", KEYS[0]);
    })
    .await;
    mode(&one, "shared").await;
    let other = one
        .replica(|setup| {
            setup.variable("PSEUDONYMS", KEYS[1]);
        })
        .await;
    assert_eq!(mode(&other, "local").await["error"], "other_pseudonym_key");
    let told = health(&other).await;
    assert_eq!(told["status"], "degraded");
    assert_eq!(told["checks"]["redis"]["status"], "not_shared");
    assert!(other.operational_log().contains("give all the same key"));
    let mut passed = admitted(std::slice::from_ref(&other), SUPPORT, 30).await;
    assert_eq!(passed, 10, "its share");
    one.crash();
    last_mode(&other, "shared").await;
    passed += admitted(std::slice::from_ref(&other), SUPPORT, 30).await;
    assert_eq!(passed, 20, "what it admitted alone counts");
    assert_eq!(other.events("limiter_mode").len(), 2);
}
