//! The CRM behind the daemon: what makes it misbehave, what it saw, and what is true, whatever the
//! daemon says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    house::{House, MANAGER, REP, http},
    process::{Folder, Process},
};

/// Starts a sandbox.
pub(crate) async fn sandbox(folder: &Folder) -> (Process, Zoho) {
    let ready = folder.path("sandbox.json");
    let arguments = [
        "sandbox",
        "--listen",
        "127.0.0.1:0",
        "--ready-file",
        ready.to_str().unwrap(),
    ];
    let process = Process::start(&arguments, &BTreeMap::new());
    let zoho = Zoho::new(&process.wait_for(&ready).await["zoho"]);
    (process, zoho)
}

/// The sandbox's controls.
#[derive(Clone)]
pub(crate) struct Zoho {
    pub(crate) url: String,
    pub(crate) daemon_credentials: Value,
    pub(crate) refresh_tokens: Value,
    pub(crate) http: reqwest::Client,
    /// For asking the CRM directly: Zoho gives only so many.
    pub(crate) token: tokio::sync::OnceCell<String>,
}

impl Zoho {
    /// As its ready file says.
    pub(crate) fn new(ready: &Value) -> Self {
        Self {
            url: ready["api"].as_str().unwrap().to_owned(),
            daemon_credentials: json!({
                "client_id": ready["client_id"],
                "client_secret": ready["client_secret"],
                "refresh_token": ready["refresh_tokens"]["admin"],
            }),
            refresh_tokens: ready["refresh_tokens"].clone(),
            http: http(),
            token: tokio::sync::OnceCell::new(),
        }
    }

    /// The credentials of people, by e-mail address.
    pub(crate) fn people(&self) -> Value {
        let person = |email: &str, token: &str| {
            let token = &self.refresh_tokens[token];
            (
                email.to_owned(),
                json!({ "refresh_token": token, "user": email }),
            )
        };
        [person(MANAGER, "manager"), person(REP, "rep-1")]
            .into_iter()
            .collect()
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let sent = self
            .http
            .post(format!("{}/__sim/faults", self.url))
            .json(&fault)
            .send()
            .await
            .unwrap();
        assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
    }

    pub(crate) async fn mend(&self) {
        let sent = self
            .http
            .delete(format!("{}/__sim/faults", self.url))
            .send()
            .await
            .unwrap();
        assert!(sent.status().is_success());
    }

    /// What it counts.
    pub(crate) async fn state(&self) -> Value {
        let asked = self.http.get(format!("{}/__sim/state", self.url));
        asked.send().await.unwrap().json().await.unwrap()
    }

    /// The requests that it saw, in order.
    pub(crate) async fn journal(&self) -> Vec<Value> {
        let sent = self
            .http
            .get(format!("{}/__sim/journal", self.url))
            .send()
            .await
            .unwrap();
        let journal: Value = sent.json().await.unwrap();
        journal["requests"].as_array().unwrap().clone()
    }

    /// How many requests with that method and path prefix it saw.
    pub(crate) async fn seen(&self, method: &str, path: &str) -> usize {
        let journal = self.journal().await;
        let matches = |entry: &&Value| {
            entry["method"] == method && entry["path"].as_str().unwrap().starts_with(path)
        };
        journal.iter().filter(matches).count()
    }

    /// How many notes were written.
    pub(crate) async fn notes_written(&self) -> usize {
        self.written("Notes").await
    }

    /// How many times a record of that module was written.
    pub(crate) async fn written(&self, module: &str) -> usize {
        let journal = self.journal().await;
        let committed = journal
            .iter()
            .filter_map(|entry| entry["committed"].as_array())
            .flatten();
        committed
            .filter(|record| record["module"] == module)
            .count()
    }

    /// Changes settings of the sandbox.
    pub(crate) async fn set(&self, settings: Value) {
        let sent = self.http.post(format!("{}/__sim/settings", self.url));
        let answer = sent.json(&settings).send().await.unwrap();
        assert!(answer.status().is_success(), "{settings}");
    }

    /// Everything in the sandbox as at the start.
    pub(crate) async fn reset(&self) {
        let sent = self.http.post(format!("{}/__sim/reset", self.url));
        assert!(sent.send().await.unwrap().status().is_success());
    }

    /// The rows of a query, asked with the daemon's own rights but not through it.
    pub(crate) async fn coql(&self, query: &str) -> Vec<Value> {
        let answer = self
            .crm("coql", &json!({ "select_query": query }))
            .await
            .unwrap_or(json!({ "data": [] }));
        let rows = answer["data"].as_array();
        rows.unwrap_or_else(|| panic!("{query}: {answer}")).clone()
    }

