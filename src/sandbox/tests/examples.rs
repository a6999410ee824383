//! Zoho's own examples of requests, as its documentation has them.

use super::{
    documented::{error, hold, read},
    *,
};

const NOWHERE: &str = "6840217000009999999";

fn in_data(problem: &Value) -> Value {
    json!({"data": [problem]})
}

#[tokio::test]
async fn zohos_own_records_are_taken() {
    let client = Client::new().await;
    let link = async |module: &str| json!({"id": client.first(module).await, "name": "x"});
    let (account, contact) = (link("Accounts").await, link("Contacts").await);
    let lead = json!({"Last_Name": "Boyle", "Company": "ABC Corp", "Website": "www.abc.com", "Rating": "Hot",
        "Lead_Source": "Web Download", "Lead_Status": "Not Contacted", "Industry": "Technology",
        "No_of_Employees": 250, "Annual_Revenue": 500_000, "Skype_ID": "patricia.boyle"});
    let firm = json!({"Account_Name": "Bentley Systems", "Account_Type": "Customer", "Ownership": "Private",
        "Industry": "Engineering", "Employees": 1200, "SIC_Code": "3827", "Parent_Account": account,
        "Tag": [{"name": "Enterprise"}]});
    let deal = json!({"Deal_Name": "Bentley Systems - Annual License Renewal", "Amount": 85_000,
        "Closing_Date": "2026-09-30", "Stage": "Negotiation/Review", "Type": "Existing Business",
        "Lead_Source": "Partner Referral", "Contact_Name": contact, "Pipeline": "Standard (Standard)"});
    let case = json!({"Subject": "Unable to export report as PDF", "Status": "In Progress", "Type": "Question",
        "Priority": "High", "Case_Origin": "Email", "Case_Reason": "Product Defect",
        "Comments": "Awaiting customer confirmation", "Product_Name": {"id": NOWHERE}});
    let event = json!({"Event_Title": "Renewal Contract Review", "All_day": false, "Who_Id": contact,
        "Start_DateTime": "2026-08-25T10:00:00-05:00", "End_DateTime": "2026-08-25T11:00:00-05:00",
        "Participants": [{"Email": "alice@mail.com", "type": "lead", "participant": NOWHERE}],
        "Remind_At": [{"unit": 15, "period": "minutes"}]});
    let call = json!({"Subject": "Discuss renewal pricing", "Call_Type": "Outbound", "Call_Duration": "00:20",
        "Call_Purpose": "Prospecting", "Call_Start_Time": "2026-01-20T10:00:00-05:00", "Call_Result": "Interested"});
    for (module, row) in [
        ("Leads", lead),
        ("Accounts", firm),
        ("Deals", deal),
        ("Cases", case),
        ("Events", event),
        ("Calls", call),
    ] {
        let rows = json!({"data": [row], "apply_feature_execution": [{"name": "layout_rules"}]});
        let path = format!("/crm/v8/{module}");
        let (status, told) = client.send("POST", &path, &rows).await;
        assert_eq!(status, 201, "{module}: {told}");
        let id = told["data"][0]["details"]["id"].as_str().unwrap();
        let (_, found) = client.get(&format!("{path}/{id}")).await;
        if module == "Accounts" {
            assert_eq!(found["data"][0]["SIC_Code"], 3827);
        }
    }
}

