//! The accounts server: who gets a token, and in which words the others are refused.

use super::*;

async fn ask(client: &Client, changes: &[(&str, &str)]) -> (u16, Value) {
    let of = client.sandbox.credentials();
    let mut form = vec![
        ("grant_type", "refresh_token"),
        ("client_id", of.client_id.as_str()),
        ("client_secret", &of.client_secret),
        ("refresh_token", &of.refresh_tokens.admin),
    ];
    form.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    form.extend(changes);
    let url = format!("{}/oauth/v2/token", client.sandbox.url());
    seen(client.http.post(url).form(&form).send().await.unwrap()).await
}

#[tokio::test]
async fn refusals_of_a_token_come_with_status_200_and_a_word() {
    let client = Client::new().await;
    for (name, value, word) in [
        ("client_id", "1000.NOBODY", "invalid_client"),
        ("client_secret", "wrong", "invalid_client_secret"),
        ("refresh_token", "1000.no.one", "invalid_code"),
        ("grant_type", "authorization_code", "invalid_code"),
        ("grant_type", "password", "unsupported_grant_type"),
    ] {
        let told = ask(&client, &[(name, value)]).await;
        assert_eq!(told, (200, json!({"error": word})), "{name}");
    }
    let state = client.get("/__sim/state").await.1;
    assert_eq!(state["tokens"]["minted"], 1, "the client's own");
}

#[tokio::test]
async fn a_token_says_what_it_is_good_for_and_where() {
    let client = Client::new().await;
    let (status, minted) = ask(&client, &[]).await;
    assert_eq!(status, 200);
    let token = minted["access_token"].as_str().unwrap();
    let parts: Vec<usize> = token.split('.').map(str::len).collect();
    assert_eq!(parts, [4, 32, 32], "{token}");
    assert_eq!(minted["token_type"], "Bearer");
    assert_eq!(minted["expires_in"], 3600);
    assert_eq!(minted["api_domain"], client.sandbox.url());
    assert!(
        minted["scope"]
            .as_str()
            .unwrap()
            .contains("ZohoCRM.coql.READ")
    );
    assert!(minted.get("refresh_token").is_none(), "{minted}");
    client.set(json!({"scopes": "ZohoCRM.org.READ"})).await;
    assert_eq!(ask(&client, &[]).await.1["scope"], "ZohoCRM.org.READ");
}

#[tokio::test]
async fn what_sources_disagree_about_is_answered_either_way() {
    let client = Client::new().await;
    let told = ask(&client, &[]).await.1;
    assert_eq!(
        (&told["expires_in"], &told["expires_in_sec"]),
        (&json!(3600), &Value::Null)
    );
    client
        .set(
            json!({ "token_scope": false, "legacy_expiry": true, "token_error_status": 400,
            "token_denied_status": 200 }),
        )
        .await;
    let told = ask(&client, &[]).await.1;
    assert_eq!(
        (&told["expires_in"], &told["expires_in_sec"]),
        (&json!(3_600_000), &json!(3600))
    );
    assert_eq!(told.get("scope"), None);
    let refused = ask(&client, &[("client_id", "1000.NOBODY")]).await;
    assert_eq!(refused, (400, json!({ "error": "invalid_client" })));
    for _ in 0..9 {
        ask(&client, &[]).await;
    }
    let (status, denied) = ask(&client, &[]).await;
    assert_eq!((status, &denied["error"]), (200, &json!("Access Denied")));
}

