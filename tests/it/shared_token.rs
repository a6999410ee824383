//! One access token for all instances, over Redis.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    house::{House, SUPPORT, Zoho, eventually},
    pair::{health, pair, sharing},
    redis::Redis,
};

#[tokio::test]
async fn two_instances_that_start_at_once_need_one_token() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let calls = (0..20).map(|n| search(&houses[n % 2]));
    assert!(join_all(calls).await.into_iter().all(|found| found));
    assert_eq!(minted(&houses[0].zoho).await, 1);
}

#[tokio::test]
async fn redis_holds_the_token_encrypted_and_for_a_while() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    assert!(search(&houses[0]).await);
    let sealed: Vec<u8> = redis.ask(&["GET", &token_of(&redis)]);
    assert!(sealed.len() > 60);
    assert!(!sealed.windows(5).any(|part| part == b"1000."));
    for key in redis.keys() {
        let left: i64 = redis.ask(&["PTTL", &key]);
        assert_ne!(left, -1, "{key} stays for ever");
    }
}

#[tokio::test]
async fn a_token_that_zoho_takes_back_is_replaced_once() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    for house in &houses {
        assert!(search(house).await);
    }
    let zoho = &houses[0].zoho;
    revoke(zoho).await;
    let calls = (0..12).map(|n| search(&houses[n % 2]));
    assert!(join_all(calls).await.into_iter().all(|found| found));
    assert_eq!(minted(zoho).await, 2);
}

#[tokio::test]
async fn a_token_that_was_refused_does_not_come_back_when_the_next_mint_fails() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    assert!(search(&houses[0]).await);
    let zoho = &houses[0].zoho;
    let fails =
        json!({ "fault": "status", "status": 503, "method": "POST", "path": "/oauth", "times": 1 });
    zoho.fault(fails).await;
    revoke(zoho).await;
    assert!(search(&houses[0]).await);
    assert_eq!(zoho.seen("POST", "/oauth").await, 3);
    assert_eq!(minted(zoho).await, 2);
}

#[tokio::test]
async fn who_finds_in_redis_what_was_taken_back_too_has_another_minted() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let [one, other] = &houses;
    assert!(search(one).await && search(other).await);
    for (house, tokens) in [(one, 2), (other, 3)] {
        revoke(&one.zoho).await;
        assert!(search(house).await);
        assert_eq!(minted(&one.zoho).await, tokens);
    }
    for house in &houses {
        assert_eq!(health(house).await["checks"]["zoho_api"]["status"], "ok");
    }
}

#[tokio::test]
async fn what_was_altered_in_redis_is_no_token_and_is_replaced() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    assert!(search(&houses[0]).await);
    let key = &token_of(&redis);
    let mut sealed: Vec<u8> = redis.ask(&["GET", key]);
    *sealed.last_mut().unwrap() ^= 1;
    let mut set = redis::cmd("SET");
    set.arg(key).arg(sealed).arg("PX").arg(60_000);
    set.exec(&mut redis.connection().unwrap()).unwrap();
    assert!(search(&houses[1]).await);
    assert_eq!(minted(&houses[0].zoho).await, 2);
    assert!(search(&houses[0]).await, "its own still serves");
    assert!(houses[1].operational_log().contains("was altered"));
    for nonsense in ["", "x"] {
        let _: String = redis.ask(&["SET", key, nonsense]);
        let third = houses[0].replica(|_| ()).await;
        assert!(search(&third).await);
    }
    let _: u64 = redis.ask(&["DEL", key]);
    let _: u64 = redis.ask(&["HSET", key, "not", "a text"]);
    let fourth = houses[0].replica(|_| ()).await;
    assert!(search(&fourth).await);
}

#[tokio::test]
async fn who_has_another_key_does_not_read_the_token() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    assert!(search(&houses[0]).await);
    let other = houses[0]
        .replica(|setup| {
            setup.variable("TOKEN_KEY", &"another ".repeat(8));
        })
        .await;
    assert!(search(&other).await);
    assert_eq!(minted(&houses[0].zoho).await, 2);
}

#[tokio::test]
async fn too_many_requests_hold_all_instances_back() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    deny(zoho).await;
    for house in houses.iter().cycle().take(6) {
        let said = ask(house).await.failure();
        assert!(said.contains("too many access tokens"), "{said}");
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, 1);
    for house in &houses {
        let told = health(house).await;
        assert_eq!(told["status"], "degraded");
        assert_eq!(told["checks"]["zoho_api"]["status"], "token_throttled");
        let log = house.operational_log();
        let line = log.lines().find(|line| line.contains("no access token"));
        assert!(line.unwrap().contains("until"), "{log}");
    }
}

