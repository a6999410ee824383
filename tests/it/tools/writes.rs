//! The tools that write records and change them.

use serde_json::{Value, json};

use super::open_house;
use crate::house::{DASHBOARD, House};

async fn first(house: &House, module: &str, condition: &str) -> String {
    house.zoho.ids(module, condition).await.remove(0)
}

/// A record as the CRM has it.
async fn row(house: &House, module: &str, fields: &str, id: &Value) -> Value {
    let id = id.as_str().unwrap();
    let query = format!("select {fields} from {module} where id = {id}");
    house.zoho.coql(&query).await.remove(0)
}

#[tokio::test]
async fn a_task_goes_onto_each_kind_of_record_and_is_completed() {
    let (house, agent) = open_house().await;
    for module in ["Contacts", "Accounts", "Leads", "Deals"] {
        let id = first(&house, module, "id is not null").await;
        let task = json!({ "record_id": id, "module": module, "subject": "Send the offer",
            "due_date": "2031-02-03", "priority": "High", "description": "two\nlines" });
        let made = agent.call("create_task", task).await.content();
        assert_eq!(made["outcome"], "created", "{made}");
        let fields = "Subject, Due_Date, Priority, Status, Who_Id, What_Id";
        let written = row(&house, "Tasks", fields, &made["recordId"]).await;
        let link = if module == "Contacts" {
            "Who_Id"
        } else {
            "What_Id"
        };
        assert_eq!(written[link]["id"], id, "{module}: {written}");
        assert_eq!(
            (
                &written["Due_Date"],
                &written["Priority"],
                &written["Status"]
            ),
            (&json!("2031-02-03"), &json!("High"), &json!("Not Started"))
        );
        let done = json!({ "task_id": made["recordId"] });
        for outcome in ["updated", "unchanged"] {
            let told = agent.call("complete_task", done.clone()).await.content();
            assert_eq!(told["outcome"], outcome, "{told}");
        }
        let written = row(&house, "Tasks", "Status", &made["recordId"]).await;
        assert_eq!(written["Status"], "Completed");
    }
    assert_eq!(house.zoho.written("Tasks").await, 8);
}

#[tokio::test]
async fn a_call_is_logged_with_its_time_and_length() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Contacts", "id is not null").await;
    let call = |start: &str| {
        json!({ "record_id": id, "subject": "About the offer", "direction": "Outbound",
            "start_time": start, "duration_minutes": 90, "result": "Interested" })
    };
    let made = agent
        .call("log_call", call("2026-01-05T10:00:00+02:00"))
        .await;
    let made = made.content();
    let fields = "Call_Type, Call_Start_Time, Call_Duration_in_seconds, Who_Id, Call_Result";
    let written = row(&house, "Calls", fields, &made["recordId"]).await;
    assert_eq!(written["Call_Duration_in_seconds"], 5400, "{written}");
    assert_eq!(written["Who_Id"]["id"], id);
    let start: jiff::Timestamp = written["Call_Start_Time"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(start.to_string(), "2026-01-05T08:00:00Z");
    let told = agent
        .call("log_call", call("2090-01-05T10:00:00Z"))
        .await
        .failure();
    assert!(told.contains("it is in the future"), "{told}");
    let mut odd = call("2026-01-05T10:00:00Z");
    odd["result"] = json!("Bought everything");
    let told = agent.call("log_call", odd).await.failure();
    assert!(told.contains("this value of `result`"), "{told}");
    assert_eq!(house.zoho.written("Calls").await, 1);
}

#[tokio::test]
async fn a_deal_moves_to_a_stage_of_the_pipeline_and_says_where_it_was() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Deals", "Stage = 'Qualification'").await;
    let step = |stage: &str| json!({ "deal_id": id, "stage": stage });
    let mut shown = step("identify decision makers");
    shown["idempotency_key"] = json!("move-1");
    let moved = agent.call("update_deal_stage", shown.clone()).await;
    let moved = moved.content();
    assert_eq!(
        (&moved["outcome"], &moved["previousStage"]),
        (&json!("updated"), &json!("Qualification"))
    );
    let repeated = agent.call("update_deal_stage", shown).await.content();
    assert_eq!(
        (&moved["stage"], &repeated["stage"]),
        (&json!("Id. Decision Makers"), &json!("Id. Decision Makers"))
    );
    let written = row(&house, "Deals", "Stage, Probability", &json!(id)).await;
    assert_eq!(
        (&written["Stage"], &written["Probability"]),
        (&json!("Id. Decision Makers"), &json!(60))
    );
    let told = agent
        .call("update_deal_stage", step("Almost there"))
        .await
        .failure();
    assert!(told.contains("is no stage of a deal"), "{told}");
    assert!(told.contains("Qualification, Needs Analysis"), "{told}");
    let again = agent
        .call("update_deal_stage", step("Id. Decision Makers"))
        .await;
    assert_eq!(again.content()["outcome"], "unchanged");
    assert_eq!(house.zoho.written("Deals").await, 1);
}

