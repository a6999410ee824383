//! A caller who may not see everything: nothing that is not theirs comes back, and nothing tells
//! whether it exists. Checked against the CRM, asked as its administrator.

mod people;
mod writes;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    house::{House, MANAGER, REP, SUPPORT, Setup},
    tools::{all_pages, everything_allowed, ids},
};

/// The three ways in which a caller is kept to what the representative may see.
const WAYS: [&str; 3] = ["org", "owner", "user_token"];

/// The house of one user of the CRM, by the way that it is kept to their records.
async fn house_of(user: &str, way: &str) -> (House, Agent) {
    let house = House::with(|setup| {
        everything_allowed(setup);
        works_for(setup, user, way);
    })
    .await;
    let agent = house.agent(SUPPORT);
    (house, agent)
}

pub(crate) fn works_for(setup: &mut Setup, user: &str, way: &str) {
    if way == "org" {
        // All that the daemon's own user sees, who is the representative here.
        setup.zoho_user(if user == REP { "rep-1" } else { "manager" });
        return;
    }
    setup.set("zoho.user_credentials", "file:users.json");
    setup.set("clients.customer-service-agent.visibility", way);
    setup.set("clients.customer-service-agent.owner", user);
}

/// The id of a user of the CRM.
async fn user(house: &House, email: &str) -> String {
    let query = format!("select Owner from Contacts where Owner.email = '{email}' limit 0, 1");
    let found = house.zoho.coql(&query).await;
    found[0]["Owner"]["id"].as_str().unwrap().to_owned()
}

/// A record of that module that belongs to somebody else.
async fn foreign(house: &House, module: &str) -> String {
    let rep = user(house, REP).await;
    let found = house.zoho.ids(module, &format!("Owner != '{rep}'")).await;
    found[0].clone()
}

const NOWHERE: &str = "6840217000009999999";

/// Every argument of every tool that takes an id.
async fn probes(house: &House) -> Vec<(&'static str, Value, &'static str)> {
    let mut probes = Vec::new();
    let (contact, deal) = (
        foreign(house, "Contacts").await,
        foreign(house, "Deals").await,
    );
    let (account, lead) = (
        foreign(house, "Accounts").await,
        foreign(house, "Leads").await,
    );
    let everything = ["notes", "deals", "tasks", "calls", "events", "emails"];
    for kind in everything {
        let arguments = json!({ "contact_id": contact, "types": [kind] });
        probes.push(("get_contact_history", arguments, "/contact_id"));
    }
    probes.push((
        "get_contact_history",
        json!({ "contact_id": contact, "since": "2020-01-01", "limit": 1 }),
        "/contact_id",
    ));
    probes.push(("get_deal_summary", json!({ "deal_id": deal }), "/deal_id"));
    reads(house, &contact, &account, &mut probes).await;
    for status in ["open", "won", "lost", "all"] {
        let owner = user(house, "jonas@tallowmere.example").await;
        let filters = json!({ "filters": { "owner_id": owner, "status": status } });
        probes.push(("get_deal_summary", filters, "/filters/owner_id"));
        let filters = json!({ "filters": { "account_id": account, "status": status } });
        probes.push(("get_deal_summary", filters, "/filters/account_id"));
    }
    for (module, id) in [
        ("Contacts", &contact),
        ("Deals", &deal),
        ("Accounts", &account),
        ("Leads", &lead),
    ] {
        let note = json!({ "module": module, "record_id": id, "content": "x" });
        probes.push(("create_note", note.clone(), "/record_id"));
        let mut keyed = note;
        keyed["idempotency_key"] = json!(format!("k-{module}"));
        probes.push(("create_note", keyed, "/record_id"));
        let task = json!({ "module": module, "record_id": id, "subject": "x" });
        probes.push(("create_task", task, "/record_id"));
        let call = json!({ "module": module, "record_id": id, "subject": "x",
            "direction": "Inbound", "start_time": "2026-01-05T10:00:00Z", "duration_minutes": 1 });
        probes.push(("log_call", call, "/record_id"));
    }
    let task = foreign(house, "Tasks").await;
    probes.push(("complete_task", json!({ "task_id": task }), "/task_id"));
    let step = json!({ "deal_id": deal, "stage": "Closed Won" });
    probes.push(("update_deal_stage", step, "/deal_id"));
    let update = json!({ "contact_id": contact, "title": "x" });
    probes.push(("update_contact", update, "/contact_id"));
    probes
}

