//! What real answers and Zoho's OpenAPI description have that clients meet when something is refused,
//! or that only newer versions have.

use super::{
    documented::{error, hold, read},
    *,
};

/// Method, path with the record's id for `ID`, the right that is missing if it is named, and the message.
#[rustfmt::skip]
const DENIED: [(&str, &str, Option<&str>, &str); 9] = [
    ("GET", "Contacts?fields=id", Some("View"), "Permission denied"),
    ("GET", "Contacts/ID", Some("View"), "Permission denied"),
    ("POST", "Contacts", Some("Create"), "Permission denied"),
    ("PUT", "Contacts/ID", Some("Edit"), "Permission denied"),
    ("DELETE", "Contacts/ID", Some("Delete"), "Permission denied to delete"),
    ("GET", "Contacts/search?word=an", None, "Permission denied to read"),
    ("GET", "Contacts/ID/Deals?fields=id", Some("View"), "Permission denied to read related records"),
    ("POST", "Contacts/ID/actions/get_related_records_count", None,
        "You do not have permission to read records from the module"),
    ("GET", "org", None, "permission denied"),
];

#[tokio::test]
async fn each_request_is_denied_in_its_own_words() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    client
        .fault(json!({"fault": "status", "status": 403, "times": DENIED.len()}))
        .await;
    let cases = DENIED.map(|(method, path, right, message)| {
        let permission = right.map(|right| format!("Crm_Implied_{right}_Contacts"));
        let details = permission.map_or(json!({}), |one| json!({"permissions": [one]}));
        let told = error("NO_PERMISSION", details, message);
        (method, path.replace("ID", &id), json!({}), 403, told)
    });
    hold(&client, cases.into()).await;
}

#[tokio::test]
async fn too_many_requests_are_told_as_the_settings_have_it_and_searches_always_alike() {
    let client = Client::new().await;
    let limited = || {
        let message = "Too many requests. Please try again later.";
        error("RATE_LIMIT_EXCEEDED", json!({}), message)
    };
    let busy = error(
        "TOO_MANY_REQUESTS",
        json!({}),
        "too many requests. please try again after some time",
    );
    client
        .fault(json!({"fault": "status", "status": 429, "times": 3}))
        .await;
    let cases = vec![
        read("Contacts?fields=id", 429, busy),
        read("Contacts/search?word=an", 429, limited()),
    ];
    hold(&client, cases).await;
    client
        .set(json!({"busy_code": "RATE_LIMIT_EXCEEDED"}))
        .await;
    hold(&client, vec![read("Contacts?fields=id", 429, limited())]).await;
}

