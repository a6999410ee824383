//! File descriptors: the daemon takes as many as it may have, and keeps some for itself.

use std::{fs, time::Duration};

use serde_json::json;
use tokio::time::timeout;

use crate::house::{House, SUPPORT, eventually};

/// The soft and the hard limit of the daemon's open files.
fn limits(house: &House) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", house.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut words = line.unwrap().split_whitespace().skip(3);
    let mut word = || words.next().unwrap().to_owned();
    (word(), word())
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let house = House::with(|setup| {
        setup.through("ulimit -Sn 256; exec \"$@\"");
    })
    .await;
    let (soft, hard) = limits(&house);
    assert_ne!(soft, "256");
    assert_eq!(soft, hard);
}

#[tokio::test]
async fn a_crowd_never_takes_the_last_descriptors() {
    let house = House::with(|setup| {
        setup
            .through("ulimit -n 160; exec \"$@\"")
            .set("server.max_connections_per_address", "10000");
    })
    .await;
    let warned = || {
        house
            .operational_log()
            .matches("file descriptors for fewer")
            .count()
    };
    eventually("the warning", || (warned() > 0).then_some(())).await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(house.socket().await);
    }
    drop(crowd);
    let agent = house.agent(SUPPORT);
    let served = async { while agent.try_ask("ping", json!({})).await.is_none() {} };
    timeout(Duration::from_secs(20), served).await.unwrap();
    let told = house.operational_log();
    assert!(!told.contains("could not accept"), "{told}");
    assert_eq!(warned(), 1, "{told}");
}
