//! The company: its CRM, two daemons that share a Redis, and a client for every agent.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    backend,
    process::{self, Installation, Process},
    redis_server::Server,
};

pub(crate) struct Company {
    _redis: Server,
    _sandbox: Process,
    daemons: [Process; 2],
    logs: Vec<PathBuf>,
    keys: BTreeMap<String, String>,
    /// The contact that each client writes to.
    contacts: BTreeMap<String, String>,
    /// A contact that the representative of the prying one does not own.
    pub(crate) foreign: String,
    crm: Crm,
}

impl Company {
    pub(crate) async fn open(installation: &Installation, clients: &[String]) -> Self {
        let redis = Server::start();
        let sandbox = installation.sandbox().await;
        let crm = Crm::sign_in(&sandbox.ready["zoho"]).await;
        let mut contacts = crm.contacts(clients.len() + 1).await;
        let foreign = contacts.pop().unwrap();
        installation.credentials(&sandbox.ready["zoho"]);
        let config = installation.file("zoho-mcp.toml");
        fs::write(&config, configuration(&redis.url(), &crm.url, clients)).unwrap();
        let keys = clients.iter().filter(|client| *client != "stranger");
        let keys = keys.map(|client| (client.clone(), installation.key(client)));
        let keys = keys.collect();
        let names = ["one", "other"];
        let daemons = names.map(|name| {
            let config = &config;
            async move {
                let sinks = format!("[\"file:{name}.jsonl\"]");
                let variables = [
                    ("ZOHO_MCP__AUDIT__SINKS", &*sinks),
                    ("ZOHO_MCP__AUDIT__INSTANCE", name),
                    ("ZOHO_MCP_TOKEN_KEY", SECRET),
                    ("ZOHO_MCP_PSEUDONYM_KEY", SECRET),
                ];
                installation.serve(name, config, &variables).await
            }
        });
        let [one, other] = daemons;
        let logs = names.map(|name| installation.file(&format!("{name}.jsonl")));
        Self {
            _redis: redis,
            _sandbox: sandbox,
            daemons: [one.await, other.await],
            logs: logs.into(),
            keys,
            contacts: clients.iter().cloned().zip(contacts).collect(),
            foreign,
            crm,
        }
    }

    pub(crate) fn urls(&self) -> [String; 2] {
        let url = |daemon: &Process| daemon.ready["url"].as_str().unwrap().to_owned();
        [url(&self.daemons[0]), url(&self.daemons[1])]
    }

    /// A stranger's is nobody's.
    pub(crate) fn key(&self, client: &str) -> String {
        let known = self.keys.get(client).cloned();
        // As long as a key, and with the checksum of none.
        known.unwrap_or_else(|| self.keys["reader-0"].replace(char::is_numeric, "A"))
    }

    pub(crate) fn contact(&self, client: &str) -> String {
        self.contacts[client].clone()
    }

    /// The texts of all notes on the contacts of those clients, as the CRM has them.
    pub(crate) async fn notes(&self, clients: &[String]) -> Vec<String> {
        let mut texts = Vec::new();
        for client in clients {
            texts.extend(self.crm.notes(&self.contacts[client]).await);
        }
        texts.extend(self.crm.notes(&self.foreign).await);
        texts
    }

    /// Ends the daemons; what they wrote.
    pub(crate) fn close(self) -> Vec<PathBuf> {
        let [one, other] = self.daemons;
        one.stop();
        other.stop();
        self.logs
    }
}

/// The CRM as its administrator sees it.
struct Crm {
    http: reqwest::Client,
    url: String,
    authorization: String,
}

impl Crm {
    async fn sign_in(zoho: &Value) -> Self {
        let http = process::http();
        let url = zoho["api"].as_str().unwrap().to_owned();
        let settings = json!({ "daily_credits": 1_000_000_000 });
        let set = http.post(format!("{url}/__sim/settings")).json(&settings);
        assert!(set.send().await.unwrap().status().is_success());
        let token = backend::token(zoho, &http).await;
        Self {
            http,
            url,
            authorization: format!("Zoho-oauthtoken {token}"),
        }
    }

    async fn contacts(&self, number: usize) -> Vec<String> {
        let query = format!(
            "select id from Contacts where Owner.email != '{REPRESENTATIVE}' limit 0, {number}"
        );
        let asked = self.http.post(format!("{}/crm/v8/coql", self.url));
        let found = self
            .data(asked.json(&json!({ "select_query": query })))
            .await;
        let id = |contact: &Value| contact["id"].as_str().unwrap().to_owned();
        assert_eq!(found.len(), number, "too few contacts for so many agents");
        found.iter().map(id).collect()
    }

    async fn notes(&self, contact: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for page in 1.. {
            let url = format!(
                "{}/crm/v8/Contacts/{contact}/Notes?fields=Note_Content&per_page=200&page={page}",
                self.url
            );
            let notes = self.data(self.http.get(url)).await;
            let text = |note: &Value| note["Note_Content"].as_str().unwrap().to_owned();
            texts.extend(notes.iter().map(text));
            if notes.len() < 200 {
                break;
            }
        }
        texts
    }

    async fn data(&self, request: reqwest::RequestBuilder) -> Vec<Value> {
        let request = request.header("authorization", &self.authorization);
        let answer = request.send().await.unwrap();
        if answer.status() == 204 {
            return Vec::new();
        }
        let mut answer: Value = answer.json().await.unwrap();
        match answer["data"].take() {
            Value::Array(rows) => rows,
            _ => panic!("{answer}"),
        }
    }
}

fn configuration(redis: &str, zoho: &str, clients: &[String]) -> String {
    let mut text = CONFIG.replace("@redis", redis).replace("@zoho", zoho);
    for client in clients {
        let role = client.split('-').next().unwrap();
        let role = match role {
            "support" | "sales" | "quitter" | "prying" => role.replace("quitter", "support"),
            _ => "reader".to_owned(),
        };
        writeln!(text, "[clients.{client}]\nrole = \"{role}\"").unwrap();
        match client.as_str() {
            "flooder" => text += "limits = { requests = 20, per = \"1s\" }\n",
            "prying" => {
                writeln!(text, "visibility = \"owner\"\nowner = \"{REPRESENTATIVE}\"").unwrap();
            }
            _ => {}
        }
    }
    text
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const REPRESENTATIVE: &str = "yuki@tallowmere.example";

/// Limits that only the one that floods will reach, and roles as a company has them.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[redis]
url = "@redis"
expected_replicas = 2
[limits]
global = { requests = 100000, per = "1m" }
client = { requests = 3000, per = "1m" }
[limits.tools]
get_revenue_report = { requests = 10, per = "1m" }
[zoho]
accounts_url = "@zoho"
api_url = "@zoho"
token_key = "env:ZOHO_MCP_TOKEN_KEY"
daily_credits = 1000000000
client_share = 1.0
concurrency = 10
request_timeout = "2s"
[audit]
pseudonym_key = "env:ZOHO_MCP_PSEUDONYM_KEY"
[roles.support]
tools = ["search_contacts", "get_contact", "get_contact_history", "create_note"]
max_records_per_query = 10
allow_write = true
[roles.prying]
tools = ["search_contacts", "get_contact", "get_contact_history", "create_note"]
max_records_per_query = 10
allow_write = true
[roles.sales]
tools = ["search_contacts", "list_deals", "get_pipeline"]
max_records_per_query = 100
allow_write = false
[roles.reader]
tools = ["search_contacts", "get_dashboard_metrics"]
max_records_per_query = 50
allow_write = false
"#;
