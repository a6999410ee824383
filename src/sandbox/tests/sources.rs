//! Where the sources on Zoho disagree, either can be had.

use super::*;

#[tokio::test]
async fn token_errors_come_with_either_status_and_older_tokens_end_sooner() {
    let mut client = Client::new().await;
    let status = async |client: &Client| {
        let url = format!("{}/oauth/v2/token", client.sandbox.url());
        let sent = client.http.post(url).form(&[("client_id", "x")]);
        sent.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(&client).await, 200);
    client
        .set(json!({"token_error_status": 400, "live_tokens": 2}))
        .await;
    assert_eq!(status(&client).await, 400);
    let first = client.token.clone();
    let admin = client.sandbox.credentials().refresh_tokens.admin.clone();
    client.become_user(&admin).await;
    assert_eq!(client.get("/crm/v8/org").await.0, 200);
    client.become_user(&admin).await;
    assert_eq!(client.get("/crm/v8/org").await.0, 200);
    client.token = first;
    assert_eq!(client.get("/crm/v8/org").await.1["code"], "INVALID_TOKEN");
}

#[tokio::test]
async fn an_unknown_id_is_nothing_or_an_error() {
    let client = Client::new().await;
    let path = "/crm/v8/Contacts/6840217000009999999?fields=Email";
    assert_eq!(client.get(path).await.0, 204);
    client.set(json!({"unknown_id_status": 400})).await;
    let (status, refused) = client.get(path).await;
    assert_eq!((status, &refused["code"]), (400, &json!("INVALID_DATA")));
    client.set(json!({"wrapped_errors": "always"})).await;
    assert_eq!(client.get(path).await.1["data"][0]["code"], "INVALID_DATA");
    client.set(json!({"wrapped_errors": "never"})).await;
    let row = json!({"data": [{}]});
    let (_, refused) = client.send("POST", "/crm/v8/Contacts", &json!([])).await;
    assert_eq!(refused["code"], "INVALID_DATA");
    let (_, refused) = client.send("POST", "/crm/v8/Contacts", &row).await;
    assert_eq!(refused["data"][0]["code"], "MANDATORY_NOT_FOUND");
}

#[tokio::test]
async fn both_kinds_of_429_are_told_in_either_way() {
    let client = Client::with(Options {
        settings: Settings {
            daily_credits: 1,
            ..Settings::default()
        },
        ..Options::default()
    })
    .await;
    assert_eq!(client.get("/crm/v8/org").await.0, 200);
    let (status, spent) = client.get("/crm/v8/org").await;
    assert_eq!((status, &spent["code"]), (429, &json!("TOO_MANY_REQUESTS")));
    client
        .set(json!({"legacy_spent": true, "retry_after": 60}))
        .await;
    let spent = client.request("GET", "/crm/v8/org").send().await.unwrap();
    assert_eq!(spent.headers()["retry-after"], "60");
    let (_, spent) = seen(spent).await;
    assert_eq!(
        (&spent["code"], &spent["details"]),
        (&json!(429), &json!([]))
    );
    client
        .set(json!({"daily_credits": 100, "concurrency": 0, "busy_code": "RATE_LIMIT_EXCEEDED"}))
        .await;
    assert_eq!(
        client.get("/crm/v8/org").await.1["code"],
        "RATE_LIMIT_EXCEEDED"
    );
}

#[tokio::test]
async fn failed_calls_cost_or_do_not() {
    let client = Client::new().await;
    let used = async || client.get("/__sim/state").await.1["credits"]["used"].clone();
    assert_eq!(client.get("/crm/v8/Contacts").await.0, 400);
    assert_eq!(used().await, 1);
    client.set(json!({"failed_calls_cost": false})).await;
    assert_eq!(client.get("/crm/v8/Contacts").await.0, 400);
    assert_eq!(used().await, 1);
}

