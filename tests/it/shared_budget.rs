//! What the organisation may ask of Zoho, kept by all instances together over Redis.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    agent::Answer,
    house::{House, REPORTING, SUPPORT, Setup, eventually},
    pair::{health, pair},
    redis::Redis,
};

#[tokio::test]
async fn two_instances_are_never_over_the_organisations_places() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
        setup.set("zoho.concurrency", "3");
    })
    .await;
    slow(&houses[0], "120ms").await;
    let calls = (0..40).map(|n| search(&houses[n % 2], SUPPORT));
    let calls = join_all(calls).await;
    assert!(calls.iter().all(|answer| answer.status == 200));
    let reports = (0..6).map(|n| report(&houses[n % 2], n));
    join_all(reports).await;
    let seen = requests(&houses[0]).await;
    assert_eq!(seen["max_in_flight"], 3, "{seen}");
    assert_eq!(seen["max_heavy_in_flight"], 1, "{seen}");
    assert_eq!(seen["refused"], 0, "{seen}");
    for key in redis.keys() {
        let left: i64 = redis.ask(&["PTTL", &key]);
        assert_ne!(left, -1, "{key} stays for ever");
    }
}

#[tokio::test]
async fn the_places_of_an_instance_that_crashed_are_free_again() {
    let redis = Redis::start();
    let mut houses = pair(&redis, |setup| {
        crowds(setup);
        setup.set("zoho.concurrency", "2");
        setup.set("zoho.request_timeout", "2s");
    })
    .await;
    let [one, other] = &mut houses;
    assert_eq!(search(one, SUPPORT).await.status, 200);
    slow(one, "30s").await;
    let agent = one.agent(SUPPORT);
    let lost = tokio::spawn(async move {
        let call = json!({ "name": "search_contacts", "arguments": { "name": "Popper" } });
        let calls = (0..2).map(|_| agent.try_ask("tools/call", call.clone()));
        join_all(calls).await.len()
    });
    let taken = || (redis.ask::<u64>(&["ZCARD", PLACES]) == 2).then_some(());
    eventually("both places to be taken", taken).await;
    one.crash();
    lost.await.unwrap();
    other.zoho.mend().await;
    let began = Instant::now();
    assert_ne!(search(other, SUPPORT).await.result()["isError"], true);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_all_have_spent_is_refused_to_all_before_zoho_is_asked() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
        all_for_everybody(setup);
        setup.set("zoho.daily_credits", "20");
    })
    .await;
    let calls = (0..60).map(|n| search(&houses[n % 2], SUPPORT));
    let calls = join_all(calls).await;
    assert_eq!(spent(&houses[0]).await, 20);
    let refused: Vec<&Answer> = calls.iter().filter(|it| it.status == 429).collect();
    assert!(refused.len() >= 40, "{}", refused.len());
    for answer in refused {
        let error = &answer.json()["error"];
        assert_eq!(error["code"], 429);
        assert_eq!(error["data"]["violatedPolicies"], json!(["zoho-credits"]));
        let after = error["data"]["retryAfterSeconds"].as_u64().unwrap();
        assert!((86_000..=87_300).contains(&after), "{after}");
        assert_eq!(answer.header("retry-after"), after.to_string());
        assert!(error["message"].as_str().unwrap().contains("are spent"));
    }
    for house in &houses {
        let line = house.event("rate_limit_exceeded").await;
        assert_eq!(line["policy"], "zoho-credits");
        assert_eq!(line["toolName"], "search_contacts");
        let failed = house.event("tool_call_error").await;
        assert_eq!(failed["error"], "zoho_credits_spent");
        assert_eq!(failed["credits"], 0);
        let told = health(house).await;
        assert_eq!(told["status"], "degraded");
        assert_eq!(told["checks"]["zoho_api"]["status"], "credits_spent");
        let log = house.operational_log();
        let line = log.lines().find(|line| line.contains("credits are spent"));
        assert!(line.unwrap().contains("until"), "{log}");
    }
}

