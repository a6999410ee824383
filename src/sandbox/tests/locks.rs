//! Records that are locked, and what becomes of them.

use super::{
    documented::{error, hold},
    *,
};

const NOWHERE: &str = "6840217000009999999";

fn reason(text: &str) -> Value {
    json!({"data": [{"Locked_Reason__s": text}]})
}

#[tokio::test]
async fn a_locked_record_does_not_change_until_it_is_unlocked() {
    let client = Client::new().await;
    let id = client.first("Deals").await;
    let (path, locks) = (
        format!("/crm/v8/Deals/{id}"),
        format!("/crm/v8/Deals/{id}/Locking_Information__s"),
    );
    let row = json!({"data": [{"Next_Step": "Wait"}]});
    assert_eq!(client.get(&locks).await.0, 204);
    let (status, made) = client.send("POST", &locks, &reason("Under review")).await;
    assert_eq!(
        (status, &made["data"][0]["message"]),
        (201, &json!("record added"))
    );
    let lock = made["data"][0]["details"]["id"].as_str().unwrap();
    let (_, found) = client.get(&locks).await;
    let found = &found["data"][0];
    assert_eq!(
        (&found["id"], &found["Locked_Reason__s"]),
        (&json!(lock), &json!("Under review"))
    );
    assert_eq!(found["Locked_For__s"]["id"], id);
    assert_eq!(found["Locked_By__s"]["name"], "Ingrid Halvorsen");
    let action = "record_locking";
    let changed = error(
        "RECORD_LOCKED",
        json!({"api_name": "id", "json_path": "$.data[0].id", "action": action}),
        "Sorry, you cannot perform this operation as the record is locked.",
    );
    let removed = error(
        "RECORD_LOCKED",
        json!({"action": action, "id": id}),
        "You cannot perform this operation as the record is locked.",
    );
    for (method, refused) in [("PUT", changed), ("DELETE", removed)] {
        let told = client.send(method, &path, &row).await;
        assert_eq!(told, (400, json!({"data": [refused]})), "{method}");
    }
    let (status, gone) = client
        .send("DELETE", &format!("{locks}/{lock}"), &Value::Null)
        .await;
    let unlocked = json!({"data": [{"code": "SUCCESS", "details": {"id": lock},
        "message": "relation removed", "status": "success"}]});
    assert_eq!((status, gone), (200, unlocked));
    assert_eq!(client.send("PUT", &path, &row).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_locked_is_told_why() {
    let client = Client::new().await;
    let id = client.first("Deals").await;
    let locks = format!("Deals/{id}/Locking_Information__s");
    let nowhere = format!("Deals/{NOWHERE}/Locking_Information__s");
    let place = |at: u8| json!({"resource_path_index": at});
    let missing = error(
        "MANDATORY_NOT_FOUND",
        json!({"api_name": "Locked_Reason__s", "json_path": "$.data[0].Locked_Reason__s"}),
        "required field not found",
    );
    let unknown = error(
        "INVALID_DATA",
        place(1),
        "the related id given seems to be invalid",
    );
    let no_lock = error("INVALID_DATA", place(3), "relation not found");
    let twice = error("NOT_ALLOWED", place(1), "record is already locked");
    let cases = vec![
        (
            "POST",
            locks.clone(),
            reason(" "),
            400,
            json!({"data": [missing]}),
        ),
        ("POST", nowhere, reason("x"), 400, unknown),
        (
            "DELETE",
            format!("{locks}/{NOWHERE}"),
            Value::Null,
            400,
            no_lock,
        ),
        (
            "POST",
            locks.clone(),
            reason("x"),
            201,
            json!({"data": [{}]}),
        ),
        ("POST", locks, reason("y"), 403, twice),
    ];
    hold(&client, cases).await;
}

#[tokio::test]
async fn a_lock_is_read_by_itself_and_given_another_reason() {
    let client = Client::new().await;
    let id = client.first("Deals").await;
    let locks = format!("Deals/{id}/Locking_Information__s");
    let path = format!("/crm/v8/{locks}");
    let (_, made) = client.send("POST", &path, &reason("Under review")).await;
    let lock = made["data"][0]["details"]["id"].as_str().unwrap();
    let one = format!("{locks}/{lock}");
    let missing = error(
        "MANDATORY_NOT_FOUND",
        json!({"api_name": "Locked_Reason__s", "json_path": "$.data[0].Locked_Reason__s"}),
        "required field not found",
    );
    let missing = json!({"data": [missing]});
    let place = |at: u8| json!({"resource_path_index": at});
    let no_lock = error("INVALID_DATA", place(3), "the id given seems to be invalid");
    let message = "the related id given seems to be invalid";
    let no_record = error("INVALID_DATA", place(1), message);
    let updated = json!({"data": [{"code": "SUCCESS", "details": {"id": lock},
        "message": "relation updated", "status": "success"}]});
    let none = || json!({"data": [{"Locked_Reason__s": null}]});
    let cases = vec![
        ("PUT", one.clone(), none(), 400, missing),
        ("PUT", one.clone(), reason("Signed"), 200, updated),
        (
            "PUT",
            format!("{locks}/{NOWHERE}"),
            reason("x"),
            400,
            no_lock,
        ),
        (
            "PUT",
            format!("Deals/{NOWHERE}/Locking_Information__s/{lock}"),
            reason("x"),
            400,
            no_record,
        ),
    ];
    hold(&client, cases).await;
    let (status, found) = client.get(&format!("/crm/v8/{one}")).await;
    assert_eq!((status, found.get("info")), (200, None));
    let found = &found["data"][0];
    assert_eq!(
        (&found["id"], &found["Locked_Reason__s"]),
        (&json!(lock), &json!("Signed"))
    );
    assert_eq!(found, &client.get(&path).await.1["data"][0]);
    let row = json!({"data": [{"Next_Step": "Wait"}]});
    let deal = format!("/crm/v8/Deals/{id}");
    let (_, told) = client.send("PUT", &deal, &row).await;
    assert_eq!(told["data"][0]["code"], "RECORD_LOCKED");
}