#[tokio::test]
async fn that_nobody_asks_any_more_outlives_the_data_of_redis() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    deny(zoho).await;
    ask(&houses[0]).await.failure();
    let _: String = redis.ask(&["FLUSHALL"]);
    let is_back = || {
        redis
            .keys()
            .iter()
            .any(|key| key.contains(":mint:"))
            .then_some(())
    };
    eventually("the pause to be back", is_back).await;
    for house in &houses {
        let said = ask(house).await.failure();
        assert!(said.contains("too many access tokens"), "{said}");
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, 1);
}

#[tokio::test]
async fn refused_credentials_are_said_everywhere_and_not_tried_again_until_there_are_others() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    let good = zoho.daemon_credentials.to_string();
    let mut bad = zoho.daemon_credentials.clone();
    bad["refresh_token"] = json!("1000.nobody.knows");
    for house in &houses {
        house.replace("zoho.json", &bad.to_string());
        house.signal("-HUP");
        house.recorded("other credentials", is_applied).await;
    }
    for house in houses.iter().cycle().take(10) {
        let said = ask(house).await.failure();
        assert!(said.contains("refuses this server's credentials"), "{said}");
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, 1);
    for house in &houses {
        let told = health(house).await;
        assert_eq!(told["status"], "degraded");
        assert_eq!(told["checks"]["zoho_api"]["status"], "credentials_refused");
        assert!(
            house
                .operational_log()
                .contains("zoho refuses the credentials")
        );
    }
    // A restart is no reason to ask again, but SIGHUP is.
    let third = houses[0].replica(|_| ()).await;
    assert!(ask(&third).await.failure().contains("credentials"));
    assert_eq!(zoho.seen("POST", "/oauth").await, 1);
    third.signal("-HUP");
    let mut asked = 1;
    while asked == 1 {
        ask(&third).await.failure();
        asked = zoho.seen("POST", "/oauth").await;
    }
    houses[0].replace("zoho.json", &good);
    for house in &houses {
        house.signal("-HUP");
        while ask(house).await.result()["isError"] == true {}
        assert_eq!(health(house).await["checks"]["zoho_api"]["status"], "ok");
    }
    assert_eq!(minted(zoho).await, 1);
}

#[tokio::test]
async fn when_the_one_that_mints_dies_another_takes_over() {
    let redis = Redis::start();
    let mut houses = pair(&redis, |setup| {
        sharing(setup);
        setup.set("zoho.request_timeout", "1s");
    })
    .await;
    let [one, other] = &mut houses;
    let slow = json!({ "fault": "latency", "path": "/oauth", "times": 1, "delay": "30s" });
    one.zoho.fault(slow).await;
    let agent = one.agent(SUPPORT);
    let lost = tokio::spawn(async move {
        let call = json!({ "name": "search_contacts", "arguments": { "name": "Popper" } });
        agent.try_ask("tools/call", call).await
    });
    let asked = one.zoho.clone();
    while asked.seen("POST", "/oauth").await == 0 {
        tokio::task::yield_now().await;
    }
    one.crash();
    assert!(search(other).await);
    assert_eq!(other.zoho.seen("POST", "/oauth").await, 2);
    drop(lost);
}

#[tokio::test]
async fn without_redis_each_instance_mints_for_itself() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        sharing(setup);
        setup.set("redis.timeout", "50ms");
    })
    .await;
    redis.kill();
    for house in &houses {
        assert!(search(house).await);
    }
    assert_eq!(minted(&houses[0].zoho).await, 2);
    redis.restart();
    let third = houses[0].replica(|_| ()).await;
    assert!(search(&third).await);
    assert_eq!(minted(&houses[0].zoho).await, 3);
}

#[tokio::test]
async fn never_more_than_ten_are_asked_for_in_ten_minutes() {
    let redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    for house in houses.iter().cycle().take(30) {
        lose_the_token(house).await;
    }
    assert_eq!(zoho.seen("POST", "/oauth").await, 10);
    assert_eq!(zoho.state().await["tokens"]["throttled"], 0);
}

