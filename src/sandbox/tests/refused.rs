//! Writes and deletions that are refused, word for word.

use super::{
    documented::{error, hold},
    *,
};

const NOWHERE: &str = "6840217000009999999";

fn in_data(problem: &Value) -> Value {
    json!({"data": [problem]})
}

#[tokio::test]
async fn what_says_nothing_is_no_value() {
    let client = Client::new().await;
    for nothing in ["", " ", "\n\t"] {
        let row = json!({"data": [{"Last_Name": nothing, "First_Name": "Ann"}]});
        let (status, refused) = client.send("POST", "/crm/v8/Contacts", &row).await;
        let refused = &refused["data"][0];
        assert_eq!(
            (status, &refused["code"]),
            (400, &json!("MANDATORY_NOT_FOUND"))
        );
        let row = json!({"data": [{"Last_Name": "Pell", "First_Name": nothing, "Lead_Source": nothing,
            "Email": nothing, "Description": nothing}]});
        let (status, made) = client.send("POST", "/crm/v8/Contacts", &row).await;
        assert_eq!(status, 201, "{made}");
        let id = made["data"][0]["details"]["id"].as_str().unwrap();
        let path = format!("/crm/v8/Contacts/{id}");
        let (_, found) = client.get(&path).await;
        let found = &found["data"][0];
        assert_eq!(found["Full_Name"], "Pell");
        for field in ["First_Name", "Lead_Source", "Email", "Description"] {
            assert_eq!(found[field], Value::Null, "{field}");
        }
        let note = json!({"data": [{"Note_Title": nothing, "Note_Content": nothing}]});
        let (_, refused) = client.send("POST", &format!("{path}/Notes"), &note).await;
        assert_eq!(refused["data"][0]["code"], "EXPECTED_FIELD_MISSING");
    }
}

#[tokio::test]
async fn the_status_of_a_call_is_what_was_given_or_else_what_its_kind_and_time_say() {
    let client = Client::new().await;
    for (kind, year, given, shown) in [
        ("Outbound", "2001", Value::Null, "Completed"),
        ("Outbound", "2099", Value::Null, "Scheduled"),
        ("Missed", "2001", Value::Null, "Missed"),
        ("Missed", "2099", Value::Null, "Missed"),
        ("Outbound", "2099", json!("Completed"), "Completed"),
        ("Missed", "2001", json!("Scheduled"), "Scheduled"),
    ] {
        let call = json!({"Subject": "Renewal", "Call_Type": kind, "Call_Duration": "05:00",
            "Call_Start_Time": format!("{year}-05-14T10:00:00+00:00"), "Call_Status": given});
        let rows = json!({"data": [call]});
        let (status, made) = client.send("POST", "/crm/v8/Calls", &rows).await;
        assert_eq!(status, 201, "{made}");
        let id = made["data"][0]["details"]["id"].as_str().unwrap();
        let (_, found) = client.get(&format!("/crm/v8/Calls/{id}")).await;
        assert_eq!(found["data"][0]["Call_Status"], shown, "{kind} {year}");
    }
}

#[tokio::test]
async fn more_rows_than_are_taken_are_counted() {
    let client = Client::new().await;
    let limit = json!({"maximum_length": 100, "api_name": "data"});
    let message = "count of records in your request exceeds the limit";
    let refused = in_data(&error("LIMIT_EXCEEDED", limit, message));
    let rows = json!({"data": vec![json!({"Last_Name": "Pell"}); 101]});
    for (method, path) in [
        ("POST", "Contacts"),
        ("PUT", "Contacts"),
        ("POST", "Contacts/upsert"),
    ] {
        let cases = vec![(method, path.to_owned(), rows.clone(), 400, refused.clone())];
        hold(&client, cases).await;
    }
}

#[tokio::test]
async fn a_change_that_comes_too_late_is_told_who_was_first() {
    let client = Client::new().await;
    let path = format!("/crm/v8/Deals/{}", client.first("Deals").await);
    let stamped = "Created_By,Created_Time,Modified_By,Modified_Time";
    let (_, found) = client.get(&format!("{path}?fields={stamped}")).await;
    let mut details = found["data"][0].clone();
    for user in ["Created_By", "Modified_By"] {
        details[user].as_object_mut().unwrap().remove("email");
    }
    let late = client
        .request("PUT", &path)
        .header("if-unmodified-since", "2001-01-01T00:00:00+00:00")
        .json(&json!({"data": [{"Next_Step": "x"}]}));
    let message = "record updated time has already passed if-unmodified-since time";
    let refused = in_data(&error("ALREADY_MODIFIED", details, message));
    assert_eq!(seen(late.send().await.unwrap()).await, (412, refused));
}

