//! A Redis that has nothing, or less than it had: nobody has what others may have had before.

use crate::{
    house::REP,
    pair::{pair, sharing},
    redis::Redis,
    shared_budget::LEDGER,
    shared_token::{ask, revoke, search},
    visibility::works_for,
};

#[tokio::test]
async fn redis_loses_its_data_and_a_person_has_ten_tokens_in_ten_minutes_all_the_same() {
    let redis = Redis::start();
    let [first, other] = pair(&redis, |setup| {
        sharing(setup);
        works_for(setup, REP, "user_token");
        // Where there are many, none has an attempt without Redis, and all ten are given with it.
        setup.set("redis.expected_replicas", "6");
    })
    .await;
    let zoho = &first.zoho;
    for house in [&first, &other] {
        for _ in 0..11 {
            ask(house).await;
            revoke(zoho).await;
        }
        assert_eq!(zoho.seen("POST", "/oauth").await, 10);
        let _: String = redis.ask(&["FLUSHALL"]);
    }
}

#[tokio::test]
async fn where_fewer_live_than_there_should_be_a_new_redis_serves_each_of_them() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        sharing(setup);
        setup.set("redis.expected_replicas", "3");
    })
    .await;
    for house in &houses {
        assert!(search(house).await);
        revoke(&house.zoho).await;
    }
}

/// Puts an older state of what lies in Redis for Zoho's limits back.
fn put_back(redis: &Redis, keys: &[String]) {
    for key in keys {
        let _: i64 = redis.ask(&["COPY", &format!("old:{key}"), key, "REPLACE"]);
    }
    assert_eq!(redis.ask::<u64>(&["ZCARD", INSTANCES]), 2);
    // A minute old. Their names are no text.
    let script = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
        redis.call('ZINCRBY', KEYS[1], -60000, id) end";
    let _: Option<String> = redis.ask(&["EVAL", script, "1", INSTANCES]);
}

#[tokio::test]
async fn a_redis_that_comes_back_with_older_data_is_told_what_it_has_lost() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let spend = async |times: usize| {
        for n in 0..times {
            assert!(search(&houses[n % 2]).await);
        }
    };
    spend(4).await;
    let keys = redis.keys();
    let keys: Vec<_> = keys
        .into_iter()
        .filter(|key| key.contains("{zoho}"))
        .collect();
    for key in &keys {
        let _: i64 = redis.ask(&["COPY", key, &format!("old:{key}")]);
    }
    let old: u64 = redis.ask(&["HGET", LEDGER, "t"]);
    spend(20).await;
    put_back(&redis, &keys);
    spend(2).await;
    let spent = houses[0].zoho.state().await["credits"]["used"]
        .as_u64()
        .unwrap();
    let known: u64 = redis.ask(&["HGET", LEDGER, "t"]);
    assert!((spent..=spent + old).contains(&known), "{known} of {spent}");
    spend(2).await;
    let again: u64 = redis.ask(&["HGET", LEDGER, "t"]);
    assert_eq!(again, known + 2, "it is told once");
}

#[tokio::test]
async fn credits_that_were_spent_later_than_now_by_the_clock_of_redis_are_kept() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    assert!(search(&houses[0]).await);
    // As if the clock had been put back by two quarters of an hour, and then goes on over one edge.
    let quarter: u64 = redis.ask::<(u64, u64)>(&["TIME"]).0 / 900;
    for (field, value) in [("at", quarter + 2), ("t", 51)] {
        let _: i64 = redis.ask(&["HSET", LEDGER, field, &value.to_string()]);
    }
    let later = format!("s{}", (quarter + 1) % 97);
    let _: i64 = redis.ask(&["HSET", LEDGER, &later, "50"]);
    assert!(search(&houses[0]).await);
    let newest: u64 = redis.ask(&["HGET", LEDGER, "at"]);
    assert_eq!(newest, quarter + 2, "what is in use is not cleared");
    let (kept, all): (u64, u64) = redis.ask(&["HMGET", LEDGER, &later, "t"]);
    assert_eq!((kept, all), (50, 52));
}

const INSTANCES: &str = "zm:{zoho}:instances";
