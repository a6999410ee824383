use super::*;

#[tokio::test]
async fn headers_and_empty_answers_are_as_zoho_sends_them() {
    let client = Client::new().await;
    let found = client.request("GET", "/crm/v8/org").send().await.unwrap();
    assert_eq!(
        found.headers()["content-type"],
        "application/json;charset=UTF-8"
    );
    assert_eq!(found.headers()["server"], "ZGS");
    assert_eq!(found.headers()["x-frame-options"], "SAMEORIGIN");
    assert_eq!(found.headers()["referrer-policy"], "strict-origin");
    assert!(
        found.headers()["x-accesstoken-reset"]
            .to_str()
            .unwrap()
            .len()
            == 25
    );
    assert!(!found.headers().contains_key("x-api-credits-remaining"));
    let never = "no-store, no-cache, must-revalidate, private";
    assert_eq!(found.headers()["cache-control"], never);
    let policy = found.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';frame-ancestors 'self';"));
    let timing = found.headers()["server-timing"].to_str().unwrap();
    assert!(timing.contains("murphySpanId;desc=\"\";dur=0"), "{timing}");
    let none = client
        .request(
            "GET",
            "/crm/v8/Contacts/search?email=nobody@nowhere.example",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(none.status().as_u16(), 204);
    assert!(!none.headers().contains_key("content-type"));
    let id = client.first("Deals").await;
    let later = client
        .request("GET", &format!("/crm/v8/Deals/{id}"))
        .header("if-modified-since", "2100-01-01T00:00:00+00:00");
    assert_eq!(later.send().await.unwrap().status().as_u16(), 304);
}

#[tokio::test]
async fn each_answer_has_two_cookies_of_a_value_of_its_own() {
    let client = Client::new().await;
    let mut values = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let found = client.request("GET", "/crm/v8/org").send().await.unwrap();
        let cookies = found.headers().get_all("set-cookie").iter();
        let cookies: Vec<&str> = cookies.map(|cookie| cookie.to_str().unwrap()).collect();
        let value = |at: usize, name: &str| {
            let value = cookies[at].strip_prefix(name).unwrap();
            value.split_once(';').unwrap().0.to_owned()
        };
        let value = [value(0, "crmcsr="), value(1, "_zcsr_tmp=")];
        assert_eq!(value[0], value[1]);
        assert_eq!(value[0].len(), 36);
        values.insert(value);
    }
    assert_eq!(values.len(), 3);
}

#[tokio::test]
async fn lists_page_by_number_and_by_token() {
    let client = Client::new().await;
    assert_eq!(
        client.get("/crm/v8/Contacts").await.1["code"],
        "REQUIRED_PARAM_MISSING"
    );
    let (_, one) = client
        .get("/crm/v8/Contacts?fields=Last_Name,Email&per_page=100")
        .await;
    let keys: Vec<_> = one["data"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["Email", "Last_Name", "id"]);
    let token = one["info"]["next_page_token"].as_str().unwrap();
    let (_, two) = client
        .get(&format!(
            "/crm/v8/Contacts?fields=Last_Name,Email&per_page=100&page_token={token}"
        ))
        .await;
    assert_eq!(two["info"]["page"], 2);
    assert!(
        two["data"][0]["id"].as_str() < one["data"][99]["id"].as_str(),
        "newest first"
    );
    let altered = client
        .get(&format!(
            "/crm/v8/Contacts?fields=Email&per_page=100&page_token={token}"
        ))
        .await;
    assert_eq!(altered.1["code"], "TOKEN_BOUND_DATA_MISMATCH");
    let (status, far) = client.get("/crm/v8/Contacts/search?word=ma&page=11").await;
    assert_eq!(
        (status, far),
        (
            400,
            json!({"code": "LIMIT_REACHED", "details": {"limit": "2000"}, "message": "maximum response iteration limit reached", "status": "error"})
        )
    );
    assert_eq!(
        client.get("/crm/v8/Contacts?fields=id&page=11").await.1["code"],
        "DISCRETE_PAGINATION_LIMIT_EXCEEDED"
    );
    let many = vec!["id"; 51].join(",");
    assert_eq!(
        client
            .get(&format!("/crm/v8/Contacts?fields={many}"))
            .await
            .1["details"],
        json!({"limit": 50, "param_name": "fields"})
    );
}

