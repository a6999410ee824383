//! `count_records` and `describe_module`

use serde_json::{Value, json};

use super::open_house;

#[tokio::test]
async fn records_are_counted_as_the_crm_counts_them() {
    let (house, agent) = open_house().await;
    let is =
        |field: &str, is: &str, value: &str| json!({ "field": field, "is": is, "value": value });
    for (module, conditions, query) in [
        ("Contacts", json!([]), "id is not null"),
        (
            "Leads",
            json!([is("Lead_Status", "equal", "Contacted")]),
            "Lead_Status = 'Contacted'",
        ),
        (
            "Accounts",
            json!([is("account name", "starts_with", "B")]),
            "Account_Name like 'B%'",
        ),
        (
            "Deals",
            json!([
                is("Amount", "at_least", "50000"),
                is("Stage", "not_equal", "Closed Won")
            ]),
            "(Amount >= 50000 and Stage != 'Closed Won')",
        ),
        (
            "Deals",
            json!([is("Closing_Date", "less", "2026-06-01")]),
            "Closing_Date < '2026-06-01'",
        ),
        (
            "Contacts",
            json!([{ "field": "Email", "is": "empty" }]),
            "Email is null",
        ),
        (
            "Contacts",
            json!([is("Email_Opt_Out", "equal", "true")]),
            "Email_Opt_Out = true",
        ),
        (
            "Tasks",
            json!([is("Status", "equal", "Completed")]),
            "Status = 'Completed'",
        ),
    ] {
        let asked = json!({ "module": module, "conditions": conditions });
        let counted = agent.call("count_records", asked.clone()).await.content();
        let query = format!("select COUNT(id) from {module} where {query}");
        let known = house.zoho.number(&query).await;
        assert!(
            (counted["count"].as_f64().unwrap() - known).abs() < 0.5,
            "{asked}: {counted} {known}"
        );
    }
}

#[tokio::test]
async fn a_value_of_a_list_has_the_name_that_people_see_too() {
    let (house, agent) = open_house().await;
    for (is, value, query) in [
        ("equal", "identify Decision Makers", "="),
        ("not_equal", "Identify Decision Makers", "!="),
        ("equal", "id. decision makers", "="),
        ("starts_with", "identify Dec", "="),
        ("starts_with", "Id. Dec", "="),
    ] {
        let condition = json!({ "field": "Stage", "is": is, "value": value });
        let asked = json!({ "module": "Deals", "conditions": [condition] });
        let counted = agent.call("count_records", asked).await.content();
        let query =
            format!("select COUNT(id) from Deals where Stage {query} 'Id. Decision Makers'");
        let known = house.zoho.number(&query).await;
        assert!(known > 0.0, "{query}");
        let counted = counted["count"].as_f64().unwrap();
        assert!((counted - known).abs() < 0.5, "{value}: {counted} {known}");
    }
}

#[tokio::test]
async fn a_condition_that_cannot_be_says_what_could() {
    let (house, agent) = open_house().await;
    let condition = |field: &str, is: &str, value: Value| json!({ "module": "Deals", "conditions": [{ "field": field, "is": is, "value": value }] });
    for (arguments, problem) in [
        (condition("Colour", "equal", json!("red")), "no such field"),
        (
            condition("id is not null or Stage", "equal", json!("x")),
            "no such field",
        ),
        (
            condition("Amount", "equal", json!("much")),
            "takes a number",
        ),
        (condition("Amount", "starts_with", json!("5")), "only text"),
        (
            condition("Closing_Date", "less", json!("tomorrow")),
            "YYYY-MM-DD",
        ),
        (
            condition("Created_Time", "equal", json!("2026-01-01")),
            "a time takes",
        ),
        (condition("Owner", "equal", json!("Ann")), "a record's id"),
        (condition("Description", "equal", json!("x")), "long texts"),
        (
            condition("Stage", "equal", Value::Null),
            "a value is missing",
        ),
        (condition("Stage", "resembles", json!("x")), "one of equal"),
        (json!({ "module": "Users" }), "one of Contacts"),
        (
            json!({ "module": "Deals", "conditions": vec![json!({ "field": "Stage", "is": "empty" }); 11] }),
            "at most 10",
        ),
    ] {
        let told = agent
            .call("count_records", arguments.clone())
            .await
            .failure();
        assert!(told.contains(problem), "{arguments}: {told}");
    }
    let quote = condition(
        "Stage",
        "equal",
        json!("x' or id is not null or Stage = 'y"),
    );
    assert_eq!(
        agent.call("count_records", quote).await.content()["count"],
        0
    );
    assert_eq!(house.zoho.seen("GET", "/crm/v8/settings/fields").await, 1);
}

