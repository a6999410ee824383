//! Records that are merged, taken away and locked.

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
async fn a_locked_record_does_not_change_until_it_is_unlocked() {
    let client = Client::new().await;
    let path = format!("/crm/v8/Deals/{}", client.first("Deals").await);
    let lock = format!("{path}/Locking_Information__s");
    let row = json!({"data": [{"Next_Step": "Wait"}]});
    assert_eq!(client.send("POST", &lock, &json!({})).await.0, 200);
    let (status, refused) = client.send("PUT", &path, &row).await;
    let refused = &refused["data"][0];
    assert_eq!((status, &refused["code"]), (400, &json!("RECORD_LOCKED")));
    assert_eq!(refused["details"]["action"], "record_locking");
    assert_eq!(client.send("DELETE", &path, &json!({})).await.0, 400);
    assert_eq!(client.send("DELETE", &lock, &json!({})).await.0, 200);
    assert_eq!(client.send("PUT", &path, &row).await.0, 200);
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
    let known = &refused["details"]["duplicate_record"]["id"];
    assert_eq!(known, &other["id"]);
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