#[tokio::test]
async fn a_deal_that_is_elsewhere_than_expected_stays_there() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Deals", "Stage = 'Needs Analysis'").await;
    let step = json!({ "deal_id": id, "stage": "Closed Won", "expected_stage": "Qualification" });
    let told = agent.call("update_deal_stage", step).await.failure();
    assert!(told.contains("is now \"Needs Analysis\""), "{told}");
    let line = house.event("tool_call_error").await;
    assert_eq!(line["error"], "stage_changed");
    assert_eq!(house.zoho.written("Deals").await, 0);
}

#[tokio::test]
async fn a_deal_that_somebody_else_moves_meanwhile_is_theirs() {
    let (house, agent) = open_house().await;
    let id = first(&house, "Deals", "Stage = 'Qualification'").await;
    // What the CRM says when the record was changed after it was read.
    let body = json!({ "data": [{ "code": "ALREADY_MODIFIED", "details": {}, "status": "error",
        "message": "record updated time has already passed if-unmodified-since time" }] });
    let fault = json!({ "fault": "status", "status": 412, "path": format!("/crm/v8/Deals/{id}"),
        "method": "PUT", "body": body, "times": 1 });
    house.zoho.fault(fault).await;
    let step = json!({ "deal_id": id, "stage": "Closed Won" });
    let told = agent
        .call("update_deal_stage", step.clone())
        .await
        .failure();
    assert!(told.contains("is now \"Qualification\""), "{told}");
    assert_eq!(house.zoho.written("Deals").await, 0);
    let moved = agent.call("update_deal_stage", step).await.content();
    assert_eq!(moved["outcome"], "updated");
}

#[tokio::test]
async fn only_the_fields_that_are_given_change() {
    let (house, agent) = open_house().await;
    let fields = "First_Name, Last_Name, Email, Phone, Title, Department, Owner";
    let id = first(&house, "Contacts", "Phone is not null").await;
    let before = row(&house, "Contacts", fields, &json!(id)).await;
    let update =
        json!({ "contact_id": id, "title": "Chief \u{202e}Engineer", "department": "R&D" });
    let told = agent.call("update_contact", update.clone()).await.content();
    assert_eq!(
        (&told["outcome"], &told["recordId"]),
        (&json!("updated"), &json!(id))
    );
    let mut expected = before.clone();
    expected["Title"] = json!("Chief Engineer");
    expected["Department"] = json!("R&D");
    assert_eq!(row(&house, "Contacts", fields, &json!(id)).await, expected);
    let again = agent.call("update_contact", update).await.content();
    assert_eq!(again["outcome"], "unchanged");
    let nothing = agent
        .call("update_contact", json!({ "contact_id": id }))
        .await
        .failure();
    assert!(nothing.contains("nothing to change"), "{nothing}");
    let odd = json!({ "contact_id": id, "email": "nobody" });
    let told = agent.call("update_contact", odd).await.failure();
    assert!(told.contains("this value of `email`"), "{told}");
    assert_eq!(house.zoho.written("Contacts").await, 1);
}

#[tokio::test]
async fn a_field_that_zoho_hides_is_not_written() {
    let house = House::with(|setup| {
        super::everything_allowed(setup);
        setup.zoho_user("rep-1");
    })
    .await;
    let hidden = json!({ "hidden_fields": ["Contacts.Phone"] });
    house.zoho.set(hidden).await;
    let agent = house.agent(crate::house::SUPPORT);
    let found = agent
        .call("search_contacts", json!({ "query": "example", "limit": 1 }))
        .await
        .content();
    let id = &found["items"][0]["id"];
    let update = json!({ "contact_id": id, "phone": "+49 30 1234" });
    let told = agent.call("update_contact", update).await.failure();
    assert!(
        told.contains("`phone`") && told.contains("may not use"),
        "{told}"
    );
    assert_eq!(house.zoho.seen("PUT", "/crm/v8/Contacts").await, 0);
    let update = json!({ "contact_id": id, "title": "CTO" });
    agent.call("update_contact", update).await.content();
}