#[tokio::test]
async fn a_deletion_is_refused_by_itself_and_its_records_one_by_one() {
    let client = Client::new().await;
    let known = client.first("Tasks").await;
    let not_deleted = |details: Value| error("INVALID_DATA", details, "record not deleted");
    let missing = error(
        "REQUIRED_PARAM_MISSING",
        json!({"param_name": "ids"}),
        "One of the expected parameter is missing",
    );
    let module = error(
        "INVALID_MODULE",
        json!({"resource_path_index": 0}),
        "the module name given seems to be invalid",
    );
    let malformed = error(
        "INVALID_DATA",
        json!({"resource_path_index": 0}),
        "invalid record id",
    );
    let format = "either the request body or parameters is in wrong format";
    let unreadable = error("INVALID_DATA", json!({"id": "12"}), format);
    let unknown = not_deleted(json!({"id": NOWHERE}));
    let none = || Value::Null;
    let cases = vec![
        ("DELETE", "Tasks".to_owned(), none(), 400, missing),
        ("DELETE", "Unicorns?ids=1".to_owned(), none(), 400, module),
        ("DELETE", "Tasks/12".to_owned(), none(), 400, malformed),
        (
            "DELETE",
            format!("Tasks/{NOWHERE}"),
            none(),
            400,
            not_deleted(json!({"resource_path_index": 1})),
        ),
        (
            "DELETE",
            "Tasks?ids=12".to_owned(),
            none(),
            400,
            in_data(&unreadable),
        ),
        (
            "DELETE",
            format!("Tasks?ids={NOWHERE}"),
            none(),
            400,
            in_data(&unknown),
        ),
    ];
    hold(&client, cases).await;
    let path = format!("/crm/v8/Tasks?ids={known},{NOWHERE}");
    let (status, told) = client.send("DELETE", &path, &none()).await;
    assert_eq!((status, &told["data"][1]), (207, &unknown));
}

#[tokio::test]
async fn an_upsert_finds_a_record_by_its_id_too() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    let row = |id: &str| json!({"data": [{"id": id, "Last_Name": "Renamed"}]});
    let path = "/crm/v8/Contacts/upsert";
    let (status, done) = client.send("POST", path, &row(&id)).await;
    let done = &done["data"][0];
    assert_eq!((status, &done["action"]), (200, &json!("update")));
    assert_eq!(done["details"]["id"], id);
    let keys: Vec<_> = done["details"].as_object().unwrap().keys().collect();
    let stamps = [
        "Created_By",
        "Created_Time",
        "Modified_By",
        "Modified_Time",
        "id",
    ];
    assert_eq!(keys, stamps);
    let (status, refused) = client.send("POST", path, &row(NOWHERE)).await;
    let refused = &refused["data"][0];
    assert_eq!((status, &refused["code"]), (400, &json!("INVALID_DATA")));
    assert_eq!(refused["details"]["json_path"], "$.data[0].id");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_as_a_whole_is_told_by_itself() {
    let client = Client::new().await;
    let body = error(
        "INVALID_DATA",
        json!({"expected_data_type": "jsonobject"}),
        "body",
    );
    let unknown = error(
        "INVALID_DATA",
        json!({"resource_path_index": 1}),
        "the id given seems to be invalid",
    );
    let row = json!({"data": [{"Next_Step": "Call"}]});
    let mut cases: Vec<_> = ["Deals", "Deals/upsert", "coql"]
        .map(|path| ("POST", path.to_owned(), json!("{"), 400, body.clone()))
        .into();
    cases.push(("PUT", format!("Deals/{NOWHERE}"), row, 400, unknown));
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_query_asks_for_each_column_once_and_for_no_row_behind_the_last() {
    let client = Client::new().await;
    let all = "select Stage from Deals where id is not null";
    let twice = |column: &str, clause: &str| {
        let message = format!("duplicate {clause} column");
        error("DUPLICATE_DATA", json!({"column_name": column}), &message)
    };
    let far = error(
        "LIMIT_EXCEEDED",
        json!({"limit": 100_000}),
        "max records limit exceeded",
    );
    let offset = error(
        "INVALID_QUERY",
        json!({"offset": "x"}),
        "offset given seems to be invalid",
    );
    for (rest, refused) in [
        ("order by id, id", twice("id", "order by")),
        ("group by Stage, Stage", twice("Stage", "group by")),
        ("limit 99900, 200", far),
        ("limit 200 offset x", offset),
    ] {
        let told = client.coql(&format!("{all} {rest}")).await;
        assert_eq!(told, (400, refused), "{rest}");
    }
    let last = client.coql(&format!("{all} limit 99800, 200")).await;
    assert_eq!(last.0, 204);
}

#[tokio::test]
async fn a_lookup_names_its_record() {
    let client = Client::new().await;
    let path = |rest: &str| json!({"api_name": "id", "json_path": format!("$.data[0].{rest}.id")});
    let missing = |field| {
        error(
            "MANDATORY_NOT_FOUND",
            path(field),
            "required field not found",
        )
    };
    let contact = json!({"Last_Name": "Pell", "Account_Name": {"First_Name": "x"}});
    let note = json!({"Note_Content": "x", "Parent_Id": {"module": {"api_name": "Deals"}}});
    let mut cases = Vec::new();
    for (module, row, field) in [
        ("Contacts", contact, "Account_Name"),
        ("Notes", note, "Parent_Id"),
    ] {
        let rows = json!({"data": [row]});
        let refused = in_data(&missing(field));
        cases.push(("POST", module.to_owned(), rows, 400, refused));
    }
    hold(&client, cases).await;
}
