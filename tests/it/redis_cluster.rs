//! A cluster of several primaries, of which one has the keys of the limits.

use crate::{
    house::{House, SUPPORT},
    pair::{admitted, last_mode, mode, pair},
    redis::Redis,
};

/// A pair of houses over three primaries.
async fn pair_over(nodes: &[Redis; 3]) -> [House; 2] {
    let urls = nodes.each_ref().map(Redis::url);
    let houses = pair(&nodes[0], |setup| {
        setup
            .set("redis.url", &format!("{urls:?}"))
            .set("redis.kind", "cluster");
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    houses
}

/// The slot of the limits, and which of the nodes has it.
fn owner(nodes: &[Redis; 3]) -> (u64, usize) {
    let slot: u64 = nodes[0].ask(&["CLUSTER", "KEYSLOT", "zm:{rl}:epoch"]);
    (slot, usize::try_from(slot / 5461).unwrap())
}

/// Gives a slot and all that is in it to another node, as `redis-cli --cluster reshard` does.
fn reshard(nodes: &[Redis; 3], slot: u64, from: usize, to: usize) {
    let [source, target] = [from, to].map(|node| (&nodes[node], nodes[node].node_id()));
    let slot = slot.to_string();
    let set = |node: &Redis, what: &str, id: &str| {
        let _: String = node.ask(&["CLUSTER", "SETSLOT", &slot, what, id]);
    };
    set(target.0, "IMPORTING", &source.1);
    set(source.0, "MIGRATING", &target.1);
    let keys: Vec<String> = source.0.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]);
    let port = target.0.port.to_string();
    let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    migrate.extend(keys.iter().map(String::as_str));
    let _: String = source.0.ask(&migrate);
    for node in [target.0, source.0] {
        set(node, "NODE", &target.1);
    }
}

#[tokio::test]
async fn limits_are_exact_over_three_primaries_and_stay_so_when_their_slot_moves() {
    let nodes = Redis::cluster_of_three();
    let houses = pair_over(&nodes).await;
    let mut passed = admitted(&houses, SUPPORT, 8).await;
    let (slot, from) = owner(&nodes);
    let to = (from + 1) % 3;
    reshard(&nodes, slot, from, to);
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 20);
    let keys = nodes[to].keys();
    assert!(
        keys.iter().any(|key| key.starts_with("zm:{rl}:w:")),
        "{keys:?}"
    );
}

#[tokio::test]
async fn the_primary_that_has_the_limits_dies_and_comes_back_empty() {
    let mut nodes = Redis::cluster_of_three();
    let houses = pair_over(&nodes).await;
    let mut passed = admitted(&houses, SUPPORT, 8).await;
    let (_, owner) = owner(&nodes);
    nodes[owner].kill();
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        last_mode(house, "local").await;
    }
    passed += admitted(&houses, SUPPORT, 4).await;
    nodes[owner].restart();
    for house in &houses {
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 20, "what was admitted before and meanwhile counts");
}

#[tokio::test]
async fn a_primary_that_has_nothing_of_the_limits_may_die() {
    let mut nodes = Redis::cluster_of_three();
    for node in &nodes {
        let whole = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
        let _: String = node.ask(&whole);
    }
    let houses = pair_over(&nodes).await;
    let mut passed = admitted(&houses, SUPPORT, 8).await;
    let (_, owner) = owner(&nodes);
    nodes[(owner + 1) % 3].kill();
    passed += admitted(&houses, SUPPORT, 60).await;
    for house in &houses {
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert_eq!(passed, 20);
}
