//! Records that are merged and taken away.

use super::*;

#[tokio::test]
async fn an_upsert_changes_what_is_there_and_adds_what_is_not() {
    let client = Client::new().await;
    let query = "select Email from Contacts where Email is not null limit 1";
    let (_, found) = client.coql(query).await;
    let (id, email) = (&found["data"][0]["id"], &found["data"][0]["Email"]);
    let rows = json!({
        "data": [
            {"Last_Name": "Known", "Email": email},
            {"Last_Name": "New", "Email": "new@nowhere.example"},
            {"Email": "nameless@nowhere.example"},
        ],
        "duplicate_check_fields": ["Email"],
    });
    let (status, done) = client.send("POST", "/crm/v8/Contacts/upsert", &rows).await;
    assert_eq!(status, 207);
    let data = &done["data"];
    assert_eq!(data[0]["action"], "update");
    assert_eq!(
        (&data[0]["details"]["id"], &data[0]["duplicate_field"]),
        (id, &json!("Email"))
    );
    assert_eq!(
        (&data[1]["action"], &data[1]["duplicate_field"]),
        (&json!("insert"), &json!(null))
    );
    assert_eq!(data[2]["code"], "MANDATORY_NOT_FOUND");
}

#[tokio::test]
async fn a_deleted_record_is_gone_everywhere() {
    let client = Client::new().await;
    let (one, two) = (client.first("Deals").await, client.first("Contacts").await);
    let path = format!("/crm/v8/Deals/{one}");
    let (status, done) = client.send("DELETE", &path, &json!({})).await;
    assert_eq!(
        (status, &done["data"][0]["message"]),
        (200, &json!("record deleted"))
    );
    assert_eq!(client.get(&format!("{path}?fields=Stage")).await.0, 204);
    let path = format!("/crm/v8/Contacts?ids={two},6840217000009999999");
    let (status, done) = client.send("DELETE", &path, &json!({})).await;
    assert_eq!(
        (status, &done["data"][1]["code"]),
        (207, &json!("INVALID_DATA"))
    );
    let query = format!("select id from Contacts where id = '{two}'");
    assert_eq!(client.coql(&query).await.0, 204);
}

#[tokio::test]
async fn an_email_address_that_is_taken_is_refused_to_a_change_too() {
    let client = Client::new().await;
    client.set(json!({"unique_email": true})).await;
    let query = "select Email from Contacts where Email is not null limit 2";
    let (_, found) = client.coql(query).await;
    let (one, other) = (&found["data"][0], &found["data"][1]);
    let path = format!("/crm/v8/Contacts/{}", one["id"].as_str().unwrap());
    let email = |email: &Value| json!({"data": [{"Email": email, "Title": "CTO"}]});
    let (status, refused) = client.send("PUT", &path, &email(&other["Email"])).await;
    let refused = &refused["data"][0];
    assert_eq!((status, &refused["code"]), (400, &json!("DUPLICATE_DATA")));
    let known = &refused["details"]["duplicate_record"];
    assert_eq!(known["id"], other["id"]);
    assert_eq!(refused["details"]["id"], other["id"]);
    let modules = client.get("/crm/v8/settings/modules/Contacts").await.1;
    let module = json!({"api_name": "Contacts", "id": modules["modules"][0]["id"]});
    assert_eq!(known["module"], module);
    let (status, done) = client.send("PUT", &path, &email(&one["Email"])).await;
    assert_eq!(status, 200, "its own address: {done}");
}

#[tokio::test]
async fn an_activity_is_about_a_record_of_the_module_it_names() {
    let client = Client::new().await;
    let (deal, contact) = (client.first("Deals").await, client.first("Contacts").await);
    let task = |about: &str, module: &str| json!({"data": [{"Subject": "Call", "What_Id": {"id": about}, "$se_module": module}]});
    let made = client
        .send("POST", "/crm/v8/Tasks", &task(&deal, "Deals"))
        .await;
    assert_eq!(made.0, 201, "{}", made.1);
    let id = made.1["data"][0]["details"]["id"].as_str().unwrap();
    let path = format!("/crm/v8/Tasks/{id}");
    for (method, path) in [("POST", "/crm/v8/Tasks"), ("PUT", &path)] {
        for (about, module) in [(&*deal, "Leads"), ("6840217000009999999", "Deals")] {
            let (status, refused) = client.send(method, path, &task(about, module)).await;
            let refused = &refused["data"][0];
            assert_eq!((status, &refused["code"]), (400, &json!("INVALID_DATA")));
            let json_path = &refused["details"]["json_path"];
            assert_eq!(json_path, "$.data[0].What_Id.id", "{method} {module}");
        }
    }
    let who = |id: &str| json!({"data": [{"Subject": "Call", "Who_Id": {"id": id}}]});
    let (status, _) = client.send("POST", "/crm/v8/Tasks", &who(&contact)).await;
    assert_eq!(status, 201);
    let (status, refused) = client.send("POST", "/crm/v8/Tasks", &who(&deal)).await;
    let path = &refused["data"][0]["details"]["json_path"];
    assert_eq!((status, path), (400, &json!("$.data[0].Who_Id.id")));
}

