//! What Zoho's OpenAPI description says of answers that clients meet less often.

use super::{
    documented::{bad_param, error, hold, read},
    *,
};

const NOWHERE: &str = "6840217000009999999";

fn place(at: u8, message: &str) -> Value {
    error("INVALID_DATA", json!({"resource_path_index": at}), message)
}

#[tokio::test]
async fn a_deal_has_contacts_in_their_roles() {
    let client = Client::new().await;
    let asked = "/crm/v8/Deals/search?criteria=(Contact_Name:not_equal:0)&per_page=1";
    let (_, found) = client.get(asked).await;
    let deal = &found["data"][0];
    let (id, contact) = (deal["id"].as_str().unwrap(), &deal["Contact_Name"]["id"]);
    let roles = format!("Deals/{id}/Contact_Roles");
    let (status, told) = client
        .get(&format!("/crm/v8/{roles}?fields=Email,Contact_Role"))
        .await;
    assert_eq!(status, 200, "{told}");
    let row = &told["data"][0];
    assert_eq!(
        (&row["id"], told["data"].as_array().unwrap().len()),
        (contact, 1)
    );
    assert!(row["Contact_Role"]["name"].is_string(), "{row}");
    assert!(row["Contact_Role"]["id"].is_string() && row.get("Email").is_some());
    let missing = error(
        "REQUIRED_PARAM_MISSING",
        json!({"param_name": "fields"}),
        "One of the expected parameter is missing",
    );
    let none = place(2, "the relation name given seems to be invalid");
    let cases = vec![
        read(roles, 400, missing),
        read(format!("Deals/{id}/Contacts?fields=id"), 400, none),
    ];
    hold(&client, cases).await;
    let scopes = "ZohoCRM.modules.deals.READ ZohoCRM.modules.contacts.READ";
    client.set(json!({"scopes": scopes})).await;
    let path = format!("/crm/v8/Deals/{id}/Contact_Roles?fields=id");
    assert_eq!(client.get(&path).await.0, 200);
}