#[tokio::test]
async fn what_stands_below_a_record_can_be_read() {
    let client = Client::new().await;
    let (_, deals) = client
        .coql("select id, Contact_Name, Account_Name from Deals where Stage = 'Closed Won' limit 1")
        .await;
    let id = |field: &str| deals["data"][0][field]["id"].as_str().unwrap().to_owned();
    let (deal, contact, account) = (
        deals["data"][0]["id"].as_str().unwrap(),
        id("Contact_Name"),
        id("Account_Name"),
    );
    let (_, below) = client
        .get(&format!(
            "/crm/v8/Contacts/{contact}/Deals?fields=Deal_Name,Stage"
        ))
        .await;
    assert!(
        below["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["id"] == deal)
    );
    let (_, people) = client
        .get(&format!(
            "/crm/v8/Accounts/{account}/Contacts?fields=Full_Name"
        ))
        .await;
    assert!(people["info"]["count"].as_u64().unwrap() >= 1);
    let (_, timeline) = client
        .get(&format!("/crm/v8/Deals/{deal}/__timeline"))
        .await;
    let lines = timeline["__timeline"].as_array().unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line["field_history"][0]["_value"]["new"] == "Closed Won"),
        "{timeline}"
    );
    for list in ["Notes", "Tasks", "Events", "Calls", "Emails"] {
        for path in [
            format!("Contacts/{contact}"),
            format!("Accounts/{account}"),
            format!("Deals/{deal}"),
        ] {
            let (status, body) = client
                .get(&format!("/crm/v8/{path}/{list}?fields=id"))
                .await;
            assert!(status == 204 || status == 200, "{path}/{list}: {body}");
        }
    }
    let (status, refused) = client
        .get(&format!("/crm/v8/Deals/{deal}/Ponies?fields=id"))
        .await;
    assert_eq!(
        (status, &refused["message"]),
        (400, &json!("the relation name given seems to be invalid"))
    );
}

#[tokio::test]
async fn writes_are_checked_and_say_what_is_wrong() {
    let client = Client::new().await;
    let contact = client.first("Contacts").await;
    let notes = format!("/crm/v8/Contacts/{contact}/Notes");
    let first = |(status, body): (u16, Value)| {
        (
            status,
            body["data"][0]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            body["data"][0]["details"].clone(),
        )
    };
    let (status, code, details) = first(client.send("POST", &notes, &json!({"data": [{}]})).await);
    assert_eq!((status, code.as_str()), (400, "EXPECTED_FIELD_MISSING"));
    assert_eq!(details["expected_fields"].as_array().unwrap().len(), 2);
    let long = json!({"data": [{"Note_Title": "x".repeat(121)}]});
    assert_eq!(
        first(client.send("POST", &notes, &long).await).2["maximum_length"],
        120
    );
    let parent = json!({"data": [{"Note_Content": "x", "Parent_Id": {"module": {"api_name": "Contacts"}, "id": "6840217000009999999"}}]});
    let (_, code, details) = first(client.send("POST", "/crm/v8/Notes", &parent).await);
    assert_eq!(
        (code.as_str(), details),
        (
            "INVALID_DATA",
            json!({"api_name": "id", "json_path": "$.data[0].Parent_Id.id"})
        )
    );
    let mixed = json!({"data": [{"Last_Name": "Quince"}, {"First_Name": "Nobody"}]});
    let (status, body) = client.send("POST", "/crm/v8/Contacts", &mixed).await;
    assert_eq!(
        (status, &body["data"][0]["code"], &body["data"][1]["code"]),
        (207, &json!("SUCCESS"), &json!("MANDATORY_NOT_FOUND"))
    );
    let made = body["data"][0]["details"]["id"].as_str().unwrap();
    let path = format!("/crm/v8/Contacts/{made}");
    assert_eq!(
        client
            .send("PUT", &path, &json!({"data": [{"Title": "Chief"}]}))
            .await
            .0,
        200
    );
    assert_eq!(client.get(&path).await.1["data"][0]["Title"], "Chief");
    let stale = client
        .request("PUT", &path)
        .header("if-unmodified-since", "2020-01-01T00:00:00+00:00")
        .json(&json!({"data": [{"Title": "x"}]}));
    let (status, body) = seen(stale.send().await.unwrap()).await;
    assert_eq!(
        (status, &body["data"][0]["code"]),
        (412, &json!("ALREADY_MODIFIED"))
    );
    assert_eq!(
        client.send("POST", "/crm/v8/Unicorns", &mixed).await.1["data"][0]["code"],
        "INVALID_MODULE"
    );
}

#[tokio::test]
async fn hostile_requests_get_an_error_answer() {
    let client = Client::new().await;
    let deep = "[".repeat(100_000);
    for (path, body) in [
        ("/crm/v8/coql", deep.clone()),
        ("/crm/v8/Notes", deep),
        ("/crm/v8/Notes", "\u{0}".into()),
        ("/__sim/clock", r#"{"advance":"99999999999999d"}"#.into()),
    ] {
        let response = client
            .request("POST", path)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 400, "{path}");
    }
    let quotes = format!(
        "select id from Deals where Deal_Name in ({}'')",
        "'',".repeat(200_000)
    );
    assert_eq!(client.coql(&quotes).await.1["code"], "LIMIT_EXCEEDED");
    let huge = client
        .request("POST", "/crm/v8/Notes")
        .body("x".repeat(2 << 20))
        .send()
        .await;
    assert!(huge.is_err() || huge.is_ok_and(|response| response.status().as_u16() == 413));
    for path in [
        "Contacts/search?word=%ff",
        "Contacts?fields=id&page=99999999999999999999",
        "Contacts?fields=id&per_page=0",
        "Contacts/search?phone=abc",
        "Contacts/99999999999999999999",
    ] {
        assert_eq!(
            client.get(&format!("/crm/v8/{path}")).await.0,
            400,
            "{path}"
        );
    }
    assert_eq!(client.get("/crm/v8").await.0, 404);
    assert_eq!(client.get("/crm/v8/org").await.0, 200, "it still answers");
}

