//! What each kind of user sees and may change.

use super::*;

const REP: &str = "yuki@tallowmere.example";
const OTHER: &str = "jonas@tallowmere.example";

/// A sandbox asked as a representative, and a deal of somebody in another team.
async fn rep() -> (Client, String) {
    let mut client = Client::new().await;
    let query = format!("select id from Deals where Owner.email = '{OTHER}' limit 1");
    let (_, deals) = client.coql(&query).await;
    let deal = deals["data"][0]["id"].as_str().unwrap().to_owned();
    let refresh = client.sandbox.credentials().refresh_tokens.rep_1.clone();
    client.become_user(&refresh).await;
    (client, deal)
}

async fn deals(client: &Client) -> u64 {
    let (_, counted) = client.get("/crm/v8/Deals/actions/count").await;
    counted["count"].as_u64().unwrap()
}

async fn rename(client: &Client, deal: &str) -> (u16, Value) {
    let row = json!({"data": [{"Deal_Name": "Renamed"}]});
    client
        .send("PUT", &format!("/crm/v8/Deals/{deal}"), &row)
        .await
}

#[tokio::test]
async fn a_modules_default_opens_it_for_reading_or_for_writing() {
    let (client, deal) = rep().await;
    let own = deals(&client).await;
    let mine = json!({"id": client.first("Deals").await, "Deal_Name": "Renamed"});
    let path = format!("/crm/v8/Deals/{deal}?fields=Deal_Name");
    assert_eq!(client.get(&path).await.0, 204);
    assert_eq!(rename(&client, &deal).await.1["code"], "INVALID_DATA");
    client
        .set(json!({"sharing": {"Deals": "public_read_only"}}))
        .await;
    assert!(deals(&client).await > own);
    assert_eq!(client.get(&path).await.0, 200);
    let (status, refused) = rename(&client, &deal).await;
    let edit = json!({"permissions": ["Crm_Implied_Edit_Deals"]});
    let by_itself = json!({"code": "NO_PERMISSION", "details": edit,
        "message": "Permission denied", "status": "error"});
    assert_eq!((status, &refused), (403, &by_itself));
    let path = format!("/crm/v8/Deals/{deal}");
    let removed = client.send("DELETE", &path, &json!({})).await;
    let delete = json!({"code": "NO_PERMISSION",
        "details": {"permissions": ["Crm_Implied_Delete_Deals"]},
        "message": "Permission denied to delete", "status": "error"});
    assert_eq!(removed, (403, delete));
    // Among several it stands in the place of its record.
    let other = json!({"id": deal, "Deal_Name": "Renamed"});
    for (first, expected) in [(&mine, 207), (&other, 400)] {
        let rows = json!({"data": [first, &other]});
        let (status, told) = client.send("PUT", "/crm/v8/Deals", &rows).await;
        assert_eq!((status, &told["data"][1]), (expected, &by_itself), "{told}");
    }
    client
        .set(json!({"sharing": {"Deals": "public_read_write"}}))
        .await;
    assert_eq!(rename(&client, &deal).await.0, 200);
}

#[tokio::test]
async fn a_sharing_rule_adds_the_records_of_one_user() {
    let (client, deal) = rep().await;
    let own = deals(&client).await;
    let rule = |module: &str, write: bool| json!({"sharing_rules": [{"module": module, "from": OTHER, "to": REP, "write": write}]});
    client.set(rule("Contacts", true)).await;
    assert_eq!(deals(&client).await, own);
    client.set(rule("Deals", false)).await;
    assert!(deals(&client).await > own);
    assert_eq!(rename(&client, &deal).await.0, 403);
    client.set(rule("Deals", true)).await;
    assert_eq!(rename(&client, &deal).await.0, 200);
    assert_eq!(client.send("POST", "/__sim/reset", &json!({})).await.0, 200);
    let (_, settings) = client.get("/__sim/settings").await;
    assert_eq!(settings["settings"]["sharing_rules"], json!([]));
}

#[tokio::test]
async fn a_value_for_a_hidden_field_is_passed_over_or_refused() {
    let mut client = Client::new().await;
    client.set(json!({"hidden_fields": ["Leads.Email"]})).await;
    let lead = json!({"data": [{"Last_Name": "Veil", "Company": "V", "Email": "v@veil.example"}]});
    let admin = client.send("POST", "/crm/v8/Leads", &lead).await.1;
    let refresh = client.sandbox.credentials().refresh_tokens.manager.clone();
    client.become_user(&refresh).await;
    let (status, made) = client.send("POST", "/crm/v8/Leads", &lead).await;
    assert_eq!(status, 201);
    client.set(json!({"hidden_writes": "refused"})).await;
    let (status, refused) = client.send("POST", "/crm/v8/Leads", &lead).await;
    let details = json!({"api_name": "Email", "json_path": "$.data[0].Email"});
    assert_eq!((status, &refused["data"][0]["details"]), (400, &details));
    client.set(json!({"hidden_fields": []})).await;
    let refresh = client.sandbox.credentials().refresh_tokens.admin.clone();
    client.become_user(&refresh).await;
    for (made, email) in [(admin, json!("v@veil.example")), (made, Value::Null)] {
        let id = made["data"][0]["details"]["id"].as_str().unwrap();
        let lead = client
            .get(&format!("/crm/v8/Leads/{id}?fields=Email"))
            .await
            .1;
        assert_eq!(lead["data"][0]["Email"], email);
    }
}