#[tokio::test]
async fn a_stage_that_the_pipeline_lacks_names_the_pipeline() {
    let client = Client::new().await;
    let id = client.first("Deals").await;
    let row = json!({"data": [{"Deal_Name": "D", "Stage": "Nope"}]});
    let details =
        json!({"mapped_field": "Pipeline", "api_name": "Stage", "json_path": "$.data[0].Stage"});
    let message = "Pipeline doesn't contain the Stage";
    let refused = in_data(&error("MAPPING_MISMATCH", details, message));
    let cases = vec![
        ("POST", "Deals".into(), row.clone(), 400, refused.clone()),
        ("PUT", format!("Deals/{id}"), row, 400, refused),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_time_with_parts_of_a_second_is_none_below_z() {
    let client = Client::new().await;
    let call = |time: &str| json!({"data": [{"Subject": "C", "Call_Type": "Outbound", "Call_Duration": "05:00", "Call_Start_Time": time}]});
    let path = "$.data[0].Call_Start_Time";
    let details =
        json!({"expected_data_type": "datetime", "api_name": "Call_Start_Time", "json_path": path});
    let refused = in_data(&error("INVALID_DATA", details, "invalid data"));
    let body = call("2026-05-14T10:00:00.761Z");
    let cases = vec![
        ("POST", "Calls".into(), body, 400, refused),
        (
            "POST",
            "Calls".into(),
            call("2026-05-14T10:00:00Z"),
            201,
            json!({}),
        ),
    ];
    hold(&client, cases).await;
    let since = |time: &str| format!("select id from Deals where Created_Time > '{time}' limit 1");
    let details = json!({"expected_data_type": "datetime", "column_name": "Created_Time"});
    let message = "value given seems to be invalid for the column";
    assert_eq!(
        client.coql(&since("2001-01-01T00:00:00.000Z")).await,
        (400, error("INVALID_QUERY", details, message))
    );
    assert_eq!(client.coql(&since("2001-01-01T00:00:00Z")).await.0, 200);
}

#[tokio::test]
async fn a_malformed_id_is_told_for_its_place() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let told = |place: u8, message: &str| {
        error(
            "INVALID_DATA",
            json!({"resource_path_index": place}),
            message,
        )
    };
    let related = told(1, "the related id given seems to be invalid");
    let listed = told(1, "The related id given seems to be invalid");
    let bad = |place| told(place, "the id given seems to be invalid");
    let counts = "Contacts/1/actions/get_related_records_count".to_owned();
    let locks = "Contacts/1/Locking_Information__s";
    let (none, row) = (|| Value::Null, json!({"data": [{}]}));
    let cases = vec![
        ("POST", counts, json!({}), 400, related.clone()),
        read(locks, 400, related.clone()),
        ("POST", locks.into(), row, 400, related.clone()),
        read("Contacts/1/Deals?fields=id", 400, listed),
        (
            "DELETE",
            format!("Contacts/{id}/Locking_Information__s/1"),
            none(),
            400,
            bad(3),
        ),
        read("users/1", 400, bad(1)),
        read("Contacts/1", 400, bad(2)),
        ("POST", "Contacts/1/Notes".into(), note("x"), 400, related),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn what_is_to_be_applied_is_something_that_there_is() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let rows = json!({"data": [{"Last_Name": "Pell"}],
        "apply_feature_execution": [{"name": "layout_rules"}, {"name": "nope"}]});
    let supported = [
        "layout_rules",
        "range_validation",
        "assignment_rules",
        "function_validation_rule",
        "criteria_validation_rule",
        "global_map_dependency",
        "territory_subordinates",
    ];
    let details = json!({"api_name": "name", "json_path": "$.apply_feature_execution[1].name", "supported_values": supported});
    let refused = in_data(&error("INVALID_DATA", details, "invalid data"));
    let put = format!("Contacts/{id}");
    let cases = [
        ("POST", "Contacts"),
        ("PUT", &put),
        ("POST", "Contacts/upsert"),
    ];
    let cases =
        cases.map(|(method, path)| (method, path.to_owned(), rows.clone(), 400, refused.clone()));
    hold(&client, cases.into()).await;
}

#[tokio::test]
async fn a_criterion_finds_records_by_the_names_of_others() {
    let client = Client::new().await;
    let query = "select Owner, Account_Name, Account_Name.Account_Name from Deals where \
                 Account_Name is not null limit 1";
    let (_, deal) = client.coql(query).await;
    let deal = &deal["data"][0];
    let name = deal["Account_Name.Account_Name"].as_str().unwrap();
    let (_, users) = client.get("/crm/v8/users").await;
    let owners = users["users"].as_array().unwrap().iter();
    let owner = owners
        .clone()
        .find(|user| user["id"] == deal["Owner"]["id"]);
    let owner = owner.unwrap()["full_name"].as_str().unwrap();
    let count = async |criterion: &str| {
        let path = format!("/crm/v8/Deals/actions/count?criteria=({criterion})");
        let (status, told) = client.get(&path).await;
        assert_eq!(status, 200, "{criterion}: {told}");
        told["count"].as_u64().unwrap()
    };
    for (field, name) in [("Account_Name", name), ("Owner", owner)] {
        let id = deal[field]["id"].as_str().unwrap();
        for operator in ["equals", "not_equal", "in"] {
            let by_name = count(&format!("{field}:{operator}:{name}")).await;
            let by_id = count(&format!("{field}:{operator}:{id}")).await;
            assert_eq!(by_name, by_id, "{field} {operator}");
            assert!(by_id > 0, "{field} {operator}");
        }
        let with = count(&format!("{field}:in:{name},Nobody At All")).await;
        assert_eq!(with, count(&format!("{field}:equals:{id}")).await);
        assert_eq!(count(&format!("{field}:equals:Nobody At All")).await, 0);
    }
}

#[tokio::test]
async fn a_list_is_counted_in_part() {
    let client = Client::new().await;
    let query = "select Account_Name, Stage from Deals where Account_Name is not null limit 1";
    let (_, deal) = client.coql(query).await;
    let deal = &deal["data"][0];
    let (account, stage) = (deal["Account_Name"]["id"].as_str().unwrap(), &deal["Stage"]);
    let path = format!("Accounts/{account}/actions/get_related_records_count");
    let asked = |list: &str, filters: Value| {
        json!({"get_related_records_count": [
            {"related_list": {"api_name": list}, "params": {"approved": true, "filters": filters}}]})
    };
    let is = |comparator: &str, value: &Value| json!({"comparator": comparator, "field": {"api_name": "Stage"}, "value": value});
    let below = format!("/crm/v8/Accounts/{account}/Deals?fields=Stage");
    let (_, below) = client.get(&below).await;
    let below = below["data"].as_array().unwrap();
    let fitting = below.iter().filter(|deal| deal["Stage"] == *stage).count();
    let group =
        json!({"group_operator": "or", "group": [is("equal", stage), is("not_equal", stage)]});
    let told = |count: usize| json!({"get_related_records_count": [{"count": count, "related_list": {"api_name": "Deals"}}]});
    let place = "$.get_related_records_count[0].params.filters";
    let details =
        json!({"expected_data_type": "json_type", "api_name": "filters", "json_path": place});
    let message = "Filters are not supported for this modules";
    let refused = json!({"get_related_records_count": [error("NOT_SUPPORTED", details, message)]});
    let unread = json!({"api_name": "filters", "json_path": place});
    let unread =
        json!({"get_related_records_count": [error("INVALID_DATA", unread, "invalid data")]});
    let cases = [
        (asked("Deals", is("equal", stage)), 200, told(fitting)),
        (
            asked("Deals", is("not_equal", stage)),
            200,
            told(below.len() - fitting),
        ),
        (asked("Deals", group), 200, told(below.len())),
        (asked("Attachments", is("equal", stage)), 400, refused),
        (asked("Deals", is("resembles", stage)), 400, unread),
    ];
    let cases = cases.map(|(body, status, told)| ("POST", path.clone(), body, status, told));
    hold(&client, cases.into()).await;
}

#[tokio::test]
async fn a_module_that_is_not_there_is_told_as_each_route_tells_it() {
    let client = Client::new().await;
    let message = "the module name given seems to be invalid";
    let unknown = |details| error("INVALID_MODULE", details, message);
    let missing = error(
        "REQUIRED_PARAM_MISSING",
        json!({"param_name": "module"}),
        "One of the expected parameter is missing",
    );
    let mut cases: Vec<_> = ["fields", "layouts", "custom_views"]
        .map(|name| {
            read(
                format!("settings/{name}?module=Foo"),
                400,
                unknown(json!({})),
            )
        })
        .into();
    let lists = unknown(json!({"param_name": "module"}));
    cases.push(read("settings/related_lists?module=Foo", 400, lists));
    cases.push(read("settings/layouts", 400, missing));
    let deleted = in_data(&unknown(json!({"resource_path_index": 0})));
    cases.push(read("Foo/deleted", 400, deleted));
    let second = unknown(json!({"resource_path_index": 1}));
    cases.push(read("Foo/actions/count", 400, second.clone()));
    cases.push(read("Foo/1/__timeline", 400, second));
    hold(&client, cases).await;
}

#[tokio::test]
async fn what_a_query_wants_told_is_a_text() {
    let client = Client::new().await;
    let asked = |meta: Value| {
        let body = json!({"select_query": "select id from Deals where id is not null", "include_meta": [meta]});
        ("POST", "coql".to_owned(), body)
    };
    let mut details = json!({"api_name": "include_meta", "json_path": "$.include_meta[0]", "supported_values": ["fields"]});
    let text = error("INVALID_DATA", details.clone(), "invalid data");
    details["expected_data_type"] = json!("text");
    let number = error("INVALID_DATA", details, "invalid data");
    let cases = [(json!("x"), text), (json!(5), number)];
    let cases = cases.map(|(meta, told)| {
        let (method, path, body) = asked(meta);
        (method, path, body, 400, told)
    });
    hold(&client, cases.into()).await;
}

#[tokio::test]
async fn a_note_is_read_changed_and_deleted_below_its_record() {
    let client = Client::new().await;
    let (id, other) = (client.first("Contacts").await, client.first("Deals").await);
    let path = format!("/crm/v8/Contacts/{id}/Notes");
    let (_, made) = client.send("POST", &path, &note("one")).await;
    let made = made["data"][0]["details"]["id"].as_str().unwrap();
    let one = format!("Contacts/{id}/Notes/{made}");
    let elsewhere = format!("Deals/{other}/Notes/{made}");
    let place = json!({"resource_path_index": 3});
    let bad = error("INVALID_DATA", place, "the id given seems to be invalid");
    let none = || Value::Null;
    let told = |message: &str| json!({"data": [{"message": message, "details": {"id": made}}]});
    let shown = |text: &str| json!({"data": [{"id": made, "Note_Content": text}]});
    let cases = vec![
        read(one.as_str(), 200, shown("one")),
        read(elsewhere.as_str(), 204, none()),
        ("PUT", elsewhere.clone(), note("two"), 400, bad.clone()),
        ("DELETE", elsewhere, none(), 400, bad),
        ("PUT", one.clone(), note("two"), 200, told("record updated")),
        read(one.as_str(), 200, shown("two")),
        ("DELETE", one.clone(), none(), 200, told("record deleted")),
        read(one, 204, none()),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn what_settings_list_is_read_one_by_one() {
    let client = Client::new().await;
    let (_, layouts) = client.get("/crm/v8/settings/layouts?module=Deals").await;
    let layout = layouts["layouts"][0]["id"].as_str().unwrap();
    for (list, key, query) in [
        ("fields", "fields", "module=Deals".to_owned()),
        ("layouts", "layouts", "module=Deals".to_owned()),
        ("custom_views", "custom_views", "module=Deals".to_owned()),
        ("pipeline", "pipeline", format!("layout_id={layout}")),
    ] {
        let path = format!("/crm/v8/settings/{list}");
        let (_, all) = client.get(&format!("{path}?{query}")).await;
        let last = all[key].as_array().unwrap().last().unwrap();
        let id = last["id"].as_str().unwrap();
        let (status, one) = client.get(&format!("{path}/{id}?{query}")).await;
        assert_eq!((status, &one[key]), (200, &json!([last])), "{list}");
        let unknown = client.get(&format!("{path}/{NOWHERE}?{query}")).await;
        assert_eq!(unknown.0, 204, "{list}");
        let path = format!("{path}/{id}");
        let (_, posted) = client.send("POST", &path, &json!({})).await;
        assert_eq!(posted["code"], "INVALID_REQUEST_METHOD", "{list}");
    }
}

#[tokio::test]
async fn related_lists_are_told_by_their_status_and_notes_without_calls() {
    let client = Client::new().await;
    let details = json!({"param_name": "status",
        "supported_values": ["visible", "user_hidden", "scheduled_for_deletion"]});
    let refused = error("INVALID_DATA", details, "The status given is invalid.");
    let lists = |status: &str| format!("settings/related_lists?module=Contacts&status={status}");
    let some = json!({"related_lists": [{"status": "visible"}]});
    let cases = vec![
        read(lists("visible"), 200, some),
        read(lists("user_hidden"), 204, Value::Null),
        read(lists("x"), 400, refused),
    ];
    hold(&client, cases).await;
    let (_, notes) = client.get("/crm/v8/Notes?fields=id&per_page=1").await;
    let info = notes["info"].as_object().unwrap();
    assert!(!info.contains_key("call") && !info.contains_key("email"));
    assert!(info.contains_key("sort_by"), "{info:?}");
}