#[tokio::test]
async fn figures_that_cannot_be_read_are_not_told_as_zeros() {
    let (house, agent) = open_house().await;
    // Asked before: the organisation is not what fails.
    agent.call("get_pipeline", json!({})).await.content();
    for figure in [Value::Null, json!("x")] {
        let rows = json!({ "data": [{ "total": figure, "total_amount": figure,
            "total_deals": figure, "Stage": "Qualification", "Probability": 10 }] });
        let fault =
            json!({ "fault": "status", "path": "/crm/v8/coql", "status": 200, "body": rows });
        house.zoho.fault(fault).await;
        for (tool, asked) in [
            ("count_records", json!({ "module": "Contacts" })),
            ("get_pipeline", json!({})),
            ("get_forecast", json!({})),
            ("get_deal_summary", json!({})),
            ("get_revenue_report", json!({})),
            ("get_dashboard_metrics", json!({})),
        ] {
            let told = agent.call(tool, asked).await.failure();
            assert!(told.contains("Zoho"), "{tool}: {told}");
        }
        house.zoho.mend().await;
    }
}

#[tokio::test]
async fn a_module_is_described_with_what_its_lists_offer() {
    let (_house, agent) = open_house().await;
    let deals = agent
        .call("describe_module", json!({ "module": "Deals" }))
        .await;
    let told = deals.told();
    let stage = "- Stage: picklist, required, one of Qualification; Needs Analysis; ";
    assert!(told.contains(stage), "{told}");
    assert!(told.contains("Account_Name: lookup, of Accounts"), "{told}");
    let deals = deals.content();
    let fields = deals["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    let stage = field("Stage");
    assert_eq!(
        (&stage["type"], &stage["required"]),
        (&json!("picklist"), &json!(true))
    );
    assert_eq!(stage["values"][0], "Qualification");
    assert_eq!(stage["values"].as_array().unwrap().len(), 9);
    assert_eq!(field("Account_Name")["leadsTo"], "Accounts");
    assert_eq!(field("Expected_Revenue")["readOnly"], true);
    let one = json!({ "module": "Leads", "field": "lead_status" });
    let one = agent.call("describe_module", one).await.content();
    assert_eq!(one["fields"].as_array().unwrap().len(), 1);
    let told = agent.call(
        "describe_module",
        json!({ "module": "Leads", "field": "Colour" }),
    );
    assert!(told.await.failure().contains("no such field"));
}

#[tokio::test]
async fn a_value_that_no_query_can_hold_is_named() {
    let (_house, agent) = open_house().await;
    for (is, value) in [
        ("equal", r"Back\slash"),
        ("not_equal", r"Back\slash"),
        ("equal", r"a\"),
        ("starts_with", "5%"),
        ("starts_with", r"\"),
        ("starts_with", r"a\b"),
    ] {
        let condition = json!({ "field": "Last_Name", "is": is, "value": value });
        let asked = json!({ "module": "Contacts", "conditions": [condition] });
        let told = agent.call("count_records", asked).await.failure();
        assert!(told.contains("`conditions`: a value cannot"), "{told}");
    }
    let condition = json!({ "field": "Last_Name", "is": "equal", "value": "5%" });
    let asked = json!({ "module": "Contacts", "conditions": [condition] });
    let counted = agent.call("count_records", asked).await.content();
    assert_eq!(counted["count"], 0);
}
