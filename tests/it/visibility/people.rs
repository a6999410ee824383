//! The CRM users behind callers: who has none is told what to do, and nothing is asked for them.

use serde_json::json;

use super::{house_of, works_for};
use crate::{
    house::{DASHBOARD, House, MANAGER, REP, REPORTING, SUPPORT, command},
    pair::{pair, sharing},
    redis::Redis,
    shared_token::{minted, revoke},
    tools::everything_allowed,
};

const ANY: &str = "search_contacts";

fn times_taken(house: &House) -> usize {
    let taken = |line: &&serde_json::Value| line["policy"] == "zoho.user_credentials";
    house.events("config_reload").iter().filter(taken).count()
}

/// Waits until people's credentials were read again so many times.
async fn taken(house: &House, times: usize) {
    let read = house.recorded("people's credentials", |_| times_taken(house) >= times);
    read.await;
}

#[tokio::test]
async fn who_has_no_credential_is_told_what_to_do_and_can_be_added_without_a_restart() {
    let (house, agent) = house_of(REP, "user_token").await;
    let people = house.zoho.people();
    std::fs::write(house.file("users.json"), "{}").unwrap();
    house.signal("-HUP");
    taken(&house, 1).await;
    let search = json!({ "email": "example" });
    let said = agent.call(ANY, search.clone()).await.failure();
    assert!(
        said.contains("refresh token") && said.contains("operator"),
        "{said}"
    );
    house
        .recorded("a failure", |line| line["error"] == "zoho_user")
        .await;
    assert_eq!(house.zoho.seen("GET", "/crm/v8/Contacts").await, 0);
    let before = times_taken(&house);
    std::fs::write(house.file("users.json"), people.to_string()).unwrap();
    house.signal("-HUP");
    taken(&house, before + 1).await;
    let found = agent.call(ANY, search).await.content();
    assert!(found["count"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_credential_of_somebody_else_is_not_used() {
    let (house, agent) = house_of(REP, "user_token").await;
    let mut people = house.zoho.people();
    people[REP]["refresh_token"] = house.zoho.refresh_tokens["admin"].clone();
    std::fs::write(house.file("users.json"), people.to_string()).unwrap();
    house.signal("-HUP");
    taken(&house, 1).await;
    let said = agent
        .call(ANY, json!({ "email": "example" }))
        .await
        .failure();
    assert!(said.contains("belongs to somebody else"), "{said}");
    assert_eq!(house.zoho.seen("GET", "/crm/v8/Contacts").await, 0);
}

#[tokio::test]
async fn a_refresh_token_that_people_and_the_daemon_share_is_shown_ten_times_by_all_together() {
    let house = House::with(|setup| {
        works_for(setup, REP, "user_token");
        setup.zoho_user("rep-1");
        setup.set("clients.reporting-agent.visibility", "user_token");
        setup.set("clients.reporting-agent.owner", MANAGER);
    })
    .await;
    let mut people = house.zoho.people();
    people[MANAGER] = people[REP].clone();
    std::fs::write(house.file("users.json"), people.to_string()).unwrap();
    house.signal("-HUP");
    taken(&house, 1).await;
    let search = json!({ "email": "example" });
    let calls = [
        (house.agent(SUPPORT), ANY, search.clone()),
        (house.agent(REPORTING), ANY, search),
        (house.agent(DASHBOARD), "get_dashboard_metrics", json!({})),
    ];
    for (agent, tool, arguments) in calls.iter().cycle().take(30) {
        revoke(&house.zoho).await;
        agent.call(tool, arguments.clone()).await;
        house.zoho.mend().await;
    }
    for (agent, tool, arguments) in &calls {
        let said = agent.call(tool, arguments.clone()).await.failure();
        assert!(said.contains("too many access tokens"), "{tool}: {said}");
    }
    assert_eq!(house.zoho.seen("POST", "/oauth").await, 10);
}

#[tokio::test]
async fn a_refresh_token_that_is_a_persons_and_the_daemons_has_one_access_token_on_all_instances() {
    let redis = Redis::start();
    let houses = pair(&redis, |setup| {
        sharing(setup);
        works_for(setup, REP, "user_token");
        setup.zoho_user("rep-1");
    })
    .await;
    let as_person = houses[0].agent(SUPPORT);
    let search = json!({ "email": "example" });
    as_person.call(ANY, search).await.content();
    let as_daemon = houses[1].agent(DASHBOARD);
    let figures = as_daemon.call("get_dashboard_metrics", json!({})).await;
    figures.content();
    assert_eq!(minted(&houses[0].zoho).await, 1);
}

#[tokio::test]
async fn a_revoked_consent_is_that_users_matter_alone() {
    let (house, agent) = house_of(REP, "user_token").await;
    let token = house.zoho.refresh_tokens["rep-1"].as_str().unwrap();
    let url = format!("{}/oauth/v2/token/revoke?token={token}", house.zoho.url);
    let revoked = house.zoho.http.post(url).send().await.unwrap();
    assert!(revoked.status().is_success());
    let said = agent
        .call(ANY, json!({ "email": "example" }))
        .await
        .failure();
    assert!(said.contains("consent"), "{said}");
    let health = agent.get("/health").await.json();
    assert_eq!(health["checks"]["zoho_api"]["status"], "ok", "{health}");
}

#[tokio::test]
async fn a_user_who_is_not_in_the_crm_sees_nothing() {
    let (house, agent) = house_of("nobody@tallowmere.example", "owner").await;
    for (tool, arguments) in [
        (ANY, json!({ "email": "example" })),
        ("get_deal_summary", json!({})),
        ("get_dashboard_metrics", json!({})),
    ] {
        let said = agent.call(tool, arguments).await.failure();
        assert!(said.contains("does not exist or is not active"), "{said}");
    }
    assert_eq!(house.zoho.seen("POST", "/crm/v8/coql").await, 0);
    assert_eq!(house.zoho.seen("GET", "/crm/v8/Contacts").await, 0);
}

#[tokio::test]
async fn a_check_finds_the_crm_users_that_clients_work_for() {
    let (house, _) = house_of(REP, "org").await;
    let zoho = &house.zoho.url;
    for (way, owner, known) in [
        ("owner", MANAGER, true),
        ("owner", "nobody@tallowmere.example", false),
        ("user_token", REP, true),
        ("user_token", "nobody@tallowmere.example", false),
    ] {
        let config = format!(
            "[zoho]\naccounts_url = '{zoho}'\napi_url = '{zoho}'\nuser_credentials = 'file:users.json'\n\
             [roles.r]\ntools = ['search_contacts']\nmax_records_per_query = 1\n\
             [clients.c]\nrole = 'r'\nvisibility = '{way}'\nowner = '{owner}'\n"
        );
        let file = house.file("check.toml");
        std::fs::write(&file, config).unwrap();
        let checked = command(&["check", "--online", "--config", file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.success(), known, "{way} {owner}: {said}");
        assert_eq!(said.contains("clients.c.owner"), !known, "{said}");
    }
}

#[tokio::test]
async fn a_change_of_visibility_holds_for_the_next_call() {
    let house = House::with(|setup| {
        everything_allowed(setup);
        setup.config("# nothing yet\n");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let deals = json!({ "filters": { "status": "all" } });
    let count = async || {
        let found = agent
            .call("get_deal_summary", deals.clone())
            .await
            .content();
        found["totals"]["deals"].as_u64().unwrap()
    };
    let all = count().await;
    let to = format!("role = \"customer-service\"\nvisibility = \"owner\"\nowner = \"{MANAGER}\"");
    house.reconfigure("role = \"customer-service\"", &to).await;
    let team = count().await;
    assert!((1..all).contains(&team), "{team} of {all}");
    house.reconfigure(MANAGER, REP).await;
    assert!((1..team).contains(&count().await));
}

#[tokio::test]
async fn a_client_for_people_shows_no_tools_to_a_caller_who_is_none() {
    let house = House::with(|setup| {
        works_for(setup, REP, "user_token");
        setup.unset("clients.customer-service-agent.owner");
    })
    .await;
    let agent = house.agent(SUPPORT);
    assert!(agent.tools().await.is_empty());
    let said = agent
        .call(ANY, json!({ "email": "example" }))
        .await
        .failure();
    assert!(said.contains("not permitted"), "{said}");
    let denied = house.event("tool_access_denied").await;
    assert_eq!(denied["reason"], "no_user");
}
