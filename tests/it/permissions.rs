//! What a caller may touch.

use serde_json::{Value, json};

use crate::house::{DASHBOARD, House, REPORTING, SUPPORT};

const CLIENTS: [&str; 3] = [SUPPORT, REPORTING, DASHBOARD];
const TOOLS: [&str; 6] = [
    "create_note",
    "get_contact_history",
    "get_dashboard_metrics",
    "get_deal_summary",
    "get_revenue_report",
    "search_contacts",
];

/// Arguments with which a tool succeeds.
async fn arguments(house: &House, tool: &str) -> Value {
    let contact = house.zoho.ids("Contacts", "id is not null").await.remove(0);
    match tool {
        "create_note" => json!({ "record_id": contact, "content": "x" }),
        "get_contact_history" => json!({ "contact_id": contact }),
        "search_contacts" => json!({ "email": "example", "limit": 200 }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn what_is_listed_can_be_called_and_nothing_else() {
    let house = House::start().await;
    let (mut called, mut denied) = (0, 0);
    for client in CLIENTS {
        let agent = house.agent(client);
        let listed = agent.tools().await;
        for tool in TOOLS {
            let answer = agent.call(tool, arguments(&house, tool).await).await;
            if listed.iter().any(|name| name == tool) {
                answer.content();
                called += 1;
            } else {
                let told = answer.failure();
                assert_eq!(
                    told,
                    format!("Tool '{tool}' is not permitted for this client")
                );
                let line = |line: &Value| {
                    line["event"] == "tool_access_denied"
                        && (&line["clientId"], &line["toolName"]) == (&json!(client), &json!(tool))
                };
                house.recorded("the denial", line).await;
                denied += 1;
            }
        }
    }
    assert_eq!((called, denied), (7, 11));
    assert_eq!(house.events("tool_call_start").len(), 7);
    assert_eq!(house.zoho.notes_written().await, 1);
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_said_not_to_and_its_name_is_not_logged() {
    let house = House::start().await;
    for name in [
        "drop_tables",
        "SEARCH_CONTACTS",
        "search_contacts ",
        "",
        "Anna Canary",
    ] {
        let answer = house.agent(SUPPORT).call(name, json!({})).await;
        assert!(
            answer.text.contains("error") && !answer.text.contains("Canary"),
            "{}",
            answer.text
        );
        assert_eq!(answer.code(), -32602, "{name:?}");
    }
    let line = house.event("tool_access_denied").await;
    assert_eq!(
        (&line["reason"], &line["toolName"]),
        (&json!("unknown_tool"), &Value::Null)
    );
    assert!(!house.audit_text().concat().contains("Canary"));
}

#[tokio::test]
async fn the_roles_ceiling_bounds_what_is_asked_of_zoho_and_what_comes_back() {
    let house = House::with(|setup| {
        setup.set("roles.customer-service.max_records_per_query", "3");
        setup.set("roles.reporting.max_records_per_query", "2");
    })
    .await;
    let contact = busy_contact(&house).await;
    let (support, reporting) = (house.agent(SUPPORT), house.agent(REPORTING));
    let kinds = json!(["notes", "deals", "tasks", "calls", "events", "emails"]);
    for (agent, tool, arguments, ceiling) in [
        (
            &support,
            "search_contacts",
            json!({ "email": "example", "limit": 200 }),
            3,
        ),
        (
            &support,
            "search_contacts",
            json!({ "email": "example" }),
            3,
        ),
        (
            &support,
            "get_contact_history",
            json!({ "contact_id": contact, "types": kinds, "limit": 200 }),
            3,
        ),
        (
            &reporting,
            "search_contacts",
            json!({ "email": "example", "limit": 200 }),
            2,
        ),
        (&reporting, "get_deal_summary", json!({ "limit": 200 }), 2),
    ] {
        let before = house.zoho.asked().await.len();
        let answer = agent.call(tool, arguments).await;
        let content = answer.content();
        let rows = content["items"].as_array().unwrap().len() as u64;
        assert!(rows <= ceiling, "{tool}: {rows}");
        assert_eq!(content["limitedTo"], ceiling, "{tool}: {content}");
        assert!(
            answer.text.contains(&format!("role allows {ceiling} rows")),
            "{}",
            answer.text
        );
        for entry in house.zoho.asked().await.split_off(before) {
            assert_bounded(&entry, ceiling);
        }
    }
    let few = json!({ "email": "example", "limit": 2 });
    let content = support.call("search_contacts", few).await.content();
    assert_eq!(
        (&content["count"], &content["limitedTo"]),
        (&json!(2), &Value::Null)
    );
}

async fn busy_contact(house: &House) -> String {
    let query = "select Who_Id, COUNT(id) from Tasks where Who_Id is not null \
                 group by Who_Id order by COUNT(id) desc limit 0, 1";
    let rows = house.zoho.coql(query).await;
    let id = rows[0]["Who_Id"]["id"].as_str().unwrap();
    for n in 0..4 {
        house
            .zoho
            .note("Contacts", id, &format!("{n}"), "text")
            .await;
    }
    id.to_owned()
}

/// Lists of records are no longer than the ceiling; sums, single records and names are no lists.
fn assert_bounded(entry: &Value, ceiling: u64) {
    let query = entry["query"].as_str().unwrap_or_default();
    let sizes = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("per_page="));
    for size in sizes {
        let users = entry["path"].as_str().unwrap().ends_with("/users");
        assert!(users || size.parse::<u64>().unwrap() <= ceiling, "{entry}");
    }
    let coql = entry["coql"].as_str().unwrap_or_default();
    if !coql.contains("SUM(") && !coql.contains(" id in (") && !coql.is_empty() {
        let limit = coql.rsplit(", ").next().unwrap();
        assert!(limit.parse::<u64>().unwrap() <= ceiling, "{coql}");
    }
}

#[tokio::test]
async fn paging_goes_on_within_the_ceiling() {
    let house = House::with(|setup| {
        setup.set("roles.customer-service.max_records_per_query", "4");
    })
    .await;
    let agent = house.agent(SUPPORT);
    let mut seen = std::collections::BTreeSet::new();
    let mut arguments = json!({ "email": "example", "limit": 50 });
    for _ in 0..3 {
        let page = agent
            .call("search_contacts", arguments.clone())
            .await
            .content();
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), 4);
        seen.extend(items.iter().map(|item| item["id"].to_string()));
        arguments["cursor"] = page["cursor"].clone();
    }
    assert_eq!(seen.len(), 12, "a contact came twice");
}

#[tokio::test]
async fn without_the_right_to_write_a_tool_that_writes_is_neither_shown_nor_called() {
    let house = House::with(|setup| {
        setup.set("roles.customer-service.allow_write", "false");
    })
    .await;
    let agent = house.agent(SUPPORT);
    assert_eq!(
        agent.tools().await,
        ["get_contact_history", "search_contacts"]
    );
    let note = arguments(&house, "create_note").await;
    let told = agent.call("create_note", note).await.failure();
    assert_eq!(told, "Tool 'create_note' is not permitted for this client");
    let line = house.event("tool_access_denied").await;
    assert_eq!(line["reason"], "write_not_allowed");
    assert_eq!(house.zoho.notes_written().await, 0);
    let warned = "roles.customer-service: create_note writes";
    assert!(
        house.operational_log().contains(warned),
        "{}",
        house.operational_log()
    );
}

#[tokio::test]
async fn another_role_holds_at_once_also_on_an_open_stream() {
    let house = House::start().await;
    let agent = house.agent(SUPPORT);
    let mut stream = agent.stream().await;
    stream.initialize().await;
    assert!(agent.tools().await.contains(&"create_note".to_owned()));
    house
        .reconfigure("role = \"customer-service\"", "role = \"dashboard\"")
        .await;
    assert_eq!(agent.tools().await, ["get_dashboard_metrics"]);
    let note = arguments(&house, "create_note").await;
    let told = agent.call("create_note", note.clone()).await.failure();
    assert!(told.contains("not permitted"), "{told}");
    let told = stream.call(1, "create_note", note).await;
    assert_eq!(told["result"]["isError"], true, "{told}");
    agent
        .call("get_dashboard_metrics", json!({}))
        .await
        .content();
    let line = |line: &Value| line["event"] == "tool_call_start" && line["role"] == "dashboard";
    house.recorded("the new role", line).await;
    assert_eq!(house.zoho.notes_written().await, 0);
}

#[tokio::test]
async fn a_client_that_is_gone_from_the_configuration_is_nobody() {
    let house = House::start().await;
    let agent = house.agent(DASHBOARD);
    assert_eq!(agent.tools().await, ["get_dashboard_metrics"]);
    house
        .reconfigure("[clients.readonly-dashboard]", "[clients.somebody-else]")
        .await;
    let answer = agent.list().await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.text),
        (401, r#"{"error":"Invalid API key"}"#)
    );
    let line = house.event("auth_failed").await;
    assert!(
        line["reason"].as_str().unwrap().contains("client"),
        "{line}"
    );
    // The others go on.
    assert_eq!(house.agent(SUPPORT).tools().await.len(), 3);
}
