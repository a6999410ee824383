//! What an operator sees of limits in Redis, and of a Redis that does not suit them.

use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    house::{House, SUPPORT, eventually},
    issuer::{Issuer, Key},
    pair::{admitted, last_mode, mode, pair},
    redis::Redis,
};

impl House {
    fn shown(&self, more: &[&str]) -> Vec<Value> {
        let shown = self.command(&[&["limits", "show", "--json"], more].concat());
        let told = String::from_utf8_lossy(&shown.stderr);
        serde_json::from_slice(&shown.stdout).expect(&told)
    }

    fn checked(&self) -> (bool, String) {
        let checked = self.command(&["check", "--online"]);
        let told = [checked.stdout, checked.stderr].concat();
        (checked.status.success(), String::from_utf8(told).unwrap())
    }
}

async fn over(redis: &Redis) -> House {
    House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
    })
    .await
}

#[tokio::test]
async fn a_person_and_a_client_that_comes_with_tokens_are_shown_with_what_remains() {
    let redis = Redis::start();
    let key = Key::new("own", Algorithm::RS256);
    let issuer = Issuer::start(&[&key]).await;
    let house = House::with(|setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s")
            .set("limits.user", "{ requests = 9, per = \"1h\" }");
        setup.config(&issuer.config("role = \"dashboard\""));
    })
    .await;
    mode(&house, "shared").await;
    let bearer = format!("Bearer {}", issuer.token(&key, json!({ "sub": "ada" })));
    let agent = house.stranger(None).with("authorization", &bearer);
    for _ in 0..4 {
        assert_eq!(agent.status().await, 200);
    }
    let rows = house.shown(&["--user", &issuer.url, "ada"]);
    let user = rows.iter().find(|row| row["dimension"] == "user").unwrap();
    assert_eq!(
        (&user["used"], &user["remaining"], &user["subject"]),
        (&json!(4), &json!(5), &json!("ada"))
    );
    let used: Vec<&Value> = rows
        .iter()
        .filter(|row| row["dimension"] == "client" && row["used"] == 4)
        .collect();
    assert_eq!(used.len(), 1, "the client that the issuer brings: {rows:?}");
}

#[tokio::test]
async fn a_check_counts_a_call_and_warns_of_what_does_not_suit() {
    let redis = Redis::start();
    let house = over(&redis).await;
    let (passed, told) = house.checked();
    assert!(
        passed && told.contains("redis: connected, takes writes, counts calls"),
        "{told}"
    );
    assert!(!told.contains("warning  redis"), "{told}");
    let _: String = redis.ask(&["CONFIG", "SET", "maxmemory", "100mb"]);
    let _: String = redis.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let (passed, told) = house.checked();
    assert!(
        passed && told.contains("warning  redis: it throws keys away"),
        "{told}"
    );
    let late = house.replica(|_| ()).await;
    mode(&late, "shared").await;
    let warned = || {
        late.operational_log()
            .contains("throws keys away")
            .then_some(())
    };
    eventually("a warning at start", warned).await;
    let _: String = redis.ask(&["ACL", "SETUSER", "default", "-info", "-zcount"]);
    let (passed, told) = house.checked();
    assert!(!passed && told.contains("may not run zcount"), "{told}");
    let _: String = redis.ask(&["ACL", "SETUSER", "default", "+zcount"]);
    let (passed, told) = house.checked();
    assert!(
        passed && told.contains("the user may not run INFO"),
        "{told}"
    );
    let other = house.command_with(&["check", "--online"], |setup| {
        setup
            .set("audit.pseudonym_key", "env:PSEUDONYMS")
            .variable("PSEUDONYMS", "another-key-of-thirty-two-letters");
    });
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        !other.status.success() && told.contains("other_pseudonym_key"),
        "{told}"
    );
}

#[tokio::test]
async fn an_instance_that_ends_does_not_count_any_more() {
    let redis = Redis::start();
    let [one, mut other] = pair(&redis, |_| ()).await;
    let live = || redis.ask::<u64>(&["ZCARD", "zm:{rl}:live"]);
    eventually("both to live", || (live() == 2).then_some(())).await;
    other.signal("-TERM");
    other.ended().await;
    assert_eq!(live(), 1);
    mode(&one, "shared").await;
}

#[tokio::test]
async fn a_place_is_given_back_on_the_way_of_the_next_call() {
    const CALLS: u64 = 20;
    let redis = Redis::start();
    let house = over(&redis).await;
    mode(&house, "shared").await;
    let agent = house.agent(SUPPORT);
    let (before, started) = (redis.ran("evalsha"), Instant::now());
    for _ in 0..CALLS {
        let found = agent.search("Giulia");
        found.await.content();
        // Longer than nobody would wait for a next call, and shorter than a place may wait.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = redis.ran("evalsha") - before;
    // Places may be given back ten times a second, and an instance says four times that it lives.
    let spent = started.elapsed().as_millis() as u64;
    // Each call asks once for its limits and once for what Zoho allows.
    let fewest = 2 * CALLS + spent / 100 + spent / 250 + 3;
    assert!(
        asked <= fewest,
        "{asked} round trips of {CALLS} calls in {spent} ms"
    );
    let places = || redis.ask::<u64>(&["ZCARD", "zm:{rl}:f"]);
    eventually("the last place to be free", || {
        (places() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cap_on_calls_in_flight_is_tried_out_across_instances() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.in_flight", "{ calls = 1, mode = \"shadow\" }");
    })
    .await;
    let slow = json!({ "fault": "latency", "path": "/crm", "delay": "2s", "times": 1 });
    houses[0].zoho.fault(slow).await;
    let search = json!({ "name": "Giulia" });
    let (agent, arguments) = (houses[0].agent(SUPPORT), search.clone());
    let held = tokio::spawn(async move { agent.call("search_contacts", arguments).await });
    houses[0].event("tool_call_start").await;
    let second = houses[1]
        .agent(SUPPORT)
        .call("search_contacts", search)
        .await;
    second.content();
    held.await.unwrap().content();
    let line = houses[1].event("rate_limit_exceeded").await;
    assert_eq!(
        (&line["reason"], &line["policy"]),
        (&json!("shadow"), &json!("in_flight, 1"))
    );
    assert_eq!(houses[0].events("rate_limit_exceeded").len(), 0);
    assert_eq!(admitted(&houses, SUPPORT, 2).await, 2);
}

#[tokio::test]
async fn a_share_that_is_used_up_is_told_as_a_share() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        setup.set("limits.client", "{ requests = 4, per = \"1h\" }");
    })
    .await;
    redis.kill();
    last_mode(&houses[0], "local").await;
    assert_eq!(admitted(&houses[..1], SUPPORT, 2).await, 2);
    let refused = houses[0].agent(SUPPORT).list().await;
    assert_eq!(refused.status, 429);
    let told = &refused.json()["error"]["message"];
    let told = told.as_str().unwrap();
    assert!(
        told.contains("client, this instance's share of 4 per 1h"),
        "{told}"
    );
    let line = houses[0].event("rate_limit_exceeded").await;
    assert_eq!(
        (&line["reason"], &line["policy"]),
        (&json!("share"), &json!("client, 4 per 1h"))
    );
}
