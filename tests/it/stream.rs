//! A client of the older transport: a stream of events, and messages posted beside it.

use std::time::Duration;

use futures_util::{StreamExt as _, future};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    agent::{Agent, Answer},
    process::whole_text,
};

pub(crate) struct Stream {
    pub(crate) endpoint: String,
    events: mpsc::Receiver<(String, String)>,
    agent: Agent,
    /// Ends with the stream, and the connection with it.
    _reader: JoinSet<()>,
}

impl Stream {
    pub(crate) async fn open(request: reqwest::RequestBuilder, agent: Agent) -> Self {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let (tell, mut events) = mpsc::channel(64);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let (mut text, mut unread) = (String::new(), Vec::new());
            let mut bytes = answer
                .bytes_stream()
                .take_while(|chunk| future::ready(chunk.is_ok()));
            while let Some(Ok(chunk)) = bytes.next().await {
                unread.extend_from_slice(&chunk);
                text.push_str(&whole_text(&mut unread));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let field = |name: &str| {
                        event
                            .lines()
                            .find_map(|line| line.strip_prefix(name))
                            .map(str::to_owned)
                    };
                    let event = (field("event: "), field("data: "));
                    text = rest.to_owned();
                    if let (Some(event), Some(data)) = event
                        && tell.send((event, data)).await.is_err()
                    {
                        return;
                    }
                }
            }
        });
        let (event, endpoint) = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        assert_eq!(event, "endpoint");
        Self {
            endpoint,
            events,
            agent,
            _reader: reader,
        }
    }

    /// From now on messages go to where that agent sends them.
    pub(crate) fn post_to(&mut self, agent: &Agent) {
        self.agent = agent.clone();
    }

    /// The handshake of the older revisions.
    pub(crate) async fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2024-11-05",
            "capabilities": {},
            "clientInfo": { "name": "it", "version": "1" },
        });
        let result = self.ask(0, "initialize", params).await;
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.post(&told).await.status, 202);
        result
    }

    /// Posts a request and waits for its answer on the stream.
    pub(crate) async fn ask(&mut self, id: i64, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        assert_eq!(self.post(&request).await.status, 202);
        self.answer(id).await
    }

    pub(crate) async fn call(&mut self, id: i64, tool: &str, arguments: Value) -> Value {
        self.ask(
            id,
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
        .await
    }

    pub(crate) async fn post(&self, message: &Value) -> Answer {
        self.agent
            .send(reqwest::Method::POST, &self.endpoint, message.to_string())
            .await
    }

    /// The answer to a request.
    pub(crate) async fn answer(&mut self, id: i64) -> Value {
        loop {
            let message = self.next().await.expect("the stream ended");
            if message["id"] == id {
                return message;
            }
        }
    }

    /// The next message; none when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let (_, data) = timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")?;
        Some(serde_json::from_str(&data).unwrap())
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