/// The tools that only read, of one record or of an owner's.
async fn reads(
    house: &House,
    contact: &str,
    account: &str,
    probes: &mut Vec<(&'static str, Value, &'static str)>,
) {
    probes.push((
        "get_contact",
        json!({ "contact_id": contact }),
        "/contact_id",
    ));
    probes.push((
        "get_account_360",
        json!({ "account_id": account }),
        "/account_id",
    ));
    let other = user(house, "jonas@tallowmere.example").await;
    for tool in [
        "get_pipeline",
        "get_forecast",
        "get_stale_deals",
        "list_activities",
    ] {
        probes.push((tool, json!({ "owner_id": other }), "/owner_id"));
    }
    let filters = json!({ "filters": { "owner_id": other, "status": "all" } });
    probes.push(("list_deals", filters, "/filters/owner_id"));
    for module in ["Contacts", "Accounts", "Leads", "Deals", "Tasks"] {
        let owned = json!({ "field": "Owner", "is": "equal", "value": other });
        let arguments = json!({ "module": module, "conditions": [owned] });
        probes.push(("count_records", arguments, "/conditions/0/value"));
    }
}

/// What came back, apart from the id that was asked about and the time.
fn shape(answer: &Value, id: &str) -> Value {
    let mut answer = answer.clone();
    if answer["structuredContent"].is_object() {
        answer["structuredContent"]["asOf"] = json!(null);
    }
    let text = answer.to_string().replace(id, "ID");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn what_is_not_visible_answers_like_what_does_not_exist_through_every_tool() {
    for way in WAYS {
        let (house, agent) = house_of(REP, way).await;
        for (tool, arguments, place) in probes(&house).await {
            let mut missing = arguments.clone();
            let hidden = arguments.pointer(place).unwrap().as_str().unwrap();
            *missing.pointer_mut(place).unwrap() = json!(NOWHERE);
            if missing["idempotency_key"].is_string() {
                missing["idempotency_key"] = json!("another");
            }
            let found = agent.call(tool, arguments.clone()).await.result();
            let absent = agent.call(tool, missing).await.result();
            let (found, absent) = (shape(&found, hidden), shape(&absent, NOWHERE));
            assert_eq!(found, absent, "{way}: {tool} {arguments}");
            let items = &found["structuredContent"]["items"];
            let empty = items.as_array().is_none_or(Vec::is_empty);
            assert!(empty, "{way}: {tool} {arguments}: {found}");
        }
        assert_eq!(house.zoho.notes_written().await, 0, "{way}");
    }
}

#[tokio::test]
async fn every_search_and_list_has_the_own_records_and_no_other() {
    for way in WAYS {
        let (house, agent) = house_of(REP, way).await;
        let rep = user(&house, REP).await;
        let own: BTreeSet<String> = set(house
            .zoho
            .ids("Contacts", &format!("Owner = '{rep}'"))
            .await);
        for (argument, value, condition) in [
            ("email", "example", "Email like '%example%'"),
            (
                "name",
                "An",
                "Last_Name like 'An%' or First_Name like 'An%'",
            ),
            ("phone", "555", "Phone like '%555%' or Mobile like '%555%'"),
        ] {
            let arguments = json!({ argument: value, "limit": 7 });
            let found = all_pages(&agent, "search_contacts", &arguments).await;
            let found = ids_of(&found);
            assert!(found.is_subset(&own), "{way} {argument}");
            let condition = format!("(Owner = '{rep}' and ({condition}))");
            let known = set(house.zoho.ids("Contacts", &condition).await);
            if argument == "phone" {
                assert!(known.is_subset(&found), "{way} {argument}");
            } else {
                assert_eq!(found, known, "{way} {argument}");
            }
        }
        for (tool, module) in [("search_accounts", "Accounts"), ("search_leads", "Leads")] {
            let own = set(house.zoho.ids(module, &format!("Owner = '{rep}'")).await);
            let found = all_pages(&agent, tool, &json!({ "phone": "555", "limit": 7 })).await;
            assert!(ids_of(&found).is_subset(&own), "{way} {tool}");
            let counted = json!({ "module": module });
            let counted = agent.call("count_records", counted).await.content();
            assert_eq!(counted["count"], own.len(), "{way} {module}");
        }
        let arguments = json!({ "filters": { "status": "all" }, "limit": 50 });
        let deals = ids_of(&all_pages(&agent, "list_deals", &arguments).await);
        let known = format!("Owner = '{rep}'");
        assert_eq!(deals, set(house.zoho.ids("Deals", &known).await), "{way}");
        let deals = ids_of(&all_pages(&agent, "get_deal_summary", &arguments).await);
        let known = format!("Owner = '{rep}'");
        assert_eq!(deals, set(house.zoho.ids("Deals", &known).await), "{way}");
    }
}

#[tokio::test]
async fn figures_are_those_of_the_team_and_of_nobody_else() {
    for way in WAYS {
        let (house, agent) = house_of(MANAGER, way).await;
        let mut team = Vec::new();
        for name in ["priya", "yuki", "callum", "nadia"] {
            team.push(user(&house, &format!("{name}@tallowmere.example")).await);
        }
        let owners = format!("Owner in ('{}')", team.join("', '"));
        let sum = |what: &str, status: &str| {
            format!("select {what} from Deals where ({owners} and Stage {status})")
        };
        let open = "not in ('Closed Won', 'Closed Lost', 'Closed-Lost to Competition')";
        let filters = json!({ "filters": { "status": "open" } });
        let found = agent.call("get_deal_summary", filters).await.content();
        let known = house.zoho.number(&sum("SUM(Amount)", open)).await;
        crate::tools::assert_close(&found["totals"]["amount"], known, way);
        let ever = json!({ "period": "2024-01-01..2028-12-31", "group_by": "owner" });
        let report = agent.call("get_revenue_report", ever).await.content();
        let won = house
            .zoho
            .number(&sum("SUM(Amount)", "= 'Closed Won'"))
            .await;
        assert!(won > 0.0);
        crate::tools::assert_close(&report["revenue"], won, way);
        let metrics = agent
            .call("get_dashboard_metrics", json!({}))
            .await
            .content();
        let tasks = metrics["overdueTasks"].as_f64().unwrap();
        let today = metrics["asOf"].as_str().unwrap().get(..10).unwrap();
        let query = format!(
            "select COUNT(id) from Tasks where (({owners} and Status != 'Completed') and Due_Date < '{today}')"
        );
        let known = house.zoho.number(&query).await;
        assert!((tasks - known).abs() < 3.0, "{metrics} {known}");
    }
}

#[tokio::test]
async fn what_others_put_below_an_own_contact_stays_theirs_but_notes_are_shared() {
    for way in WAYS {
        let (house, agent) = house_of(REP, way).await;
        let rep = user(&house, REP).await;
        let own = house
            .zoho
            .ids("Contacts", &format!("Owner = '{rep}'"))
            .await;
        let task = json!({ "data": [{ "Subject": "Not theirs", "Who_Id": { "id": own[0] } }] });
        let added = house.zoho.crm("Tasks", &task).await.unwrap();
        assert_eq!(added["data"][0]["status"], "success", "{added}");
        house
            .zoho
            .note("Contacts", &own[0], "For all", "read me")
            .await;
        let history = json!({ "contact_id": own[0], "limit": 200 });
        let found = agent.call("get_contact_history", history).await;
        assert!(!found.text.contains("Not theirs"), "{way}: {}", found.text);
        assert!(found.text.contains("read me"), "{way}: {}", found.text);
    }
}

#[tokio::test]
async fn an_own_record_takes_a_note_once_by_the_right_user() {
    for way in WAYS {
        let (house, agent) = house_of(REP, way).await;
        let rep = user(&house, REP).await;
        for module in ["Contacts", "Accounts", "Deals", "Leads"] {
            let own = house.zoho.ids(module, &format!("Owner = '{rep}'")).await;
            let note = json!({ "module": module, "record_id": own[0], "content": "mine",
                               "idempotency_key": module });
            for outcome in ["created", "replayed"] {
                let written = agent.call("create_note", note.clone()).await.content();
                assert_eq!(written["outcome"], outcome, "{way} {module}");
            }
        }
        assert_eq!(house.zoho.notes_written().await, 4, "{way}");
        let asked = house.zoho.asked().await;
        let wrote = asked.iter().find(|entry| entry["path"] == "/crm/v8/Notes");
        let by = wrote.unwrap()["user"].as_str().unwrap();
        assert_eq!(by == REP, way != "owner", "{way}: {by}");
    }
}

fn set(ids: Vec<String>) -> BTreeSet<String> {
    ids.into_iter().collect()
}

fn ids_of(items: &[Value]) -> BTreeSet<String> {
    set(ids(&json!({ "items": items })))
}
