//! A Redis that can be reached and does not do all that limits need.

use crate::{
    house::{House, SUPPORT, Setup, eventually},
    pair::{admitted, health, last_mode, mode, pair},
    redis::Redis,
};

fn as_user(setup: &mut Setup) {
    setup
        .set("redis.username", "zoho")
        .set("redis.password", "env:REDIS_SECRET")
        .variable("REDIS_SECRET", "s3cret")
        .set("limits.client", "{ requests = 20, per = \"1h\" }");
}

impl Redis {
    fn right(&self, right: &str) {
        let _: String = self.ask(&["ACL", "SETUSER", "zoho", right]);
    }
}

async fn stands(house: &House, status: &str) {
    let what = format!("/health to say {status}");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while health(house).await["status"] != status {
        assert!(tokio::time::Instant::now() < deadline, "waited for {what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_right_that_only_counting_needs_is_missed_at_once_and_its_return_is_found() {
    let redis = Redis::start();
    redis.allow("s3cret", &[]);
    let houses = pair(&redis, as_user).await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let mut passed = admitted(&houses, SUPPORT, 4).await;
    redis.right("-zcount");
    passed += admitted(&houses, SUPPORT, 2).await;
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["error"], "no_permission");
        stands(house, "degraded").await;
    }
    passed += admitted(&houses, SUPPORT, 60).await;
    assert!(passed <= 24, "each keeps its share: {passed}");
    for house in &houses {
        assert_eq!(house.events("limiter_mode").len(), 2, "and says so once");
    }
    redis.right("+zcount");
    for house in &houses {
        last_mode(house, "shared").await;
        stands(house, "healthy").await;
    }
    assert_eq!(admitted(&houses, SUPPORT, 4).await, 0, "all was put back");
}

#[tokio::test]
async fn an_instance_that_starts_without_such_a_right_never_says_that_it_shares() {
    let redis = Redis::start();
    redis.allow("s3cret", &["-zrem"]);
    let houses = pair(&redis, as_user).await;
    for house in &houses {
        assert_eq!(mode(house, "local").await["error"], "no_permission");
    }
    redis.right("+zrem");
    for house in &houses {
        last_mode(house, "shared").await;
        assert_eq!(house.events("limiter_mode").len(), 2);
    }
}

#[tokio::test]
async fn a_window_that_somebody_has_overwritten_is_not_taken_for_health() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 20, per = \"1h\" }");
    })
    .await;
    for house in &houses {
        mode(house, "shared").await;
    }
    assert_eq!(admitted(&houses, SUPPORT, 2).await, 2);
    let mut windows = redis.keys();
    windows.retain(|key| key.starts_with("zm:{rl}:w:"));
    for window in &windows {
        let _: String = redis.ask(&["SET", window, "foreign", "PX", "600000"]);
    }
    assert_eq!(admitted(&houses, SUPPORT, 2).await, 2);
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["error"], "foreign_key");
    }
    for window in &windows {
        let _: u64 = redis.ask(&["DEL", window]);
    }
    for house in &houses {
        last_mode(house, "shared").await;
    }
    let client = || {
        let used = houses[0].command(&["limits", "show", "--client", SUPPORT]);
        let table = String::from_utf8(used.stdout).unwrap();
        table.contains("4/20").then_some(())
    };
    eventually("all four calls to be put back", client).await;
}

#[tokio::test]
async fn a_check_names_each_command_that_the_user_may_not_run() {
    let redis = Redis::start();
    redis.allow("s3cret", &[]);
    let house = House::with(|setup| {
        as_user(setup);
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
    })
    .await;
    let check = || {
        let checked = house.command(&["check", "--online"]);
        let told = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
        (checked.status.success(), told)
    };
    let (passed, told) = check();
    assert!(passed, "{told}");
    let rights = "blpop eval evalsha get del hset hget hmget llen rpush time pexpire zadd zcard zcount \
                  zrangebyscore zrem zremrangebyscore zscore";
    for right in rights.split_whitespace() {
        redis.right(&format!("-{right}"));
        let (passed, told) = check();
        let says = format!("the user may not run {right}; add +{right} to its rights");
        assert!(!passed && told.contains(&says), "{right}: {told}");
        redis.right(&format!("+{right}"));
    }
    redis.right("-zrem");
    redis.right("-hmget");
    let (_, told) = check();
    assert!(told.contains("hmget, zrem; add +hmget +zrem"), "{told}");
}

#[tokio::test]
async fn a_redis_that_lacks_replicas_for_writes_is_named_as_such() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    for house in &houses {
        mode(house, "shared").await;
    }
    let replicas =
        |least| -> String { redis.ask(&["CONFIG", "SET", "min-replicas-to-write", least]) };
    replicas("1");
    for house in &houses {
        assert_eq!(last_mode(house, "local").await["error"], "no_replicas");
    }
    replicas("0");
    for house in &houses {
        last_mode(house, "shared").await;
    }
}

#[tokio::test]
async fn a_key_that_somebody_has_overwritten_is_named_by_its_prefix() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    for key in [
        "zm:{rl}:live",
        "zm:{rl}:names",
        "zm:{rl}:epoch",
        "zm:{rl}:f",
    ] {
        for house in &houses {
            last_mode(house, "shared").await;
        }
        let _: u64 = redis.ask(&["DEL", key]);
        // No key of ours is a list.
        let _: u64 = redis.ask(&["RPUSH", key, "foreign"]);
        let agent = houses[0].agent(SUPPORT);
        let arguments = serde_json::json!({ "name": "Popper" });
        assert_eq!(agent.call("search_contacts", arguments).await.status, 200);
        let named = || houses[0].events("limiter_mode").pop();
        let named = || named().filter(|line| line["error"] == "foreign_key");
        eventually(key, named).await;
        let _: u64 = redis.ask(&["DEL", key]);
    }
    last_mode(&houses[0], "shared").await;
    let log = houses[0].operational_log();
    assert!(log.contains("a key that begins with zm:"), "{log}");
}
