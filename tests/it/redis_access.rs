//! The user and the password of Redis change, and calls go on.

use serde_json::Value;

use crate::{
    house::{House, SUPPORT, Setup, eventually},
    moto::Stub,
    pair::{admitted, last_mode, mode, pair},
    redis::Redis,
};

const REFUSED: &str = "refused_last_good_keeps_serving";

fn with_password(setup: &mut Setup, reference: &str) {
    setup
        .set("redis.username", "zoho")
        .set("redis.password", reference)
        .set("limits.client", "{ requests = 20, per = \"1h\" }");
}

impl House {
    fn redis_reloads(&self) -> Vec<Value> {
        let reloads = self.events("config_reload").into_iter();
        let outcomes = reloads.filter(|line| line["policy"] == "redis");
        outcomes.map(|mut line| line["reason"].take()).collect()
    }

    /// Waits until these are all the changes of what proves the daemon to Redis.
    async fn redis_reloaded(&self, outcomes: &[&str]) {
        let told = format!("redis {outcomes:?}");
        eventually(&told, || (self.redis_reloads() == outcomes).then_some(())).await;
    }
}

fn all_in_one_mode(houses: &[House]) {
    for house in houses {
        let modes = house.events("limiter_mode");
        assert_eq!(modes.len(), 1, "{modes:?}");
    }
}

#[tokio::test]
async fn a_password_that_changes_in_its_file_is_taken_over_and_no_call_notices() {
    let redis = Redis::start();
    redis.allow("old-word", &[]);
    let houses = pair(&redis, |setup| {
        with_password(setup, "file:redis.password");
        setup.file("redis.password", "old-word\n");
    })
    .await;
    let mut passed = admitted(&houses, SUPPORT, 6).await;
    redis.allow("new-word", &[]);
    houses[0].replace("redis.password", "new-word\n");
    for house in &houses {
        house.redis_reloaded(&["applied"]).await;
    }
    passed += admitted(&houses, SUPPORT, 6).await;
    assert_eq!(passed, 12);
    redis.forbid("old-word");
    passed += admitted(&houses, SUPPORT, 40).await;
    assert_eq!(passed, 20, "the windows are the same");
    all_in_one_mode(&houses);
    for house in &houses {
        house.redis_reloaded(&["applied"]).await;
        let log = house.operational_log();
        assert!(!log.contains("-word"), "{log}");
    }
}

#[tokio::test]
async fn a_wrong_new_password_keeps_the_connection_that_is_there() {
    let redis = Redis::start();
    redis.allow("old-word", &[]);
    let houses = pair(&redis, |setup| {
        with_password(setup, "file:redis.password");
        setup.file("redis.password", "old-word");
    })
    .await;
    let mut passed = admitted(&houses, SUPPORT, 6).await;
    houses[0].replace("redis.password", "wrong-word");
    for house in &houses {
        house.redis_reloaded(&[REFUSED]).await;
        let log = house.operational_log();
        assert!(log.contains("check redis.username and redis.password"));
        assert!(!log.contains("-word"), "{log}");
    }
    passed += admitted(&houses, SUPPORT, 40).await;
    assert_eq!(passed, 20);
    // The password came to its file before Redis knew it.
    redis.allow("wrong-word", &[]);
    for house in &houses {
        house.redis_reloaded(&[REFUSED, "applied"]).await;
    }
    houses[0].replace("redis.password", "never-word");
    for house in &houses {
        house.redis_reloaded(&[REFUSED, "applied", REFUSED]).await;
    }
    houses[0].replace("redis.password", "wrong-word");
    for house in &houses {
        let outcomes = [REFUSED, "applied", REFUSED, "recovered"];
        house.redis_reloaded(&outcomes).await;
    }
    assert_eq!(admitted(&houses, SUPPORT, 6).await, 0);
    all_in_one_mode(&houses);
}