    /// The first value of the first row of a query.
    pub(crate) async fn number(&self, query: &str) -> f64 {
        let rows = self.coql(query).await;
        let first = rows.first().and_then(Value::as_object);
        let values = first.into_iter().flat_map(|row| row.values());
        values.filter_map(Value::as_f64).next().unwrap_or_default()
    }

    /// Ids of a module, by a condition.
    pub(crate) async fn ids(&self, module: &str, condition: &str) -> Vec<String> {
        let query = format!("select id from {module} where {condition} limit 0, 200");
        let rows = self.coql(&query).await;
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Writes a note as it is, as somebody else with access to the CRM would.
    pub(crate) async fn note(&self, module: &str, record: &str, title: &str, content: &str) {
        let note = json!({
            "Note_Title": title,
            "Note_Content": content,
            "Parent_Id": { "module": { "api_name": module }, "id": record },
        });
        let answer = self.crm("Notes", &json!({ "data": [note] })).await.unwrap();
        assert_eq!(answer["data"][0]["status"], "success", "{answer}");
    }

    /// Lets time pass for Zoho only.
    pub(crate) async fn later(&self, span: &str) {
        let clock = self.http.post(format!("{}/__sim/clock", self.url));
        let sent = clock
            .json(&json!({ "advance": span }))
            .send()
            .await
            .unwrap();
        assert!(sent.status().is_success());
    }

    /// The contents of a contact's notes, all of them.
    pub(crate) async fn notes_of(&self, contact: &str) -> Vec<String> {
        let token = self.mint().await;
        let list = format!("{}/crm/v8/Contacts/{contact}/Notes", self.url);
        let list = format!("{list}?fields=Note_Content&per_page=200");
        let (mut notes, mut more) = (Vec::new(), String::new());
        loop {
            let got = self.http.get(format!("{list}{more}"));
            let got = got.header("authorization", &token).send().await.unwrap();
            if got.status() == 204 {
                return notes;
            }
            let listed: Value = got.json().await.unwrap();
            let rows = listed["data"].as_array();
            let rows = rows.unwrap_or_else(|| panic!("{listed}"));
            let content = |row: &Value| row["Note_Content"].as_str().unwrap_or("").to_owned();
            notes.extend(rows.iter().map(content));
            let Some(next) = listed["info"]["next_page_token"].as_str() else {
                return notes;
            };
            more = format!("&page_token={next}");
        }
    }

    /// What the daemon asked of the CRM, apart from tokens and from probes, which show no token.
    pub(crate) async fn asked(&self) -> Vec<Value> {
        let journal = self.journal().await;
        let crm = |entry: &Value| {
            entry["path"].as_str().unwrap().starts_with("/crm") && entry["user"].is_string()
        };
        journal.into_iter().filter(crm).collect()
    }

    /// Posts to the CRM; none where it has nothing to say.
    pub(crate) async fn crm(&self, path: &str, body: &Value) -> Option<Value> {
        let token = self.token.get_or_init(|| self.mint()).await;
        let asked = self.http.post(format!("{}/crm/v8/{path}", self.url));
        let answer = asked.header("authorization", token).json(body).send().await;
        let text = answer.unwrap().text().await.unwrap();
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
    }

    /// Gets an access token of the daemon's own user.
    pub(crate) async fn mint(&self) -> String {
        let mut form = self.daemon_credentials.clone();
        form["grant_type"] = json!("refresh_token");
        let asked = self.http.post(format!("{}/oauth/v2/token", self.url));
        let answer: Value = asked
            .form(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        format!(
            "Zoho-oauthtoken {}",
            answer["access_token"].as_str().unwrap()
        )
    }
}

impl House {
    /// Changes the configuration file and has it read again.
    pub(crate) async fn reconfigure(&self, from: &str, to: &str) {
        let before = self.events("config_reload").len();
        let path = self.file("zoho-mcp.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{config}");
        std::fs::write(&path, config.replace(from, to)).unwrap();
        self.signal("-HUP");
        self.recorded("a reload", |_| self.events("config_reload").len() > before)
            .await;
    }

    /// Zoho neither answers nor hangs up.
    pub(crate) fn pause_sandbox(&self) {
        self.signal_sandbox("-STOP");
    }

    /// Zoho goes on.
    pub(crate) fn resume_sandbox(&self) {
        self.signal_sandbox("-CONT");
    }
}
