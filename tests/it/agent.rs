//! An agent: an MCP client of our own that shows what came back as it came.

use std::time::Duration;

use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use crate::{
    house::{http, plain_http},
    stream::Stream,
};

#[derive(Clone)]
pub(crate) struct Agent {
    url: String,
    headers: HeaderMap,
    http: reqwest::Client,
}

/// The newest revision.
pub(crate) const MODERN: &str = "2026-07-28";

/// What a request of the newest revision carries in its body.
pub(crate) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "it", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Agent {
    pub(crate) fn new(url: &str, key: Option<&str>) -> Self {
        let agent = Self {
            url: url.to_owned(),
            headers: HeaderMap::new(),
            http: http(),
        };
        match key {
            Some(key) => agent.with("x-api-key", key),
            None => agent,
        }
    }

    /// The same agent from another of this machine's addresses.
    pub(crate) fn from(mut self, address: [u8; 4]) -> Self {
        let http = plain_http().local_address(Some(address.into()));
        self.http = http.build().unwrap();
        self
    }

    /// The same agent, with a connection of its own for each request.
    pub(crate) fn hurried(mut self) -> Self {
        self.http = plain_http().pool_max_idle_per_host(0).build().unwrap();
        self
    }

    /// The same agent, speaking HTTP/2 from the first byte, with pings while nothing happens.
    pub(crate) fn over_http2(mut self) -> Self {
        self.http = plain_http()
            .http2_prior_knowledge()
            .http2_keep_alive_interval(Duration::from_millis(100))
            .http2_keep_alive_while_idle(true)
            .build()
            .unwrap();
        self
    }

    /// A request as revision 2026-07-28 sends it: everything with every request.
    pub(crate) async fn ask_modern(&self, method: &str, mut params: Value) -> Answer {
        let agent = self
            .clone()
            .with("mcp-protocol-version", MODERN)
            .with("mcp-method", method);
        let agent = match params["name"].as_str() {
            Some(name) => agent.with("mcp-name", name),
            None => agent,
        };
        params["_meta"] = modern_meta();
        agent.ask(method, params).await
    }

    /// The same agent with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
        self
    }

    /// The same agent, whose connections are made by another client.
    pub(crate) fn over(self, http: reqwest::Client) -> Self {
        Self { http, ..self }
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.ask(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
        .await
    }

    /// Looks for contacts by a word: the call to make where any will do.
    pub(crate) async fn search(&self, name: &str) -> Answer {
        self.call("search_contacts", json!({ "name": name })).await
    }

    /// Lists the tools: the cheapest question, of which Zoho hears nothing.
    pub(crate) async fn list(&self) -> Answer {
        self.ask("tools/list", json!({})).await
    }

    /// The status of the cheapest question.
    pub(crate) async fn status(&self) -> u16 {
        self.list().await.status.as_u16()
    }

    /// The names that `tools/list` shows.
    pub(crate) async fn tools(&self) -> Vec<String> {
        let listed = self.list().await.result();
        let tools = listed["tools"].as_array().unwrap();
        tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Answer {
        self.post(
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string(),
        )
        .await
    }

    /// Posts a body to `/mcp`, whatever it is.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.send(Method::POST, "/mcp", body).await
    }

    /// The same as [`Agent::ask`], when there may be nobody to ask any more.
    pub(crate) async fn try_ask(&self, method: &str, params: Value) -> Option<Answer> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = self.attempt(Method::POST, "/mcp", request.to_string());
        sent.await.ok()
    }

    /// The same as [`Agent::status`], when there may be nobody to ask any more.
    pub(crate) async fn try_status(&self) -> Option<u16> {
        let answer = self.try_ask("tools/list", json!({})).await?;
        Some(answer.status.as_u16())
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        self.attempt(method, path, body).await.unwrap()
    }

    /// The same, where no answer may come.
    pub(crate) async fn attempt(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Answer> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .body(body);
        if !self.headers.contains_key("content-type") {
            request = request.header("content-type", "application/json");
        }
        let answer = request.headers(self.headers.clone()).send().await?;
        Ok(Answer {
            status: answer.status(),
            headers: answer.headers().clone(),
            text: answer.text().await?,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    /// The handshake of the older revisions at `/mcp`.
    pub(crate) async fn shake(&self) -> Answer {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "it", "version": "1" },
        });
        self.ask("initialize", params).await
    }

    /// Opens `GET /mcp`.
    pub(crate) async fn listen(&self) -> reqwest::Response {
        let request = self.http.get(format!("{}/mcp", self.url));
        let request = request.headers(self.headers.clone());
        request.send().await.unwrap()
    }

    /// Opens `/sse`.
    pub(crate) async fn stream(&self) -> Stream {
        let request = self
            .http
            .get(format!("{}/sse", self.url))
            .headers(self.headers.clone());
        Stream::open(request.timeout(Duration::from_secs(120)), self.clone()).await
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    pub(crate) fn result(&self) -> Value {
        let json = self.json();
        assert!(
            json["result"].is_object(),
            "no result: {} {}",
            self.status,
            self.text
        );
        json["result"].clone()
    }

    /// The JSON-RPC error's code.
    pub(crate) fn code(&self) -> i64 {
        self.json()["error"]["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("no error: {}", self.text))
    }

    /// The structured content of a call that succeeded.
    pub(crate) fn content(&self) -> Value {
        let result = self.result();
        assert_ne!(result["isError"], true, "{}", self.text);
        result["structuredContent"].clone()
    }

    /// The text of a call that succeeded: what models read.
    pub(crate) fn told(&self) -> String {
        let result = self.result();
        assert_ne!(result["isError"], true, "{}", self.text);
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// The text of a call that failed as a tool.
    pub(crate) fn failure(&self) -> String {
        let result = self.result();
        assert_eq!(result["isError"], true, "{}", self.text);
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// What a limit has left after this answer, from its `RateLimit` header.
    pub(crate) fn remaining(&self, policy: &str) -> u32 {
        let limits = self.header("ratelimit");
        let (_, rest) = limits
            .split_once(&format!("\"{policy}\";r="))
            .unwrap_or_else(|| panic!("no {policy} in {limits:?}"));
        rest.split(';').next().unwrap().parse().unwrap()
    }

    /// The messages of an answer that came as a stream of events.
    pub(crate) fn messages(&self) -> Vec<Value> {
        assert_eq!(self.header("content-type"), "text/event-stream");
        let data = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}
