//! A Redis that comes and goes, and one whose certificate is not good.

use std::time::{Duration, Instant};

use crate::{
    house::House,
    pair::{last_mode, mode},
    redis::{Certificate, Options, Redis},
};

async fn over(redis: &Redis) -> House {
    House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        setup.set("redis.expected_replicas", "1");
    })
    .await
}

#[tokio::test]
async fn a_redis_that_fails_again_and_again_is_trusted_later_each_time() {
    let redis = Redis::start();
    let house = over(&redis).await;
    mode(&house, "shared").await;
    let memory = |bytes: &str| {
        let _: String = redis.ask(&["CONFIG", "SET", "maxmemory", bytes]);
    };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(12) {
        memory("1");
        last_mode(&house, "local").await;
        memory("0");
        last_mode(&house, "shared").await;
    }
    // Half a second, then one, two, four and eight: without that it would be a dozen and more.
    let changes = house.events("limiter_mode").len();
    assert!((5..=11).contains(&changes), "{changes}");
    let told = house.operational_log();
    let told = told.matches("Redis cannot be used").count();
    assert!(told <= 2 * changes, "{told} lines for {changes} changes");
}

#[tokio::test]
async fn what_is_put_back_is_timed() {
    let mut redis = Redis::start();
    let house = over(&redis).await;
    assert!(mode(&house, "shared").await.get("durationMs").is_none());
    redis.kill();
    assert!(last_mode(&house, "local").await.get("durationMs").is_none());
    redis.restart();
    let back = last_mode(&house, "shared").await;
    assert!(back["durationMs"].is_u64(), "{back}");
}

/// What the log and `check --online` say of a Redis behind such a certificate.
async fn says(redis: Redis, trusts: bool, cause: &str, remedy: &str) {
    let house = House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
        if trusts {
            setup.set("redis.ca", &redis.ca());
        }
    })
    .await;
    assert_eq!(mode(&house, "local").await["error"], cause);
    let log = house.operational_log();
    assert!(log.contains(remedy), "{log}");
    let checked = house.command(&["check", "--online"]);
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success());
    assert!(told.contains(cause) && told.contains(remedy), "{told}");
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_nobody_knows_is_named() {
    let redis = Redis::with(Options::tls);
    says(
        redis,
        false,
        "tls_unknown_authority",
        "name its file as redis.ca",
    )
    .await;
}

#[tokio::test]
async fn a_certificate_of_another_name_is_named() {
    let redis = Redis::with(|options| options.certificate(Certificate::OfAnotherName));
    says(redis, true, "tls_wrong_name", "is for another name").await;
}

#[tokio::test]
async fn a_certificate_that_has_run_out_is_named() {
    let redis = Redis::with(|options| options.certificate(Certificate::Expired));
    says(redis, true, "tls_out_of_date", "expired or not valid yet").await;
}

#[tokio::test]
async fn a_redis_that_demands_a_certificate_is_named() {
    let redis = Redis::with(Options::client_certificates);
    says(
        redis,
        true,
        "tls_client_certificate_demanded",
        "set its tls-auth-clients to no",
    )
    .await;
}