#[tokio::test]
async fn a_client_gets_a_token_of_its_org_where_that_grant_is_known() {
    let client = Client::new().await;
    let org = client.get("/crm/v8/org").await.1;
    let soid = format!("ZohoCRM.{}", org["org"][0]["zgid"].as_str().unwrap());
    let own = async |soid: &str, scope: &str| {
        let grant = ("grant_type", "client_credentials");
        ask(
            &client,
            &[
                grant,
                ("refresh_token", ""),
                ("soid", soid),
                ("scope", scope),
            ],
        )
        .await
    };
    let (status, minted) = own(&soid, "ZohoCRM.org.READ").await;
    assert_eq!(status, 200);
    assert!(minted["access_token"].is_string() && minted.get("refresh_token").is_none());
    assert_eq!(minted["scope"], "ZohoCRM.org.READ");
    let narrow = own(&soid, "ZohoCRM.coql.READ,ZohoCRM.modules.deals.READ")
        .await
        .1;
    assert_eq!(
        narrow["scope"],
        "ZohoCRM.coql.READ ZohoCRM.modules.deals.READ"
    );
    let refused = own("ZohoCRM.1", "ZohoCRM.org.READ").await.1;
    assert_eq!(refused["error"], "invalid_code");
    for scope in [
        "",
        "x",
        "ZohoCRM.unicorns.READ",
        "ZohoCRM.org.READ,ZohoCRM.org",
        "ZohoCRM.org.FLY",
        "ZohoCRM.modules.widgets.READ",
        "ZohoCRM.settings.widgets.READ",
    ] {
        let refused = own(&soid, scope).await;
        assert_eq!(refused, (200, json!({"error": "invalid_scope"})), "{scope}");
    }
    client.set(json!({ "client_credentials": false })).await;
    let refused = own(&soid, "ZohoCRM.org.READ").await.1;
    assert_eq!(refused["error"], "unsupported_grant_type");
    let mut client = client;
    client.token = narrow["access_token"].as_str().unwrap().to_owned();
    assert_eq!(client.get("/crm/v8/Deals?fields=id").await.0, 200);
    for path in ["/crm/v8/org", "/crm/v8/Contacts?fields=id"] {
        let refused = client.get(path).await.1;
        assert_eq!(refused["code"], "OAUTH_SCOPE_MISMATCH", "{path}");
    }
    let contacts = "select id from Contacts where id is not null";
    assert_eq!(client.coql(contacts).await.0, 401);
}

#[tokio::test]
async fn the_eleventh_token_within_ten_minutes_is_denied_until_nobody_asks_any_more() {
    let client = Client::new().await;
    for _ in 0..9 {
        assert_eq!(ask(&client, &[]).await.0, 200);
    }
    let denied = json!({
        "error": "Access Denied",
        "error_description": "You have made too many requests continuously. Please try again after some time.",
        "status": "failure",
    });
    let later = async |span: &str| {
        let order = json!({ "advance": span });
        client.send("POST", "/__sim/clock", &order).await
    };
    for _ in 0..10 {
        assert_eq!(ask(&client, &[]).await, (400, denied.clone()));
    }
    later("9m").await;
    assert_eq!(ask(&client, &[]).await.0, 400);
    later("11m").await;
    assert_eq!(ask(&client, &[]).await.0, 200);
}

#[tokio::test]
async fn a_revoked_refresh_token_takes_its_access_tokens_with_it() {
    let client = Client::new().await;
    let admin = client.sandbox.credentials().refresh_tokens.admin.clone();
    let revoke = format!(
        "{}/oauth/v2/token/revoke?token={admin}",
        client.sandbox.url()
    );
    let told = seen(client.http.post(&revoke).send().await.unwrap()).await;
    assert_eq!(told, (200, json!({"status": "success"})));
    assert_eq!(client.get("/crm/v8/org").await.1["code"], "INVALID_TOKEN");
    assert_eq!(ask(&client, &[]).await.1["error"], "invalid_code");
}

#[tokio::test]
async fn a_query_needs_the_right_to_read_its_module() {
    let client = Client::new().await;
    let scopes = "ZohoCRM.coql.READ ZohoCRM.modules.contacts.READ";
    client.set(json!({ "scopes": scopes })).await;
    let deals = "select id from Deals where id is not null";
    let (status, refused) = client.coql(deals).await;
    assert_eq!(
        (status, &refused["code"]),
        (401, &json!("OAUTH_SCOPE_MISMATCH"))
    );
    assert_eq!(refused["message"], "invalid oauth scope to access this URL");
    assert_eq!(
        client.coql(&deals.replace("Deals", "Contacts")).await.0,
        200
    );
}