#[tokio::test]
async fn a_search_may_lag_behind_what_was_written_and_a_query_does_not() {
    let client = Client::new().await;
    client.set(json!({"search_index_delay_ms": 60_000})).await;
    let row = json!({"data": [{"Last_Name": "Zzyzxqwertz"}]});
    let (_, made) = client.send("POST", "/crm/v8/Contacts", &row).await;
    let id = made["data"][0]["details"]["id"].as_str().unwrap();
    let search = "/crm/v8/Contacts/search?word=Zzyzxqwertz";
    assert_eq!(client.get(search).await.0, 204);
    assert_eq!(client.get(&format!("/crm/v8/Contacts/{id}")).await.0, 200);
    let query = "select id from Contacts where Last_Name = 'Zzyzxqwertz'";
    assert_eq!(client.coql(query).await.0, 200);
    client
        .send("POST", "/__sim/clock", &json!({"advance": "2m"}))
        .await;
    assert_eq!(client.get(search).await.0, 200);
}

#[tokio::test]
async fn searches_and_queries_have_either_size_and_quotes_either_escape() {
    let client = Client::new().await;
    let many = ["(Last_Name:starts_with:A)"; 12].join("or");
    let search = format!("/crm/v8/Contacts/search?criteria={many}");
    assert_eq!(client.get(&search).await.0, 200);
    client.set(json!({"search_criteria": 10})).await;
    assert_eq!(
        client.get(&search).await.1["code"],
        "CRITERIA_LIMIT_EXCEEDED"
    );
    let names: Vec<String> = (0..60).map(|n| format!("Last_Name as n{n}")).collect();
    let wide = format!(
        "select {} from Contacts where id is not null",
        names.join(", ")
    );
    assert_eq!(client.coql(&wide).await.1["code"], "LIMIT_EXCEEDED");
    client.set(json!({"coql_columns": 500})).await;
    assert_ne!(client.coql(&wide).await.1["code"], "LIMIT_EXCEEDED");
    let escaped = r"select id from Contacts where Last_Name = 'O\'Shaughnessy'";
    assert_eq!(client.coql(escaped).await.0, 200);
    client.set(json!({"coql_backslash": false})).await;
    assert_eq!(client.coql(escaped).await.0, 400);
    let doubled = "select id from Contacts where Last_Name = 'O''Shaughnessy'";
    assert_eq!(client.coql(doubled).await.0, 200);
}

#[tokio::test]
async fn mistakes_of_a_write_are_told_in_the_order_that_they_are_looked_for() {
    let client = Client::new().await;
    client.set(json!({"unique_email": true})).await;
    let email = client
        .coql("select Email from Contacts where Email is not null limit 1")
        .await
        .1;
    let mut row = json!({
        "Last_Name": "", "Title": "x".repeat(101), "Email_Opt_Out": "maybe",
        "Lead_Source": "Nowhere", "Account_Name": {"id": "1"}, "Email": email["data"][0]["Email"],
    });
    for (field, value, code, key) in [
        (
            "Last_Name",
            json!("Pell"),
            "MANDATORY_NOT_FOUND",
            "api_name",
        ),
        (
            "Email_Opt_Out",
            json!(true),
            "INVALID_DATA",
            "expected_data_type",
        ),
        ("Title", json!("CEO"), "INVALID_DATA", "maximum_length"),
        ("Lead_Source", json!("Partner"), "INVALID_DATA", "json_path"),
        ("Account_Name", Value::Null, "INVALID_DATA", "json_path"),
        (
            "Email",
            json!("pell@new.example"),
            "DUPLICATE_DATA",
            "duplicate_record",
        ),
    ] {
        let body = json!({"data": [row.clone()]});
        let (_, refused) = client.send("POST", "/crm/v8/Contacts", &body).await;
        let refused = &refused["data"][0];
        assert_eq!(refused["code"], code, "{field}: {refused}");
        assert!(!refused["details"][key].is_null(), "{field}: {refused}");
        row[field] = value;
    }
    let body = json!({"data": [row]});
    assert_eq!(client.send("POST", "/crm/v8/Contacts", &body).await.0, 201);
}

#[tokio::test]
async fn settings_that_are_not_known_are_refused() {
    let client = Client::new().await;
    for settings in [
        json!({"live": 1}),
        json!({"unknown_id_status": 404}),
        json!([]),
    ] {
        let (status, _) = client.send("POST", "/__sim/settings", &settings).await;
        assert_eq!(status, 400, "{settings}");
    }
}