/// The state that the property test below asks, made once.
static DESK: std::sync::LazyLock<Desk> = std::sync::LazyLock::new(|| {
    let today = jiff::civil::date(2026, 5, 14);
    let crm = seed::sow(today);
    let tokens = Tokens::new(String::new(), String::new(), []);
    Desk::new(
        String::new(),
        Clock::default(),
        Settings::default(),
        tokens,
        Cursors::new([0; 32]),
        crm,
        today,
    )
});

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn no_request_makes_the_crm_panic(
        method in "GET|POST|PUT",
        path in "(Contacts|Deals|Notes|Tasks|users|org|settings|coql|actions|search|count|fields|__timeline|Emails|6840217000001001001|6840217000001003000|9){1}(/(search|actions|count|Notes|Emails|__timeline|6840217000001001001|\\PC{0,5})){0,2}",
        query in "((fields|page|per_page|page_token|sort_by|sort_order|criteria|word|email|phone|ids|index|type)=(id|1|200|-1|asc|Last_Name|%28a%3Ab%29|%ff|[0-9a-f-]{0,40}|\\PC{0,8})&){0,4}",
        body in "(\\{\"data\":\\[\\{\"(Last_Name|Parent_Id|Owner|Amount|Note_Title|id)\":(1e308|null|\"x\"|\\{\\}|\\[\\]|-1)\\}\\]\\})|\\PC{0,30}",
    ) {
        let user = DESK.crm().users[0].id;
        if let (Ok(route), Some(query)) = (route::find(&method, &format!("/crm/v8/{path}")), query::Query::parse(&query)) {
            let asked = desk::Asked {
                user,
                scope: None,
                path: &path,
                query,
                body: body.as_bytes(),
                now: DESK.clock.now(),
                modified_since: None,
                unmodified_since: None,
            };
            let answer = DESK.answer(&route, &asked);
            proptest::prop_assert!([200, 201, 204, 207, 400, 403, 412].contains(&answer.status), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_case_is_opened_found_and_closed_like_any_record() {
    let client = Client::new().await;
    let query = "select Account_Name, Related_To from Cases where ((Status = 'New' and \
                 Account_Name is not null) and Related_To is not null) limit 1";
    let (status, found) = client.coql(query).await;
    assert_eq!(status, 200, "{found}");
    let of = |field: &str| found["data"][0][field]["id"].as_str().unwrap().to_owned();
    let (account, contact) = (of("Account_Name"), of("Related_To"));
    let mut case = json!({"Subject": "Balance is off", "Status": "New", "Case_Origin": "Phone",
        "Account_Name": {"id": account}, "Related_To": {"id": contact}});
    let (status, made) = client
        .send("POST", "/crm/v8/Cases", &json!({"data": [case]}))
        .await;
    assert_eq!(status, 201, "{made}");
    let id = &made["data"][0]["details"]["id"];
    let search = "/crm/v8/Cases/search?criteria=(Subject:equals:Balance is off)";
    for path in [
        search.to_owned(),
        format!("/crm/v8/Accounts/{account}/Cases?fields=id"),
        format!("/crm/v8/Contacts/{contact}/Cases?fields=id"),
        "/crm/v8/Cases?fields=id&per_page=1".to_owned(),
    ] {
        assert_eq!(&client.get(&path).await.1["data"][0]["id"], id, "{path}");
    }
    let fields = client.get("/crm/v8/settings/fields?module=Cases").await.1;
    let mandatory: Vec<_> = fields["fields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|field| field["system_mandatory"] == true)
        .map(|field| &field["api_name"])
        .collect();
    assert_eq!(mandatory, ["Subject", "Status", "Case_Origin"]);
    let path = format!("/crm/v8/Cases/{}", id.as_str().unwrap());
    let closed = json!({"data": [{"Status": "Closed", "Solution": "Levelled."}]});
    assert_eq!(client.send("PUT", &path, &closed).await.0, 200);
    case["Status"] = json!("Resting");
    let refused = client
        .send("POST", "/crm/v8/Cases", &json!({"data": [case]}))
        .await;
    assert_eq!(refused.1["data"][0]["details"]["api_name"], "Status");
    case.as_object_mut().unwrap().remove("Case_Origin");
    let refused = client
        .send("POST", "/crm/v8/Cases", &json!({"data": [case]}))
        .await;
    assert_eq!(refused.1["data"][0]["code"], "MANDATORY_NOT_FOUND");
}