#[tokio::test]
async fn one_client_does_not_starve_the_others_and_reads_do_not_starve_writes() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
        setup.set("zoho.daily_credits", "100");
        setup.set("zoho.client_share", "0.3");
        setup.set("zoho.client_shares", "{ customer-service-agent = 0.6 }");
    })
    .await;
    let contact = search(&houses[0], SUPPORT).await.content();
    let contact = contact["items"][0]["id"].as_str().unwrap().to_owned();
    for client in [REPORTING, SUPPORT] {
        let calls = (0..80).map(|n| search(&houses[n % 2], client));
        let calls = join_all(calls).await;
        let refused = calls.iter().find(|it| it.status == 429).unwrap();
        assert!(
            refused.text.contains("This client's share"),
            "{}",
            refused.text
        );
    }
    // A tenth of each share is kept for writes: 27 and 54 were for reads.
    assert_eq!(spent(&houses[0]).await, 27 + 54);
    let note = json!({ "record_id": contact, "content": "still possible" });
    let note = houses[1].agent(SUPPORT).call("create_note", note).await;
    assert_ne!(note.result()["isError"], true, "{}", note.text);
}

#[tokio::test]
async fn a_redis_that_lost_everything_is_told_what_was_spent() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
        all_for_everybody(setup);
        setup.set("zoho.daily_credits", "40");
    })
    .await;
    for n in 0..16 {
        assert_eq!(search(&houses[n % 2], SUPPORT).await.status, 200);
    }
    redis.kill();
    redis.restart();
    let before = spent(&houses[0]).await;
    let known = || {
        let known: Option<u64> = redis.ask(&["HGET", LEDGER, "t"]);
        (known == Some(before)).then_some(())
    };
    eventually("both to tell", known).await;
    let calls = (0..60).map(|n| search(&houses[n % 2], SUPPORT));
    join_all(calls).await;
    assert_eq!(spent(&houses[0]).await, 40);
}

#[tokio::test]
async fn without_redis_each_instance_keeps_to_its_share() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
        all_for_everybody(setup);
        setup.set("zoho.daily_credits", "40");
        setup
            .set("zoho.concurrency", "4")
            .set("redis.timeout", "50ms");
    })
    .await;
    for house in &houses {
        assert_eq!(search(house, SUPPORT).await.status, 200);
    }
    redis.kill();
    slow(&houses[0], "100ms").await;
    let calls = (0..80).map(|n| search(&houses[n % 2], SUPPORT));
    let calls = join_all(calls).await;
    assert!(
        calls
            .iter()
            .all(|it| matches!(it.status.as_u16(), 200 | 429))
    );
    assert_eq!(spent(&houses[0]).await, 40);
    let seen = requests(&houses[0]).await;
    assert!(seen["max_in_flight"].as_u64().unwrap() <= 4, "{seen}");
    redis.restart();
    let known = || {
        let known: Option<u64> = redis.ask(&["HGET", LEDGER, "t"]);
        (known == Some(40)).then_some(())
    };
    eventually("both to tell", known).await;
}

#[tokio::test]
async fn without_redis_what_one_instance_spent_before_is_not_left_for_the_other() {
    let mut redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
        all_for_everybody(setup);
        setup
            .set("zoho.daily_credits", "40")
            .set("redis.timeout", "50ms");
    })
    .await;
    for _ in 0..30 {
        assert_eq!(search(&houses[0], SUPPORT).await.status, 200);
    }
    assert_eq!(search(&houses[1], SUPPORT).await.status, 200);
    redis.kill();
    for n in 0..60 {
        search(&houses[n % 2], SUPPORT).await;
    }
    let spent = spent(&houses[0]).await;
    assert!((35..=40).contains(&spent), "{spent}");
}

