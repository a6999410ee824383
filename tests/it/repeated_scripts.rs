//! A script that runs twice, because its first answer was lost, does no more than one that runs once.

use redis::{FromRedisValue, Script};

use crate::redis::Redis;

/// Runs it twice in a row.
fn twice<T: FromRedisValue + Clone>(
    redis: &Redis,
    script: &str,
    keys: &[&str],
    arguments: &[&[u8]],
) -> [T; 2] {
    let script = Script::new(script);
    let mut connection = redis.connection().unwrap();
    [(); 2].map(|()| {
        let mut run = script.prepare_invoke();
        keys.iter().for_each(|key| {
            run.key(*key);
        });
        arguments.iter().for_each(|argument| {
            run.arg(*argument);
        });
        run.invoke(&mut connection).unwrap()
    })
}

const ENTER: &str = concat!(
    include_str!("../../src/zoho/allowance/script/ledger.lua"),
    include_str!("../../src/zoho/allowance/script/enter.lua")
);
const MINT: &str = concat!(
    include_str!("../../src/zoho/token/script/denials.lua"),
    include_str!("../../src/zoho/token/script/mint.lua")
);
const BEGIN: &str = concat!(
    include_str!("../../src/tools/idempotency/script/complete.lua"),
    include_str!("../../src/tools/idempotency/script/begin.lua")
);

#[tokio::test]
async fn a_request_asked_for_twice_takes_one_place_and_pays_once() {
    let redis = Redis::start();
    let keys = ["zm:{z}:p", "zm:{z}:q", "zm:{z}:i", "zm:{z}:o", "zm:{z}:c"];
    let both: [(i64, u64, u32, u32, u64, u64); 2] = twice(
        &redis,
        ENTER,
        &keys,
        &[
            b"request1",
            b"instance",
            b"",
            b"60000",
            b"1",
            b"1",
            b"3",
            b"3",
            b"3",
            b"0",
            b"",
            b"",
        ],
    );
    // The only place and all credits are taken: a second request would be refused.
    for (verdict, wait, spent, taken, paused, _) in both {
        assert_eq!((verdict, wait, spent, taken, paused), (1, 0, 3, 1, 0));
    }
    let spent: (u32, u32) = (
        redis.ask(&["HGET", "zm:{z}:o", "t"]),
        redis.ask(&["HGET", "zm:{z}:c", "t"]),
    );
    assert_eq!(spent, (3, 3));
    for places in ["zm:{z}:p", "zm:{z}:q"] {
        assert_eq!(redis.ask::<u64>(&["ZCARD", places]), 1);
    }
}

#[tokio::test]
async fn the_right_to_mint_asked_for_twice_is_given_to_the_same_attempt_and_counts_once() {
    let redis = Redis::start();
    let keys = ["zm:{z}:t", "zm:{z}:s", "zm:{z}:m", "zm:{z}:d", "zm:{z}:b"];
    let ask = |attempt: &'static [u8]| -> [(String, String, u64); 2] {
        twice(
            &redis,
            MINT,
            &keys,
            &[b"", attempt, b"60000", b"610000", b"whose", b"", attempt],
        )
    };
    for (what, failures, _) in ask(b"one") {
        assert_eq!((what.as_str(), failures.as_str()), ("mint", "0"));
    }
    assert_eq!(redis.ask::<String>(&["GET", "zm:{z}:m"]), "one");
    for (what, ..) in ask(b"other") {
        assert_eq!(what, "wait");
    }
}

#[tokio::test]
async fn an_idempotency_key_asked_for_twice_is_new_both_times_to_the_same_claim_alone() {
    let redis = Redis::start();
    let mark = ["e", "data", "s", "1", "p", ""];
    let _: u64 = redis.ask(&[&["HSET", "zm:{z}:mark"][..], &mark[..]].concat());
    let ask = |instance: &'static [u8], claim: &'static [u8]| -> [(String, String, i64); 2] {
        twice(
            &redis,
            BEGIN,
            &["zm:{z}:k", "zm:{z}:mark"],
            &[
                b"digest",
                instance,
                claim,
                b"7000",
                b"35000",
                b"86400000",
                b"20000",
                b"data",
                b"fresh",
                b"",
                b"0",
            ],
        )
    };
    for (state, begun, _) in ask(b"i1", b"c1") {
        assert_eq!((state.as_str(), begun.as_str()), ("new", "7000"));
    }
    for (state, _, left) in ask(b"i2", b"c2") {
        assert_eq!(state, "in_use");
        assert!((30_000..=35_000).contains(&left), "{left}");
    }
}