#[tokio::test]
async fn no_user_is_found_by_a_query_that_is_not_there() {
    let client = Client::new().await;
    let unknown = error(
        "INVALID_DATA",
        json!({"param_name": "query_id"}),
        "Invalid queryId",
    );
    let details = json!({"dependee": {"param_name": "child_data"}, "param_name": "query_id"});
    let alone = error(
        "DEPENDENT_PARAM_MISSING",
        details,
        "Dependent Param missing",
    );
    let cases = vec![
        read("users?query_id=1", 400, unknown.clone()),
        read("users?query_id=1&child_data=%7B%7D", 400, unknown),
        read("users?child_data=%7B%7D", 400, alone),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_user_has_an_address_that_may_be_empty() {
    let client = Client::new().await;
    let (_, told) = client.get("/crm/v8/users?type=CurrentUser").await;
    let user = &told["users"][0];
    for name in [
        "city", "dob", "fax", "mobile", "state", "street", "website", "zip",
    ] {
        assert_eq!(user.get(name), Some(&Value::Null), "{name}: {user}");
    }
    assert_eq!(user["time_format"], "hh:mm a");
}

#[tokio::test]
async fn an_upsert_says_of_what_is_new_that_it_is_approved_and_which_record_lacks_a_value() {
    let client = Client::new().await;
    let lead = |company: &str| {
        json!({"data": [{"Last_Name": " Quillon ", "Company": company,
        "Email": "q@upsert.example"}]})
    };
    let path = "/crm/v8/Leads/upsert";
    let (status, told) = client.send("POST", path, &lead("Ottermere")).await;
    let made = &told["data"][0];
    assert_eq!((status, &made["action"]), (200, &json!("insert")), "{told}");
    assert_eq!(made["duplicate_field"], Value::Null);
    assert_eq!(made["details"]["$approval_state"], "approved");
    let (_, told) = client.send("POST", path, &lead("Ottermere")).await;
    let changed = &told["data"][0];
    assert_eq!(
        (&changed["action"], &changed["duplicate_field"]),
        (&json!("update"), &json!("Email"))
    );
    assert_eq!(changed["details"].get("$approval_state"), None, "{told}");
    let id = made["details"]["id"].clone();
    let details = json!({"api_name": "Company", "json_path": "$.data[0].Company", "id": id});
    let missing = error("MANDATORY_NOT_FOUND", details, "required field not found");
    let told = client.send("POST", path, &lead("")).await;
    assert_eq!(told, (400, json!({"data": [missing]})));
    // A line has nothing around it.
    let (_, found) = client
        .get(&format!("/crm/v8/Leads/{}", id.as_str().unwrap()))
        .await;
    assert_eq!(found["data"][0]["Last_Name"], "Quillon");
    assert_eq!(found["data"][0]["Converted_Deal"], Value::Null);
}

#[tokio::test]
async fn related_lists_tell_failures_and_unknown_modules_in_their_own_words() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let module = error(
        "INVALID_MODULE",
        json!({"resource_path_index": 0}),
        "The given module is not supported",
    );
    let failure = |message: &str| error("INTERNAL_ERROR", json!({}), message);
    client
        .fault(json!({"fault": "status", "status": 500, "times": 2}))
        .await;
    let cases = vec![
        read(
            format!("Contacts/{id}/Deals?fields=id"),
            500,
            failure("Unexpected and unhandled exception in Server"),
        ),
        read("Contacts?fields=id", 500, failure("Internal Server Error")),
        read(format!("Unicorns/{id}/Deals?fields=id"), 400, module),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_note_at_a_place_that_is_not_there_is_refused_as_a_whole() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let nowhere = "6840217000009999999";
    let note = || json!({"data": [{"Note_Content": "x"}]});
    let related = || {
        let place = json!({"resource_path_index": 1});
        let message = "the related id given seems to be invalid";
        error("INVALID_DATA", place, message)
    };
    let module = error(
        "INVALID_MODULE",
        json!({"resource_path_index": 0}),
        "the module name given seems to be invalid",
    );
    let cases = [
        (format!("Contacts/{nowhere}/Notes"), related()),
        ("Contacts/abc/Notes".to_owned(), related()),
        (format!("Unicorns/{id}/Notes"), module),
    ];
    let cases = cases.map(|(path, told)| ("POST", path, note(), 400, told));
    hold(&client, cases.into()).await;
}

#[tokio::test]
async fn a_module_names_what_its_records_say_about_themselves() {
    let client = Client::new().await;
    let (_, told) = client.get("/crm/v8/settings/modules/Leads").await;
    let module = &told["modules"][0];
    let id = client.first("Leads").await;
    let (_, lead) = client.get(&format!("/crm/v8/Leads/{id}")).await;
    let mut names: Vec<&str> = module["$properties"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    names.sort_unstable();
    let lead = lead["data"][0].as_object().unwrap();
    let own: Vec<&str> = lead
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with('$'))
        .collect();
    assert_eq!(names, own);
    assert_eq!(module["per_page"], 50);
    let (_, all) = client.get("/crm/v8/settings/modules").await;
    assert_eq!(all["modules"][0].get("$properties"), None);
}

#[tokio::test]
async fn what_is_missing_of_counts_stands_in_their_list() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let name = "get_related_records_count";
    let details = json!({"api_name": name, "json_path": format!("$.{name}")});
    let missing = error("MANDATORY_NOT_FOUND", details, "required field not found");
    let path = format!("Contacts/{id}/actions/{name}");
    let told = json!({name: [missing]});
    hold(&client, vec![("POST", path, json!({}), 400, told)]).await;
}