#[tokio::test]
async fn a_request_to_zoho_costs_redis_one_question() {
    const CALLS: u64 = 100;
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        crowds(setup);
    })
    .await;
    assert_eq!(search(&houses[0], SUPPORT).await.status, 200);
    // What nothing else here asks Redis for, and each question about Zoho's limits three times.
    let (before, began) = (redis.ran("hmget"), Instant::now());
    for _ in 0..CALLS {
        search(&houses[0], SUPPORT).await;
    }
    let asked = (redis.ran("hmget") - before).div_ceil(3);
    // Besides, instances say that they live and give back what no request gave back on its way.
    let besides = (began.elapsed().as_secs() + 1) * 5;
    assert!(asked >= CALLS, "{asked}");
    assert!(asked <= CALLS + besides, "{asked} in {:?}", began.elapsed());
}

#[tokio::test]
async fn one_instance_without_redis_keeps_the_same_budget() {
    let house = House::with(|setup| {
        crowds(setup);
        setup.set("zoho.daily_credits", "20");
        setup.set("server.ops_listen", "127.0.0.1:0");
    })
    .await;
    let calls = (0..20).map(|_| search(&house, SUPPORT));
    let refused = join_all(calls).await;
    let refused = refused.iter().find(|it| it.status == 429).unwrap();
    assert!(
        refused.text.contains("This client's share"),
        "{}",
        refused.text
    );
    assert_eq!(spent(&house).await, 9);
    let metrics = house.operator().get("/metrics").await.text;
    assert!(
        metrics.contains("zoho_mcp_zoho_credits_spent 9"),
        "{metrics}"
    );
    let refusals = "zoho_mcp_zoho_budget_refusals_total{whose=\"client\"} 11";
    assert!(metrics.contains(refusals), "{metrics}");
    // A stream hears it as a result, as of every limit.
    let mut stream = house.agent(SUPPORT).stream().await;
    stream.initialize().await;
    let arguments = json!({ "name": "Popper" });
    let told = stream.call(9, "search_contacts", arguments).await;
    assert_eq!(told["result"]["isError"], true, "{told}");
    assert!(told.to_string().contains("zoho-credits"), "{told}");
}

#[tokio::test]
async fn a_share_is_a_part_and_of_a_client_that_exists() {
    let house = House::start().await;
    for (key, value, said) in [
        ("zoho.client_share", "1.5", "zoho.client_share"),
        ("zoho.write_reserve", "-1", "zoho.write_reserve"),
        (
            "zoho.client_shares",
            "{ nobody = 0.5 }",
            "there is no such client",
        ),
    ] {
        let checked = house.command_with(&["check"], |setup| {
            setup.set(key, value);
        });
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(64), "{told}");
        assert!(told.contains(said), "{told}");
    }
}

/// Each call is a request of its own, and there may be many at once.
pub(crate) fn crowds(setup: &mut Setup) {
    setup
        .set("zoho.coalesce", "false")
        .set("limits.in_flight", "200");
}

pub(crate) fn all_for_everybody(setup: &mut Setup) {
    setup
        .set("zoho.client_share", "1")
        .set("zoho.write_reserve", "0");
}

pub(crate) async fn search(house: &House, client: &str) -> Answer {
    house.agent(client).search("Popper").await
}

async fn report(house: &House, n: usize) -> Answer {
    let groups = ["stage", "owner", "lead_source"];
    let arguments = json!({ "period": "this_year", "group_by": groups[n % 3] });
    let agent = house.agent(REPORTING);
    agent.call("get_revenue_report", arguments).await
}

async fn slow(house: &House, delay: &str) {
    let slow = json!({ "fault": "latency", "path": "/crm", "delay": delay });
    house.zoho.fault(slow).await;
}

pub(crate) async fn requests(house: &House) -> Value {
    house.zoho.state().await["requests"].clone()
}

pub(crate) async fn spent(house: &House) -> u64 {
    house.zoho.state().await["credits"]["used"]
        .as_u64()
        .unwrap()
}

const PLACES: &str = "zm:{zoho}:inflight";
pub(crate) const LEDGER: &str = "zm:{zoho}:credits:org";