#[tokio::test]
async fn a_secret_is_read_at_once_when_redis_refuses_what_it_was_before() {
    let redis = Redis::start();
    redis.allow("old-word", &[]);
    let stub = Stub::start().await;
    stub.hold("redis", "old-word");
    let houses = pair(&redis, |setup| {
        stub.serves(setup);
        with_password(setup, "aws:redis");
        setup.set("auth.api_keys.refresh", "1h");
    })
    .await;
    let mut passed = admitted(&houses, SUPPORT, 6).await;
    stub.hold("redis", "new-word");
    redis.allow("new-word", &[]);
    redis.forbid("old-word");
    // Each instance keeps its share while it reads.
    passed += admitted(&houses, SUPPORT, 4).await;
    for house in &houses {
        house.redis_reloaded(&["applied"]).await;
        last_mode(house, "shared").await;
    }
    passed += admitted(&houses, SUPPORT, 40).await;
    assert_eq!(passed, 20);
}

#[tokio::test]
async fn a_password_that_comes_too_late_is_waited_for() {
    let redis = Redis::start();
    redis.allow("old-word", &[]);
    let stub = Stub::start().await;
    stub.hold("redis", "old-word");
    let house = House::with(|setup| {
        stub.serves(setup);
        with_password(setup, "aws:redis");
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        setup.set("auth.api_keys.refresh", "1h");
    })
    .await;
    mode(&house, "shared").await;
    redis.allow("new-word", &[]);
    redis.forbid("old-word");
    assert_eq!(last_mode(&house, "local").await["error"], "wrong_password");
    stub.hold("redis", "new-word");
    last_mode(&house, "shared").await;
    house.redis_reloaded(&["applied"]).await;
}

#[tokio::test]
async fn a_secret_in_aws_is_read_at_the_pace_of_keys_and_a_signal_hurries_it() {
    let redis = Redis::start();
    for password in ["first-word", "second-word", "third-word"] {
        redis.allow(password, &[]);
    }
    let stub = Stub::start().await;
    stub.hold("redis", "first-word");
    let one = House::with(|setup| {
        stub.serves(setup);
        with_password(setup, "aws:redis");
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        setup.set("auth.api_keys.refresh", "1s");
    })
    .await;
    let other = one
        .replica(|setup| {
            setup.set("auth.api_keys.refresh", "1h");
        })
        .await;
    for house in [&one, &other] {
        mode(house, "shared").await;
    }
    stub.hold("redis", "second-word");
    one.redis_reloaded(&["applied"]).await;
    assert_eq!(other.redis_reloads().len(), 0);
    other.signal("-HUP");
    other.redis_reloaded(&["applied"]).await;
    all_in_one_mode(&[one, other]);
}

#[tokio::test]
async fn another_user_and_another_authority_are_taken_over_too() {
    let redis = Redis::with(|options| options.tls());
    redis.allow("s3cret", &[]);
    let rights = ["ACL", "SETUSER", "other", "on", ">s3cret", "~zm:*", "+@all"];
    let _: String = redis.ask(&rights);
    let authority = std::fs::read_to_string(redis.ca()).unwrap();
    let house = House::with(|setup| {
        setup.file("authority.pem", &authority).config(&format!(
            "\n[redis]\nurl = \"{}\"\nca = \"authority.pem\"\nusername = \"zoho\"\n\
             password = \"env:REDIS_SECRET\"\ntimeout = \"2s\"\n",
            redis.url()
        ));
        setup.variable("REDIS_SECRET", "s3cret");
    })
    .await;
    mode(&house, "shared").await;
    house
        .reconfigure("username = \"zoho\"", "username = \"other\"")
        .await;
    let whole = |line: &Value| line["event"] == "config_reload" && line.get("policy").is_none();
    let told = house.recorded("the whole document", whole).await;
    assert_eq!(told["reason"], "applied", "nothing waits for a restart");
    house.redis_reloaded(&["applied"]).await;
    let clients: String = redis.ask(&["CLIENT", "LIST"]);
    assert!(clients.contains("user=other") && !clients.contains("user=zoho"));
    house.replace("authority.pem", "no certificate");
    house.redis_reloaded(&["applied", REFUSED]).await;
    house.replace("authority.pem", &authority);
    house
        .redis_reloaded(&["applied", REFUSED, "recovered"])
        .await;
    assert_eq!(house.events("limiter_mode").len(), 1);
}
