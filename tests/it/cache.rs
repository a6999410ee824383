//! Answers that are kept for a short while: to whom they are given again, and until when.

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{House, MANAGER, REP, REPORTING, SUPPORT, Setup, eventually},
    tools::everything_allowed,
};

/// A house that keeps what was searched for.
async fn keeping(time: &str, change: impl FnOnce(&mut Setup)) -> House {
    House::with(|setup| {
        everything_allowed(setup);
        setup.set("cache.tools.search_contacts", time);
        setup.set("server.ops_listen", "127.0.0.1:0");
        change(setup);
    })
    .await
}

async fn search(agent: &Agent, name: &str) -> Value {
    agent.search(name).await.content()
}

/// How many searches Zoho saw.
async fn searches(house: &House) -> usize {
    house.zoho.seen("GET", "/crm/v8/Contacts/search").await
}

#[tokio::test]
async fn the_same_question_is_answered_without_zoho_and_the_log_says_so() {
    let house = keeping("5m", |_| ()).await;
    let agent = house.agent(SUPPORT);
    let first = search(&agent, "Popper").await;
    let asked = house.zoho.journal().await.len();
    let again = search(&agent, "Popper").await;
    assert_eq!(again, first, "with its time");
    assert_eq!(house.zoho.journal().await.len(), asked);
    let ends = eventually("both ends", || {
        let ends = house.events("tool_call_success");
        (ends.len() == 2).then_some(ends)
    })
    .await;
    assert_eq!(ends[0]["cached"], Value::Null);
    assert_eq!(
        (&ends[1]["cached"], &ends[1]["credits"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(ends[1]["recordsReturned"], ends[0]["recordsReturned"]);
    assert!(ends[1]["zohoRequests"].is_null(), "{}", ends[1]);
    let metrics = house.operator().get("/metrics").await.text;
    let counted = "zoho_mcp_cached_answers_total{tool=\"search_contacts\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    search(&agent, "Giulia").await;
    assert_eq!(searches(&house).await, 2, "another question");
}

#[tokio::test]
async fn nothing_is_kept_unless_an_operator_wants_it() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    for _ in 0..2 {
        search(&agent, "Popper").await;
    }
    assert_eq!(searches(&house).await, 2);
}

#[tokio::test]
async fn nobody_is_given_what_somebody_else_may_see() {
    let house = keeping("5m", |setup| {
        setup.set("clients.reporting-agent.visibility", "owner");
        setup.set("clients.reporting-agent.owner", REP);
    })
    .await;
    let everything = search(&house.agent(SUPPORT), "a").await;
    let own = search(&house.agent(REPORTING), "a").await;
    assert_ne!(everything["items"], own["items"]);
    assert_eq!(searches(&house).await, 2);
    // The same client, after it was given other rights.
    let replica = house
        .replica(|setup| {
            setup.set("clients.reporting-agent.owner", MANAGER);
        })
        .await;
    let team = search(&replica.agent(REPORTING), "a").await;
    assert_ne!(team["items"], own["items"]);
}

#[tokio::test]
async fn another_ceiling_of_rows_is_another_question() {
    let house = House::with(|setup| {
        setup.set("cache.tools.search_contacts", "5m");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let all = json!({ "email": "example", "limit": 50 });
    let ten = agent.call("search_contacts", all.clone()).await.content();
    let from = "\"create_note\"]\nmax_records_per_query = 10";
    let to = "\"create_note\"]\nmax_records_per_query = 3";
    house.reconfigure(from, to).await;
    let three = agent.call("search_contacts", all).await.content();
    assert_eq!((&ten["count"], &three["count"]), (&json!(10), &json!(3)));
}

#[tokio::test]
async fn a_write_ends_what_was_kept() {
    let house = keeping("5m", |_| ()).await;
    let agent = house.agent(SUPPORT);
    let before = search(&agent, "Popper").await;
    let contact = &before["items"][0]["id"];
    let update = json!({ "contact_id": contact, "department": "Falsification" });
    agent.call("update_contact", update).await.content();
    let after = search(&agent, "Popper").await;
    assert_eq!(after["items"][0]["department"], "Falsification");
    assert_eq!(searches(&house).await, 2);
    // Also one of which nobody knows whether it has happened.
    let lost = json!({ "fault": "reset_after_commit", "method": "PUT", "times": 1,
        "path": "/crm/v8/Contacts" });
    house.zoho.fault(lost).await;
    let update = json!({ "contact_id": contact, "department": "Conjecture" });
    agent.call("update_contact", update).await.failure();
    let after = search(&agent, "Popper").await;
    assert_eq!(after["items"][0]["department"], "Conjecture");
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_and_no_longer() {
    let house = keeping("300ms", |_| ()).await;
    let agent = house.agent(SUPPORT);
    search(&agent, "Popper").await;
    for _ in 0..400 {
        search(&agent, "Popper").await;
        if searches(&house).await > 1 {
            return;
        }
    }
    panic!("the first answer is given for ever");
}

#[tokio::test]
async fn what_went_wrong_is_not_kept() {
    let house = House::with(|setup| {
        everything_allowed(setup);
        setup.set("cache.tools.get_contact_history", "5m");
        setup.set("cache.tools.search_contacts", "5m");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let broken = json!({ "fault": "status", "status": 403, "path": "/crm/v8/Contacts" });
    house.zoho.fault(broken).await;
    let name = json!({ "name": "Popper" });
    agent.call("search_contacts", name).await.failure();
    house.zoho.mend().await;
    let found = search(&agent, "Popper").await;
    let id = found["items"][0]["id"].as_str().unwrap();
    let broken = json!({ "fault": "status", "status": 500,
        "path": format!("/crm/v8/Contacts/{id}/Calls") });
    house.zoho.fault(broken).await;
    let history = json!({ "contact_id": id });
    let part = agent
        .call("get_contact_history", history.clone())
        .await
        .content();
    house.zoho.mend().await;
    let whole = agent.call("get_contact_history", history).await.content();
    assert_ne!(
        part["sources"], whole["sources"],
        "a part is no answer to keep"
    );
}

#[tokio::test]
async fn a_check_says_what_can_be_kept() {
    let house = House::start().await;
    for (key, value, said) in [
        ("cache.tools.create_note", "10s", "it writes"),
        ("cache.tools.search_contacts", "6m", "longer than 5m"),
        ("cache.tools.unknown", "10s", "there is no such tool"),
    ] {
        let checked = house.command_with(&["check"], |setup| {
            setup.set(key, value);
        });
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(64), "{told}");
        assert!(told.contains(said), "{told}");
    }
}
