//! Another Redis takes the place of the one that was asked.

use crate::{
    house::SUPPORT,
    pair::{admitted, last_mode, mode, pair},
    redis::{Options, Redis},
};

#[tokio::test]
async fn a_cluster_whose_node_dies_goes_on_with_its_replica() {
    let mut primary = Redis::with(Options::cluster);
    let replica = Redis::replica_in_cluster_of(&primary);
    let houses = pair(&primary, |setup| {
        let both = format!("[\"{}\", \"{}\"]", primary.url(), replica.url());
        setup.set("redis.url", &both).set("redis.kind", "cluster");
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let mut passed = admitted(&houses, SUPPORT, 8).await;
    primary.kill();
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        mode(house, "local").await;
    }
    let _: String = replica.ask(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
    for house in &houses {
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 20, "what was admitted before and meanwhile counts");
}

#[tokio::test]
async fn the_primary_that_sentinels_appoint_is_told_what_it_may_lack() {
    let primary = Redis::start();
    let replica = Redis::with(|options| options.replica_of(&primary));
    replica.wait_for_primary();
    let sentinel = Redis::with(|options| options.sentinel_of(&primary));
    let houses = pair(&sentinel, |setup| {
        setup
            .set("redis.kind", "sentinel")
            .set("redis.master", "primary");
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let mut passed = admitted(&houses, SUPPORT, 8).await;
    sentinel.fail_over();
    for house in &houses {
        mode(house, "local").await;
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 20);
    let keys = replica.keys();
    assert!(keys.iter().any(|key| key.starts_with("zm:{rl}:w:")));
}