#[tokio::test]
async fn an_unknown_record_has_no_lists_and_a_known_one_may_have_empty_ones() {
    let client = Client::new().await;
    let row = json!({"data": [{"Last_Name": "Quillon"}]});
    let (_, made) = client.send("POST", "/crm/v8/Contacts", &row).await;
    let id = made["data"][0]["details"]["id"].as_str().unwrap();
    let unknown = place(1, "The related id given seems to be invalid");
    let cases = vec![
        read(format!("Contacts/{id}/Notes?fields=id"), 204, Value::Null),
        read(
            format!("Contacts/{NOWHERE}/Notes?fields=id"),
            400,
            unknown.clone(),
        ),
        read(format!("Contacts/{NOWHERE}/Emails"), 400, unknown),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn one_of_a_list_is_read_below_its_record() {
    let client = Client::new().await;
    let asked = "/crm/v8/Deals/search?criteria=(Account_Name:not_equal:0)&per_page=1";
    let (_, found) = client.get(asked).await;
    let deal = &found["data"][0];
    let (id, account) = (&deal["id"], deal["Account_Name"]["id"].as_str().unwrap());
    let below = format!("Accounts/{account}/Deals");
    let shown = json!({"data": [{"id": id, "Deal_Name": deal["Deal_Name"]}]});
    let cases = vec![
        read(format!("{below}/{}", id.as_str().unwrap()), 200, shown),
        read(format!("{below}/{NOWHERE}"), 204, Value::Null),
        read(
            format!("{below}/1"),
            400,
            place(3, "the id given seems to be invalid"),
        ),
    ];
    hold(&client, cases).await;
    client.set(json!({"unknown_id_status": 400})).await;
    let unknown = || place(3, "the id given seems to be invalid");
    let notes = format!("Accounts/{account}/Notes/{NOWHERE}");
    let body = json!({"data": [{"Note_Title": "x"}]});
    let cases = vec![
        read(format!("{below}/{NOWHERE}"), 400, unknown()),
        read(notes.clone(), 400, unknown()),
        ("PUT", notes, body, 400, unknown()),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_change_of_a_note_names_its_title_or_its_text() {
    let client = Client::new().await;
    let id = client.first("Notes").await;
    let missing = |at: u8| {
        let field =
            |name: &str| json!({"api_name": name, "json_path": format!("$.data[{at}].{name}")});
        let fields = json!({"expected_fields": [field("Note_Content"), field("Note_Title")]});
        let message = "should contain either content or title";
        error("EXPECTED_FIELD_MISSING", fields, message)
    };
    let one = format!("Notes/{id}");
    let two = json!({"data": [{"id": id, "Note_Title": "x"}, {"id": id}]});
    let done = json!({"data": [{"code": "SUCCESS"}, missing(1)]});
    let refused = || json!({"data": [missing(0)]});
    let cases = vec![
        ("PUT", one.clone(), json!({"data": [{}]}), 400, refused()),
        (
            "PUT",
            one,
            json!({"data": [{"Owner": {"id": NOWHERE}}]}),
            400,
            refused(),
        ),
        (
            "PUT",
            "Notes".into(),
            json!({"data": [{"id": id}]}),
            400,
            refused(),
        ),
        ("PUT", "Notes".into(), two, 207, done),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn notes_are_written_by_the_hundred() {
    let client = Client::new().await;
    let rows = vec![json!({"Note_Title": "x"}); 101];
    let details = json!({"maximum_length": 100, "api_name": "data", "json_path": "$.data"});
    let refused = || error("INVALID_DATA", details.clone(), "invalid data");
    let body = || json!({"data": rows});
    let id = client.first("Contacts").await;
    let cases = vec![
        ("POST", "Notes".into(), body(), 400, refused()),
        ("PUT", "Notes".into(), body(), 400, refused()),
        (
            "POST",
            format!("Contacts/{id}/Notes"),
            body(),
            400,
            refused(),
        ),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_module_is_known_by_its_id_and_by_its_status() {
    let client = Client::new().await;
    let (_, all) = client.get("/crm/v8/settings/modules").await;
    let all = all["modules"].as_array().unwrap();
    let deals = all.iter().find(|one| one["api_name"] == "Deals").unwrap();
    let unknown = error(
        "INVALID_MODULE",
        json!({"resource_path_index": 0}),
        "the module name given seems to be invalid",
    );
    let statuses = [
        "visible",
        "user_hidden",
        "system_hidden",
        "scheduled_for_deletion",
    ];
    let details = json!({"index": 1, "supported_values": statuses, "param_name": "status"});
    let status = error("INVALID_DATA", details, "The status given is invalid.");
    let feature = error(
        "INVALID_DATA",
        json!({}),
        "the given feature name is invalid",
    );
    let cases = vec![
        read(
            format!("settings/modules/{}", deals["id"].as_str().unwrap()),
            200,
            json!({"modules": [{"api_name": "Deals"}]}),
        ),
        read(format!("settings/modules/{NOWHERE}"), 400, unknown),
        read("settings/modules?status=user_hidden", 204, Value::Null),
        read("settings/modules?status=visible,Visible", 400, status),
        read("settings/modules?feature_name=", 400, feature),
    ];
    hold(&client, cases).await;
    let path = "/crm/v8/settings/modules?status=system_hidden,user_hidden";
    let (_, hidden) = client.get(path).await;
    let hidden = hidden["modules"].as_array().unwrap();
    assert!(!hidden.is_empty() && hidden.len() < all.len());
    assert!(hidden.iter().all(|one| one["status"] == "system_hidden"));
}

#[tokio::test]
async fn users_are_chosen_by_id_and_by_type_and_shown_in_part() {
    let client = Client::new().await;
    let (_, all) = client.get("/crm/v8/users").await;
    let users = all["users"].as_array().unwrap();
    let (a, b) = (
        users[0]["id"].as_str().unwrap(),
        users[2]["id"].as_str().unwrap(),
    );
    let path = format!("/crm/v8/users?ids={a},{b}&fields=email,id");
    let (_, told) = client.get(&path).await;
    let two = json!([{"id": a, "email": users[0]["email"]}, {"id": b, "email": users[2]["email"]}]);
    assert_eq!(told["users"], two);
    let regular = json!({"info": {"count": users.len()}});
    let cases = vec![
        read("users?ids=abc", 400, bad_param("ids")),
        read("users?type__s=Regular User", 200, regular.clone()),
        read("users?type__s=Team User", 204, Value::Null),
        read("users?type=ActiveAndDeactive", 200, regular),
        read("users?type=ActiveLiteUser", 204, Value::Null),
        read("users?type=Nobody", 400, bad_param("type")),
        read(
            "Users/actions/count?type=AllUsers",
            200,
            json!({"count": users.len()}),
        ),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn counts_know_operators_that_searches_do_not() {
    let client = Client::new().await;
    let count = |criteria: &str| format!("/crm/v8/Deals/actions/count?criteria={criteria}");
    let (_, deal) = client
        .get("/crm/v8/Deals/search?criteria=(Account_Name:not_equal:0)&per_page=1")
        .await;
    let account = deal["data"][0]["Account_Name"]["name"].as_str().unwrap();
    let head: String = account
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    for criteria in [
        format!("(Account_Name:starts_with:{head})"),
        "(Owner:starts_with:y)".to_owned(),
    ] {
        let (status, told) = client.get(&count(&criteria)).await;
        assert!(
            status == 200 && told["count"].as_u64().unwrap() > 0,
            "{criteria}: {told}"
        );
    }
    let areas = "Leads/actions/count?criteria=(Description:in:x,y)";
    hold(&client, vec![read(areas, 200, json!({}))]).await;
}

#[tokio::test]
async fn counts_refuse_values_and_operators_by_their_kind() {
    let client = Client::new().await;
    let (value, please) = (
        "invalid value for search",
        "Please check the value of the field",
    );
    let refused = |path: &str, code: &str, details: Value, message: &str| {
        read(path.to_owned(), 400, error(code, details, message))
    };
    let of_leads = |criteria: &str| format!("Leads/actions/count?criteria=({criteria})");
    let kind = "The operator is not valid for the field type";
    let cases = vec![
        refused(
            "Activities/actions/count",
            "NOT_SUPPORTED",
            json!({"module": "Activities"}),
            "module not suppoted for search",
        ),
        refused(
            &of_leads("Phone:equals:ABC"),
            "INVALID_QUERY",
            json!({"reason": please, "api_name": "Phone", "value": "ABC"}),
            value,
        ),
        refused(
            &of_leads("Created_Time:equals:soon"),
            "INVALID_DATA",
            json!({"reason": please, "api_name": "Created_Time", "value": "soon"}),
            value,
        ),
        refused(
            &of_leads("No_of_Employees:equals:many"),
            "INVALID_QUERY",
            json!({"expected_data_type": "Integer", "reason": value, "api_name": "No_of_Employees"}),
            value,
        ),
        refused(
            &of_leads("Email:greater_than:x"),
            "INVALID_QUERY",
            json!({"operator": "greater_than", "reason": kind, "api_name": "Email"}),
            "invalid operator found",
        ),
        refused(
            "Leads/actions/count?criteria=what",
            "INVALID_QUERY",
            json!({"param_name": "criteria"}),
            "Invalid query formed",
        ),
        read("Leads/search?criteria=(Phone:equals:ABC)", 204, Value::Null),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_lock_that_is_not_there_is_nothing_and_a_malformed_one_is_no_place() {
    let client = Client::new().await;
    let id = client.first("Deals").await;
    let locks = format!("Deals/{id}/Locking_Information__s");
    let nowhere = error(
        "INVALID_URL_PATTERN",
        json!({}),
        "Please check if the URL trying to access is a correct one",
    );
    let cases = vec![
        read(format!("{locks}/{NOWHERE}"), 204, Value::Null),
        read(format!("{locks}/abc"), 404, nowhere),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_malformed_id_of_a_change_is_told_as_an_unknown_one_is() {
    let client = Client::new().await;
    let body = || json!({"data": [{"Last_Name": "x"}]});
    let bad = || place(1, "the id given seems to be invalid");
    let cases = vec![
        ("PUT", format!("Contacts/{NOWHERE}"), body(), 400, bad()),
        ("PUT", "Contacts/abc".to_owned(), body(), 400, bad()),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn descriptions_say_what_is_described_and_no_null_where_there_is_none() {
    let client = Client::new().await;
    let (_, layouts) = client.get("/crm/v8/settings/layouts?module=Deals").await;
    let layout = &layouts["layouts"][0];
    let kinds = [
        &layout["generated_type"],
        &layout["sections"][0]["generated_type"],
    ];
    assert_eq!(kinds, ["system", "default"]);
    let path = format!(
        "/crm/v8/settings/pipeline?layout_id={}",
        layout["id"].as_str().unwrap()
    );
    let (_, pipeline) = client.get(&path).await;
    let stage = &pipeline["pipeline"][0]["maps"][0];
    assert!(stage["id"].is_string() && stage.get("colour_code").is_none());
    let (_, users) = client.get("/crm/v8/users").await;
    for user in users["users"].as_array().unwrap() {
        assert!(user["image_link"].is_string(), "{user}");
    }
    for (module, label) in [("Leads", "Lead Owner"), ("Events", "Host")] {
        let (_, told) = client
            .get(&format!("/crm/v8/settings/fields?module={module}"))
            .await;
        let mut fields = told["fields"].as_array().unwrap().iter();
        let owner = fields.find(|field| field["api_name"] == "Owner").unwrap();
        assert_eq!(
            (&owner["field_label"], &owner["searchable"]),
            (&json!(label), &json!(true))
        );
    }
}

#[tokio::test]
async fn what_a_list_is_sorted_by_is_told_and_a_search_is_down_for_maintenance() {
    let client = Client::new().await;
    let supported = ["id", "Created_Time", "Modified_Time"];
    let details = json!({"param_name": "sort_by", "supported_values": supported});
    let unsorted = error("INVALID_DATA", details, "invalid data");
    let down = |message: &str| error("SERVICE_UNAVAILABLE", json!({}), message);
    let (short, long) = (
        "Service temporarily unavailable",
        "Service temporarily unavailable for maintenance",
    );
    client
        .fault(json!({"fault": "status", "status": 503, "times": 2}))
        .await;
    let cases = vec![
        read("Contacts?fields=id", 503, down(short)),
        read("Contacts/search?word=an", 503, down(long)),
        read("Contacts?fields=id&sort_by=Last_Name", 400, unsorted),
    ];
    hold(&client, cases).await;
}
