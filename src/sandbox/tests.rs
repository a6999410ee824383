use std::time::Duration;

use serde_json::{Value, json};

use super::*;

struct Client {
    sandbox: Sandbox,
    http: reqwest::Client,
    token: String,
}

impl Client {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let mut client = Self {
            sandbox,
            http,
            token: String::new(),
        };
        let admin = client.sandbox.credentials().refresh_tokens.admin.clone();
        client.token = client.mint(&admin).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        client
    }

    async fn mint(&self, refresh: &str) -> Value {
        let of = self.sandbox.credentials();
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &of.client_id),
            ("client_secret", &of.client_secret),
            ("refresh_token", refresh),
        ];
        let url = format!("{}/oauth/v2/token", self.sandbox.url());
        self.http
            .post(url)
            .form(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sandbox.url());
        let authorization = format!("Zoho-oauthtoken {}", self.token);
        self.http
            .request(method.parse().unwrap(), url)
            .header("authorization", authorization)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        seen(self.request("GET", path).send().await.unwrap()).await
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        seen(self.request(method, path).json(body).send().await.unwrap()).await
    }

    async fn coql(&self, query: &str) -> (u16, Value) {
        self.send("POST", "/crm/v8/coql", &json!({"select_query": query}))
            .await
    }

    async fn first(&self, module: &str) -> String {
        let (_, found) = self
            .get(&format!("/crm/v8/{module}?fields=id&per_page=1"))
            .await;
        found["data"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn fault(&self, fault: Value) {
        assert_eq!(self.send("POST", "/__sim/faults", &fault).await.0, 201);
    }

    async fn committed(&self) -> usize {
        let (_, journal) = self.get("/__sim/journal").await;
        let requests = journal["requests"].as_array().unwrap();
        requests
            .iter()
            .map(|request| request["committed"].as_array().unwrap().len())
            .sum()
    }
}

async fn seen(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

fn note(text: &str) -> Value {
    json!({"data": [{"Note_Title": "From a test", "Note_Content": text}]})
}

#[tokio::test]
async fn a_client_searches_queries_and_notes_and_the_journal_tells_it() {
    let client = Client::new().await;
    let (status, found) = client
        .get("/crm/v8/Contacts/search?criteria=(Last_Name:equals:O'Shaughnessy)")
        .await;
    assert_eq!((status, &found["info"]["count"]), (200, &json!(1)));
    let contact = found["data"][0]["id"].as_str().unwrap();
    assert_eq!(found["data"][0]["Full_Name"], "Fionnuala O'Shaughnessy");
    assert!(found["data"][0]["Owner"]["email"].is_string());
    let (status, rows) = client
        .coql("select Stage, SUM(Amount) from Deals where id is not null group by Stage")
        .await;
    assert_eq!((status, rows["data"].as_array().unwrap().len()), (200, 9));
    let (status, made) = client
        .send(
            "POST",
            &format!("/crm/v8/Contacts/{contact}/Notes"),
            &note("hello"),
        )
        .await;
    assert_eq!((status, &made["data"][0]["code"]), (201, &json!("SUCCESS")));
    let (_, notes) = client
        .get(&format!(
            "/crm/v8/Contacts/{contact}/Notes?fields=Note_Content,Parent_Id"
        ))
        .await;
    assert_eq!(notes["data"][0]["Note_Content"], "hello");
    assert_eq!(notes["data"][0]["Parent_Id"]["id"], contact);
    let (_, journal) = client.get("/__sim/journal").await;
    let requests = journal["requests"].as_array().unwrap();
    let paths: Vec<_> = requests
        .iter()
        .map(|request| request["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths.len(), 5);
    assert_eq!((paths[0], paths[2]), ("/oauth/v2/token", "/crm/v8/coql"));
    assert_eq!(
        requests[3]["committed"],
        json!([{"module": "Notes", "id": made["data"][0]["details"]["id"]}])
    );
    assert_eq!(requests[3]["user"], "ingrid@tallowmere.example");
    client.sandbox.stop().await;
}

#[tokio::test]
async fn headers_and_empty_answers_are_as_zoho_sends_them() {
    let client = Client::new().await;
    let found = client.request("GET", "/crm/v8/org").send().await.unwrap();
    assert_eq!(
        found.headers()["content-type"],
        "application/json;charset=UTF-8"
    );
    assert_eq!(found.headers()["server"], "ZGS");
    assert!(
        found.headers()["x-accesstoken-reset"]
            .to_str()
            .unwrap()
            .len()
            == 25
    );
    assert!(!found.headers().contains_key("x-api-credits-remaining"));
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
async fn whoever_has_no_token_is_refused_and_pays_nothing() {
    let mut client = Client::new().await;
    client.token = "1000.x.y".to_owned();
    let (status, body) = client.get("/crm/v8/org").await;
    assert_eq!(
        (status, body),
        (
            401,
            json!({"code": "INVALID_TOKEN", "details": {}, "message": "invalid oauth token", "status": "error"})
        )
    );
    let bare = client
        .http
        .get(format!("{}/crm/v8/org", client.sandbox.url()))
        .send()
        .await
        .unwrap();
    let (status, body) = seen(bare).await;
    assert_eq!(
        (status, &body["code"], &body["message"]),
        (
            401,
            &json!("AUTHENTICATION_FAILURE"),
            &json!("Authentication failed")
        )
    );
    assert_eq!(client.get("/__sim/state").await.1["credits"]["used"], 0);
}

#[tokio::test]
async fn a_token_ends_when_the_clock_has_moved_an_hour() {
    let client = Client::new().await;
    assert_eq!(
        client
            .send("POST", "/__sim/clock", &json!({"advance": "2h"}))
            .await
            .0,
        200
    );
    assert_eq!(client.get("/crm/v8/org").await.0, 401);
    assert_eq!(client.send("POST", "/__sim/reset", &json!({})).await.0, 200);
    let (_, state) = client.get("/__sim/state").await;
    assert_eq!(
        (&state["tokens"]["minted"], &state["clock"]["offset_ms"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn a_reset_is_an_abort_at_the_client_and_only_one_kind_commits() {
    let client = Client::new().await;
    let contact = client.first("Contacts").await;
    let path = format!("/crm/v8/Contacts/{contact}/Notes");
    for (fault, committed) in [("reset_before", 0), ("reset_after_commit", 1)] {
        client
            .fault(
                json!({"fault": fault, "path": "/crm/v8/Contacts", "method": "POST", "times": 1}),
            )
            .await;
        let error = client
            .request("POST", &path)
            .json(&note(fault))
            .send()
            .await
            .unwrap_err();
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        let mut texts = String::new();
        while let Some(error) = source {
            texts.push_str(&format!("{error}; "));
            source = error.source();
        }
        assert!(texts.contains("reset"), "{texts}");
        assert_eq!(client.committed().await, committed, "{fault}");
    }
    assert_eq!(client.send("POST", &path, &note("now")).await.0, 201);
    assert_eq!(client.committed().await, 2);
}

#[tokio::test]
async fn answers_can_be_cut_dripped_replaced_and_late() {
    let client = Client::new().await;
    client
        .fault(json!({"fault": "truncate", "path": "/crm/v8/org", "times": 1}))
        .await;
    let cut = client.request("GET", "/crm/v8/org").send().await.unwrap();
    assert_eq!(cut.status().as_u16(), 200);
    assert!(
        cut.text().await.is_err(),
        "the body is shorter than announced"
    );
    client
        .fault(json!({"fault": "drip", "delay": "5ms", "times": 1}))
        .await;
    assert_eq!(
        client.get("/crm/v8/org").await.1["org"][0]["iso_code"],
        "USD"
    );
    client.fault(json!({"fault": "html", "times": 1})).await;
    let page = client.request("GET", "/crm/v8/org").send().await.unwrap();
    assert_eq!(
        (
            page.status().as_u16(),
            page.headers()["content-type"].to_str().unwrap()
        ),
        (200, "text/html;charset=UTF-8")
    );
    client
        .fault(json!({"fault": "status", "status": 500, "times": 1}))
        .await;
    assert_eq!(
        client.get("/crm/v8/org").await,
        (
            500,
            json!({"code": "INTERNAL_ERROR", "details": {}, "message": "Internal Server Error", "status": "error"})
        )
    );
    client.fault(json!({"fault": "status", "status": 429, "body": {"code": 429, "details": []}, "times": 1})).await;
    assert_eq!(
        client.get("/crm/v8/org").await,
        (429, json!({"code": 429, "details": []}))
    );
    client
        .fault(json!({"fault": "latency", "delay": "50ms", "times": 1}))
        .await;
    let before = std::time::Instant::now();
    assert_eq!(client.get("/crm/v8/org").await.0, 200);
    assert!(before.elapsed() >= Duration::from_millis(50));
    client.fault(json!({"fault": "revoke_tokens"})).await;
    assert_eq!(client.get("/crm/v8/org").await.0, 401);
    let (status, refused) = client
        .send(
            "POST",
            "/__sim/faults",
            &json!({"fault": "html", "pth": "/crm"}),
        )
        .await;
    assert_eq!(status, 400);
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("unknown field `pth`"),
        "{refused}"
    );
    assert_eq!(client.get("/__sim/faults").await.1, json!({"faults": []}));
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
        (400, &json!("The relation name given seems to be invalid"))
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

#[tokio::test]
async fn credits_run_out_and_the_header_warns_before() {
    let client = Client::with(Options {
        daily_credits: 4,
        ..Options::default()
    })
    .await;
    let remaining = async |n: usize| {
        let response = client.request("GET", "/crm/v8/org").send().await.unwrap();
        assert_eq!(response.status().as_u16(), if n < 4 { 200 } else { 429 });
        response
            .headers()
            .get("x-api-credits-remaining")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let mut seen = Vec::new();
    for n in 0..5 {
        seen.push(remaining(n).await);
    }
    assert_eq!(
        seen,
        [
            None,
            Some("2".into()),
            Some("1".into()),
            Some("0".into()),
            None
        ]
    );
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused() {
    let client = Client::with(Options {
        concurrency: 3,
        ..Options::default()
    })
    .await;
    client
        .fault(json!({"fault": "latency", "delay": "400ms"}))
        .await;
    let answers = futures_util::future::join_all((0..5).map(|_| client.get("/crm/v8/org"))).await;
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 200).count(),
        3
    );
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 429).count(),
        2
    );
    assert_eq!(
        client.get("/__sim/state").await.1["requests"]["max_in_flight"],
        3
    );
}

#[tokio::test]
async fn each_refresh_token_is_another_user() {
    let mut client = Client::new().await;
    let tokens = client.sandbox.credentials().refresh_tokens.clone();
    let mut counts = Vec::new();
    for (refresh, email) in [
        (tokens.admin, "ingrid"),
        (tokens.manager, "priya"),
        (tokens.rep_1, "yuki"),
    ] {
        client.token = client.mint(&refresh).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let (_, me) = client.get("/crm/v8/users?type=CurrentUser").await;
        assert_eq!(
            me["users"][0]["email"],
            format!("{email}@tallowmere.example")
        );
        counts.push(
            client.get("/crm/v8/Deals/actions/count").await.1["count"]
                .as_u64()
                .unwrap(),
        );
    }
    assert!(counts.is_sorted_by(|a, b| a > b), "{counts:?}");
}

#[tokio::test]
async fn it_starts_at_once_and_stops_when_dropped() {
    let before = std::time::Instant::now();
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    eprintln!("started in {:?}", before.elapsed());
    assert!(before.elapsed() < Duration::from_secs(5));
    let ready = serde_json::to_value(sandbox.credentials()).unwrap();
    let keys: Vec<_> = ready.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "accounts",
            "api",
            "client_id",
            "client_secret",
            "refresh_tokens"
        ]
    );
    assert!(ready["refresh_tokens"]["rep-1"].is_string());
    let url = sandbox.url().to_owned();
    drop(sandbox);
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let mut gone = false;
    for _ in 0..50 {
        gone = gone || http.get(format!("{url}/__sim/state")).send().await.is_err();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(gone);
}
