mod crm;
mod described;
mod documented;
mod dots;
mod examples;
mod faults;
mod grants;
mod locks;
mod openapi;
mod recorded;
mod refused;
mod rights;
mod shapes;
mod sources;
mod whole;
mod writes;

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

    /// The same sandbox, asked as another user from now on.
    async fn become_user(&mut self, refresh: &str) {
        let minted = self.mint(refresh).await;
        self.token = minted["access_token"].as_str().unwrap().to_owned();
    }

    async fn set(&self, settings: Value) {
        let (status, body) = self.send("POST", "/__sim/settings", &settings).await;
        assert_eq!(status, 200, "{body}");
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