#[tokio::test]
async fn a_mandatory_value_is_taken_away_by_no_change() {
    let client = Client::new().await;
    for (module, field) in [
        ("Contacts", "Last_Name"),
        ("Leads", "Company"),
        ("Deals", "Stage"),
        ("Events", "End_DateTime"),
    ] {
        let path = format!("/crm/v8/{module}/{}", client.first(module).await);
        for nothing in [json!(null), json!("")] {
            // What is missing is told before what is of the wrong type.
            let row = json!({"data": [{(field): nothing, "Owner": 7}]});
            let (status, refused) = client.send("PUT", &path, &row).await;
            let refused = &refused["data"][0];
            assert_eq!(
                (status, &refused["code"]),
                (400, &json!("MANDATORY_NOT_FOUND"))
            );
            assert_eq!(refused["details"]["api_name"], field);
        }
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_is_refused() {
    let client = Client::new().await;
    let deal = json!({"Deal_Name": "D", "Stage": "Qualification", "Probability": 101});
    let call = json!({"Subject": "C", "Call_Type": "Outbound", "Call_Duration": "x",
        "Call_Start_Time": "2026-05-14T10:00:00+00:00"});
    let event = json!({"Event_Title": "E", "Start_DateTime": "2026-05-14T10:00:00+00:00",
        "End_DateTime": "2026-05-14T09:59:00+00:00"});
    for (module, row, field) in [
        ("Deals", deal, "Probability"),
        ("Calls", call, "Call_Duration"),
        ("Events", event, "End_DateTime"),
    ] {
        let path = format!("/crm/v8/{module}");
        let rows = json!({"data": [row]});
        let (status, refused) = client.send("POST", &path, &rows).await;
        let refused = &refused["data"][0];
        assert_eq!((status, &refused["code"]), (400, &json!("INVALID_DATA")));
        let details = json!({"api_name": field, "json_path": format!("$.data[0].{field}")});
        assert_eq!(refused["details"], details);
    }
    let path = format!("/crm/v8/Events/{}", client.first("Events").await);
    let row = json!({"data": [{"End_DateTime": "2001-01-01T00:00:00+00:00"}]});
    assert_eq!(client.send("PUT", &path, &row).await.0, 400);
}

#[tokio::test]
async fn a_body_that_is_no_json_by_its_own_word_is_refused() {
    let client = Client::new().await;
    for (kind, expected) in [
        ("application/xml", 415),
        ("text/xml; charset=utf-8", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("Application/JSON;charset=UTF-8", 201),
        // What curl says of a body, unless it is told.
        ("application/x-www-form-urlencoded", 201),
    ] {
        let sent = client
            .request("POST", "/crm/v8/Tasks")
            .header("content-type", kind)
            .body(r#"{"data":[{"Subject":"Call"}]}"#);
        let (status, told) = seen(sent.send().await.unwrap()).await;
        assert_eq!(status, expected, "{kind}: {told}");
    }
}

#[tokio::test]
async fn a_note_keeps_a_title_or_a_text_and_a_record_its_owner() {
    let client = Client::new().await;
    let contact = client.first("Contacts").await;
    let notes = format!("/crm/v8/Contacts/{contact}/Notes");
    let (_, made) = client.send("POST", &notes, &note("Hello")).await;
    let id = made["data"][0]["details"]["id"].as_str().unwrap();
    let path = format!("/crm/v8/Notes/{id}");
    for (row, expected) in [
        (json!({"Note_Title": null, "Note_Content": ""}), 400),
        (json!({"Note_Title": ""}), 200),
        (json!({"Note_Content": null}), 400),
        (json!({"Note_Content": "Bye"}), 200),
    ] {
        let (status, told) = client.send("PUT", &path, &json!({"data": [row]})).await;
        let told = &told["data"][0];
        assert_eq!(status, expected, "{row}: {told}");
        if expected == 400 {
            assert_eq!(told["code"], "EXPECTED_FIELD_MISSING");
        }
    }
    let path = format!("/crm/v8/Contacts/{contact}");
    let row = json!({"data": [{"Owner": null}]});
    let (status, refused) = client.send("PUT", &path, &row).await;
    let refused = &refused["data"][0];
    assert_eq!((status, &refused["code"]), (400, &json!("INVALID_DATA")));
    assert_eq!(refused["details"]["json_path"], "$.data[0].Owner");
    let (_, kept) = client.get(&path).await;
    assert!(kept["data"][0]["Owner"]["id"].is_string(), "{kept}");
}
