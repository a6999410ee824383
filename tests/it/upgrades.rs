//! Another version takes the place of one that runs, and reads what was written for it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    balancer::Balancer,
    house::{DASHBOARD, House, REPORTING, SUPPORT, Setup, command_with, eventually, key_document},
    pair::{pair, sharing},
    redis::Redis,
    shared_token::{lose_the_token, revoke, search},
    traffic::Traffic,
};

/// Restarts both of two instances behind a balancer, twice, while agents call.
async fn rolled(change: impl FnOnce(&mut Setup)) {
    let redis = Redis::start();
    let mut houses = pair(&redis, change).await;
    let slow = json!({ "fault": "latency", "path": "/crm", "delay": "120ms" });
    houses[0].zoho.fault(slow).await;
    let balancer = Balancer::before(&houses).await;
    let key = |client: &str| houses[0].keys[client].clone();
    let search = json!({ "name": "search_contacts", "arguments": { "name": "Giulia" } });
    let traffic = [
        Traffic::of(&balancer.agent(&key(DASHBOARD))),
        Traffic::asking(&balancer.agent(&key(SUPPORT)), "tools/call", &search),
        Traffic::asking(
            &balancer.agent(&key(REPORTING)).hurried(),
            "tools/call",
            &search,
        ),
    ];
    for _ in 0..2 {
        for house in &mut houses {
            traffic[0].goes_on().await;
            assert_eq!(house.restart().await.code(), Some(0));
        }
    }
    for agents in traffic {
        agents.ends_well().await;
    }
}

#[tokio::test]
async fn a_rolling_restart_under_load_loses_no_call() {
    rolled(|_| ()).await;
}

#[tokio::test]
async fn nor_does_one_that_gives_a_load_balancer_time_to_notice() {
    rolled(|setup| {
        setup.set("server.drain_delay", "500ms");
    })
    .await;
}

/// The instances that Redis knows to have slots for access tokens, and how many have slots there.
fn with_slots(redis: &Redis) -> Option<(usize, usize)> {
    let slots = redis
        .keys()
        .into_iter()
        .find(|key| key.contains(":slots:"))?;
    let table: Vec<u8> = redis.ask(&["GET", &slots]);
    let table: Value = serde_json::from_slice(&table).ok()?;
    let slots = table["slots"].as_array()?.iter();
    let owners: BTreeSet<_> = slots.filter_map(|slot| slot["owner"].as_str()).collect();
    Some((table["instances"].as_object()?.len(), owners.len()))
}

#[tokio::test]
async fn who_ends_in_order_leaves_its_slots_for_access_tokens_to_whoever_follows() {
    let redis = Redis::start();
    let [mut one, other] = pair(&redis, sharing).await;
    let both = || (with_slots(&redis) == Some((2, 2))).then_some(());
    eventually("both to have slots", both).await;
    for house in [&one, &other, &one] {
        lose_the_token(house).await;
    }
    let asked = one.zoho.seen("POST", "/oauth").await;
    one.signal("-TERM");
    assert_eq!(one.ended().await.code(), Some(0));
    assert_eq!(with_slots(&redis), Some((1, 1)));
    let next = other.replica(|_| ()).await;
    revoke(&next.zoho).await;
    assert!(search(&next).await);
    assert!(next.zoho.seen("POST", "/oauth").await > asked);
    eventually("both to have slots", both).await;
}

#[tokio::test]
async fn who_ends_while_redis_hangs_does_not_wait_for_it() {
    let redis = Redis::start();
    let [mut one, _other] = pair(&redis, sharing).await;
    let both = || (with_slots(&redis) == Some((2, 2))).then_some(());
    eventually("both to have slots", both).await;
    redis.freeze();
    one.signal("-TERM");
    assert_eq!(one.ended().await.code(), Some(0));
    redis.thaw();
    assert_eq!(with_slots(&redis), Some((2, 2)));
}

/// A configuration that was written for a version.
fn written_for(version: &str) -> String {
    let file = format!("tests/corpus/configuration-{version}.toml");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(file).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_configuration_of_the_first_version_is_still_understood() {
    let (_, keys) = key_document(REPORTING);
    let secrets = [
        ("ZOHO_KEYS", &*keys),
        (
            "ZOHO_CREDENTIALS",
            r#"{"client_id":"1","client_secret":"2","refresh_token":"3"}"#,
        ),
        ("ZOHO_PSEUDONYMS", "pppppppppppppppppppppppppppppppp"),
        ("ZOHO_REDIS", "secret"),
        ("ZOHO_ISSUER", "ssssssssssssssssssssssssssssssss"),
    ];
    let checked = command_with(&["check", "--config", &written_for("0.1.0")], &secrets);
    let said = String::from_utf8_lossy(&checked.stdout);
    let problem = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}{problem}");
    assert!(said.contains("every key understood"), "{said}");
}

#[tokio::test]
async fn a_key_that_is_not_known_any_more_is_named_with_its_line_and_those_that_are() {
    let house = House::start().await;
    house.replace(
        "old.toml",
        "[limits]\nclients = { requests = 60, per = \"1m\" }\n",
    );
    let config = house.file("old.toml");
    let checked = command_with::<&str>(&["check", "--config", config.to_str().unwrap()], &[]);
    let problem = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(64), "{problem}");
    for told in ["old.toml", "limits", "`clients`", "`client`", "remedy"] {
        assert!(problem.contains(told), "{told}: {problem}");
    }
}
