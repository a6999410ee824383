//! A Redis that has nothing: nobody has what others may have had before.

use crate::{
    house::REP,
    pair::{pair, sharing},
    redis::Redis,
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
