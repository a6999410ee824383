//! Zoho for the benchmark: asks the sandbox once for each address and replays its answer from then
//! on, so that it costs little, is the same for both servers, and no edition's limits end the run.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Mutex};

use crate::process;

/// A backend that runs.
pub(crate) struct Backend {
    pub(crate) url: String,
    /// A token that the sandbox gave.
    pub(crate) token: String,
}

struct Tape {
    sandbox: String,
    http: reqwest::Client,
    recorded: Mutex<HashMap<String, (StatusCode, Bytes)>>,
}

pub(crate) async fn start(zoho: &Value) -> Backend {
    let sandbox = zoho["api"].as_str().unwrap().to_owned();
    let http = process::http();
    let token = token(zoho, &http).await;
    let tape = Arc::new(Tape {
        sandbox,
        http,
        recorded: Mutex::default(),
    });
    let router = Router::new().fallback(replay).with_state(tape);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(process::no_delay(listener), router).await });
    Backend { url, token }
}

/// An access token of the administrator.
pub(crate) async fn token(zoho: &Value, http: &reqwest::Client) -> String {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", zoho["client_id"].as_str().unwrap()),
        ("client_secret", zoho["client_secret"].as_str().unwrap()),
        (
            "refresh_token",
            zoho["refresh_tokens"]["admin"].as_str().unwrap(),
        ),
    ];
    let minted = http
        .post(format!(
            "{}/oauth/v2/token",
            zoho["accounts"].as_str().unwrap()
        ))
        .form(&form)
        .send()
        .await
        .unwrap();
    let minted: Value = minted.json().await.unwrap();
    minted["access_token"].as_str().expect("a token").to_owned()
}

async fn replay(State(tape): State<Arc<Tape>>, request: Request) -> Response {
    let key = format!("{} {}", request.method(), request.uri());
    let mut recorded = tape.recorded.lock().await;
    let (status, body) = match recorded.get(&key) {
        Some(answer) => answer.clone(),
        None => {
            let answer = tape.record(request).await;
            recorded.insert(key, answer.clone());
            answer
        }
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Tape {
    async fn record(&self, request: Request) -> (StatusCode, Bytes) {
        let (mut parts, body) = request.into_parts();
        for name in [
            header::HOST,
            header::CONTENT_LENGTH,
            header::ACCEPT_ENCODING,
        ] {
            parts.headers.remove(name);
        }
        let answer = self
            .http
            .request(parts.method, format!("{}{}", self.sandbox, parts.uri))
            .headers(parts.headers)
            .body(body.collect().await.unwrap().to_bytes())
            .send()
            .await
            .unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    }
}