#[tokio::test]
async fn ten_are_not_exceeded_when_redis_dies_after_one_instance_alone_asked() {
    let mut redis = Redis::start();
    let houses = pair(&redis, sharing).await;
    let zoho = &houses[0].zoho;
    while zoho.seen("POST", "/oauth").await < 8 {
        lose_the_token(&houses[0]).await;
    }
    redis.kill();
    for house in houses.iter().cycle().take(16) {
        lose_the_token(house).await;
    }
    let most = zoho.seen("POST", "/oauth").await;
    assert!((8..=10).contains(&most), "{most}");
    for house in &houses {
        let told = health(house).await;
        assert_eq!(told["checks"]["zoho_api"]["status"], "token_throttled");
    }
    redis.restart();
    let slots = || redis.keys().into_iter().find(|key| key.contains(":slots:"));
    eventually("the slots to be back", slots).await;
    let held_back = redis.keys().into_iter().any(|key| key.contains(":mint:"));
    assert!(!held_back, "what one instance has used up holds all back");
    for house in houses.iter().cycle().take(16) {
        lose_the_token(house).await;
    }
    assert!(zoho.seen("POST", "/oauth").await <= 10);
    assert_eq!(zoho.state().await["tokens"]["throttled"], 0);
}

#[tokio::test]
async fn ten_are_not_exceeded_when_redis_loses_its_data_or_answers_late() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        sharing(setup);
        setup.set("redis.timeout", "100ms");
    })
    .await;
    let zoho = &houses[0].zoho;
    for round in 0..3 {
        for house in [0, 0, 0, 1].map(|n| &houses[n]) {
            lose_the_token(house).await;
        }
        match round {
            0 => drop(redis.ask::<String>(&["FLUSHALL"])),
            1 => redis.freeze(),
            _ => redis.thaw(),
        }
    }
    for house in houses.iter().cycle().take(24) {
        lose_the_token(house).await;
    }
    let asked = zoho.seen("POST", "/oauth").await;
    assert!((6..=10).contains(&asked), "{asked}");
}

#[tokio::test]
async fn without_a_key_each_instance_has_a_token_of_its_own_and_says_so() {
    let redis = Redis::start();
    let houses = pair(&redis, |_| ()).await;
    for house in &houses {
        assert!(search(house).await);
        let told = || {
            house
                .operational_log()
                .contains("zoho.token_key")
                .then_some(())
        };
        eventually("a warning", told).await;
    }
    assert_eq!(minted(&houses[0].zoho).await, 2);
    assert!(!redis.keys().iter().any(|key| key.starts_with(TOKEN)));
}

/// Zoho takes back the token that the instance has, and the instance asks for another if it may.
pub(crate) async fn lose_the_token(house: &House) {
    revoke(&house.zoho).await;
    ask(house).await;
    house.zoho.mend().await;
}

/// Zoho takes back all tokens at the next request.
pub(crate) async fn revoke(zoho: &Zoho) {
    let fault = json!({ "fault": "revoke_tokens", "path": "/crm", "times": 1 });
    zoho.fault(fault).await;
}

/// Zoho says from now on that too many tokens were asked for.
pub(crate) async fn deny(zoho: &Zoho) {
    let denied = json!({ "error": "Access Denied", "status": "failure" });
    let fault = json!({ "fault": "status", "path": "/oauth", "status": 400, "body": denied });
    zoho.fault(fault).await;
}

pub(crate) async fn ask(house: &House) -> crate::agent::Answer {
    let arguments = json!({ "name": "Popper" });
    house
        .agent(SUPPORT)
        .call("search_contacts", arguments)
        .await
}

/// Whether Zoho answered.
pub(crate) async fn search(house: &House) -> bool {
    let answer = ask(house).await;
    answer.result()["isError"] != true
}

pub(crate) async fn minted(zoho: &Zoho) -> u64 {
    zoho.state().await["tokens"]["minted"].as_u64().unwrap()
}

pub(crate) fn is_applied(line: &Value) -> bool {
    line["event"] == "config_reload"
        && line["policy"] == "zoho.credentials"
        && line["reason"] == "applied"
}

/// Where the one token is.
fn token_of(redis: &Redis) -> String {
    // Beside it lie who is denied tokens, and since when that is known.
    let name = |key: &&String| key.strip_prefix(TOKEN).map_or(0, str::len);
    let is_token = |key: &&String| name(key) == 22;
    redis.keys().iter().find(is_token).unwrap().clone()
}

const TOKEN: &str = "zm:{zoho}:token:";