#[tokio::test]
async fn a_lead_is_added_and_a_second_one_tells_nothing_of_the_first() {
    let (house, agent) = open_house().await;
    house.zoho.set(json!({ "unique_email": true })).await;
    let lead = json!({ "last_name": "O'Neil \"Nell\"", "company": "Łódź & Sons", "first_name": "Ada",
        "email": "ada@nowhere.example", "lead_source": "Trade Show", "title": "CTO" });
    let made = agent.call("create_lead", lead.clone()).await.content();
    let fields = "Last_Name, Company, Email, Lead_Source, Designation";
    let written = row(&house, "Leads", fields, &made["recordId"]).await;
    assert_eq!(written["Last_Name"], lead["last_name"]);
    assert_eq!(written["Designation"], "CTO");
    let answer = agent.call("create_lead", lead.clone()).await;
    let told = answer.failure();
    assert!(told.contains("with this value already (`email`)"), "{told}");
    let first = made["recordId"].as_str().unwrap();
    for leak in [first, "ingrid", "Ingrid", "nowhere"] {
        assert!(!answer.text.contains(leak), "{leak}: {}", answer.text);
        assert!(!house.operational_log().contains(leak), "{leak}");
    }
    let mut odd = lead;
    (odd["email"], odd["lead_source"]) = (json!("other@nowhere.example"), json!("A dream"));
    let told = agent.call("create_lead", odd).await.failure();
    assert!(told.contains("this value of `lead_source`"), "{told}");
    assert_eq!(house.zoho.written("Leads").await, 1);
}

#[tokio::test]
async fn what_is_not_there_is_not_written() {
    let (house, agent) = open_house().await;
    let call = json!({ "record_id": "12345", "subject": "x", "direction": "Inbound",
        "start_time": "2026-01-05T10:00:00Z", "duration_minutes": 1 });
    for (tool, arguments) in [
        (
            "create_task",
            json!({ "record_id": "12345", "subject": "x" }),
        ),
        ("log_call", call),
        ("complete_task", json!({ "task_id": "6840217000009999999" })),
        (
            "update_deal_stage",
            json!({ "deal_id": "6840217000009999999", "stage": "Closed Won" }),
        ),
        (
            "update_contact",
            json!({ "contact_id": "6840217000009999999", "title": "x" }),
        ),
    ] {
        let told = agent.call(tool, arguments).await.failure();
        assert!(told.contains("Do not guess ids"), "{tool}: {told}");
    }
    // A record of another module is as little there.
    let lead = first(&house, "Leads", "id is not null").await;
    for module in ["Contacts", "Accounts", "Deals"] {
        let task = json!({ "record_id": lead, "module": module, "subject": "x" });
        let told = agent.call("create_task", task).await.failure();
        assert!(told.contains("Do not guess ids"), "{module}: {told}");
    }
    let asked = house.zoho.journal().await;
    let nothing = |entry: &Value| entry["committed"].as_array().is_none_or(Vec::is_empty);
    assert!(asked.iter().all(nothing), "{asked:?}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_zoho_hears_of_it() {
    let (house, agent) = open_house().await;
    let call = json!({ "record_id": "12345", "subject": "x", "direction": "Inbound",
        "start_time": "2026-01-05T10:00:00Z", "duration_minutes": 1 });
    let mut late = call.clone();
    late["start_time"] = json!("2026-02-30T10:00:00Z");
    let mut long = call;
    long["duration_minutes"] = json!(1441);
    for (tool, arguments, told) in [
        ("log_call", late, "names a date that does not exist"),
        ("log_call", long, "a whole number from 0 to 1440"),
        (
            "create_task",
            json!({ "record_id": "1" }),
            "`subject` is missing",
        ),
        (
            "create_task",
            json!({ "record_id": "1", "subject": "\u{200b}" }),
            "nothing visible",
        ),
        ("complete_task", json!({}), "`task_id` is missing"),
        (
            "create_lead",
            json!({ "last_name": "x" }),
            "`company` is missing",
        ),
        (
            "create_lead",
            json!({ "last_name": "x\\", "company": "x" }),
            "a backslash",
        ),
        (
            "update_contact",
            json!({ "contact_id": "1", "owner": "2" }),
            "unknown argument",
        ),
    ] {
        let failure = agent.call(tool, arguments).await.failure();
        assert!(failure.contains(told), "{tool}: {failure}");
    }
    let asked = house.zoho.journal().await;
    let nothing = |entry: &Value| entry["committed"].as_array().is_none_or(Vec::is_empty);
    assert!(asked.iter().all(nothing), "{asked:?}");
}

#[tokio::test]
async fn who_may_not_write_is_offered_no_tool_that_writes() {
    let house = House::with(|setup| {
        setup.set(
            "roles.dashboard.tools",
            r#"["get_dashboard_metrics", "create_task",
            "log_call", "complete_task", "update_deal_stage", "update_contact", "create_lead"]"#,
        );
    })
    .await;
    let agent = house.agent(DASHBOARD);
    assert_eq!(agent.tools().await, ["get_dashboard_metrics"]);
    for tool in ["create_task", "log_call", "complete_task", "update_contact"] {
        let told = agent.call(tool, json!({})).await.failure();
        assert!(told.contains("is not permitted for this client"), "{told}");
    }
}
