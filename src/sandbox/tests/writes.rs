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