#[tokio::test]
async fn a_hidden_field_shows_nowhere_and_is_no_way_to_search() {
    let mut client = Client::new().await;
    client
        .set(json!({"hidden_fields": ["Contacts.Phone", "Deals.Amount"]}))
        .await;
    let phone = "select Phone from Contacts where Phone is not null limit 1";
    let (status, found) = client.coql(phone).await;
    assert_eq!(status, 200, "an administrator sees all fields");
    let number = found["data"][0]["Phone"].as_str().unwrap().to_owned();
    let described = "/crm/v8/settings/fields?module=Contacts";
    let lists = |fields: &Value| fields.to_string().contains(r#""api_name":"Phone""#);
    assert!(lists(&client.get(described).await.1));
    let refresh = client.sandbox.credentials().refresh_tokens.manager.clone();
    client.become_user(&refresh).await;
    assert!(!lists(&client.get(described).await.1));
    let id = client.first("Contacts").await;
    for fields in ["?fields=Phone,Email", ""] {
        let (_, one) = client.get(&format!("/crm/v8/Contacts/{id}{fields}")).await;
        assert!(one["data"][0].get("Phone").is_none(), "{one}");
        assert!(one["data"][0].get("Email").is_some());
    }
    for query in [
        phone,
        "select id from Contacts where Phone like '%5%'",
        "select id from Contacts where id is not null order by Phone",
        "select SUM(Amount) from Deals where id is not null",
        "select id from Deals where Contact_Name.Phone like '%5%'",
    ] {
        let (status, refused) = client.coql(query).await;
        assert_eq!(
            (status, &refused["code"]),
            (400, &json!("INVALID_QUERY")),
            "{query}"
        );
    }
    let sorted = client
        .get("/crm/v8/Contacts/search?word=an&sort_by=Phone")
        .await;
    let details = &sorted.1["details"];
    assert_eq!(
        (sorted.0, details),
        (400, &json!({"param_name": "sort_by"}))
    );
    let sorted = client
        .get("/crm/v8/Contacts/search?word=an&sort_by=Email")
        .await;
    assert_eq!(sorted.0, 200);
    let by = "/crm/v8/Contacts/search?criteria=(Phone:starts_with:1)";
    assert_eq!(client.get(by).await.1["code"], "INVALID_QUERY");
    let number: String = number.chars().filter(char::is_ascii_digit).collect();
    let found = client
        .get(&format!("/crm/v8/Contacts/search?phone={number}"))
        .await;
    assert_eq!(found.0, 204);
}

#[tokio::test]
async fn a_request_without_its_scope_is_refused() {
    let client = Client::new().await;
    let id = client.first("Contacts").await;
    client
        .set(json!({"scopes": "ZohoCRM.modules.contacts.READ ZohoCRM.coql.READ"}))
        .await;
    let one = format!("/crm/v8/Contacts/{id}?fields=Email");
    assert_eq!(client.get(&one).await.0, 200);
    let related =
        "The access token you have used to make this API call does not have the required scope.";
    let usual = "invalid oauth scope to access this URL";
    for (path, message) in [
        ("Contacts/search?word=an".to_owned(), "Unauthorized"),
        (format!("Contacts/{id}/Notes?fields=id"), usual),
        (format!("Contacts/{id}/Deals?fields=id"), related),
        (
            "Contacts/actions/count".to_owned(),
            "You do not have the scope required to use this API.",
        ),
        ("Deals?fields=id".to_owned(), "Unauthorized"),
        ("Notes?fields=id".to_owned(), usual),
        (
            "settings/layouts?module=Deals".to_owned(),
            "Invalid oauth scope to access this URL",
        ),
        ("users".to_owned(), usual),
        ("org".to_owned(), usual),
    ] {
        let (status, refused) = client.get(&format!("/crm/v8/{path}")).await;
        assert_eq!(refused["message"], message, "{path}");
        let code = &refused["code"];
        assert_eq!(
            (status, code),
            (401, &json!("OAUTH_SCOPE_MISMATCH")),
            "{path}"
        );
    }
    let path = format!("/crm/v8/Contacts/{id}/Notes");
    let (status, refused) = client.send("POST", &path, &note("x")).await;
    assert_eq!(
        (status, &refused["code"]),
        (401, &json!("OAUTH_SCOPE_MISMATCH"))
    );
    assert_eq!(client.committed().await, 0);
}
