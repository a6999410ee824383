//! A collector of traces: takes OTLP over HTTP, or refuses it, or hangs.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value, trace::v1::Span,
};
use prost::Message as _;
use tokio::net::TcpListener;

use crate::house::{House, Setup, eventually};

pub(crate) struct Collector {
    pub(crate) url: String,
    taken: Arc<Taken>,
}

/// What it does with what it is sent.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    Takes,
    Refuses,
    Hangs,
}

struct Taken {
    manner: Manner,
    asked: AtomicUsize,
    headers: Mutex<HeaderMap>,
    spans: Mutex<Vec<Span>>,
    text: Mutex<String>,
}

impl Collector {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Taken {
            manner,
            asked: AtomicUsize::new(0),
            headers: Mutex::default(),
            spans: Mutex::default(),
            text: Mutex::default(),
        });
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(taken.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, taken }
    }

    /// How often it was sent something.
    pub(crate) fn asked(&self) -> usize {
        self.taken.asked.load(Ordering::Relaxed)
    }

    /// Everything that it was sent, as it came.
    pub(crate) fn text(&self) -> String {
        self.taken.text.lock().unwrap().clone()
    }

    /// A header of what it was sent last.
    pub(crate) fn header(&self, name: &str) -> String {
        let headers = self.taken.headers.lock().unwrap();
        let value = headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.taken.spans.lock().unwrap().clone()
    }

    /// Waits for a span of that name.
    pub(crate) async fn span(&self, name: &str) -> Span {
        let named = |span: &Span| span.name == name;
        eventually(name, || self.spans().into_iter().find(named)).await
    }
}

async fn take(State(taken): State<Arc<Taken>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    taken.asked.fetch_add(1, Ordering::Relaxed);
    match taken.manner {
        Manner::Refuses => return StatusCode::UNAUTHORIZED,
        Manner::Hangs => tokio::time::sleep(Duration::from_secs(600)).await,
        Manner::Takes => {}
    }
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let text = format!("{request:?}{}", String::from_utf8_lossy(&body));
    taken.text.lock().unwrap().push_str(&text);
    *taken.headers.lock().unwrap() = headers;
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|r| r.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans);
    taken.spans.lock().unwrap().extend(spans);
    StatusCode::OK
}

/// An attribute of a span as a text; empty when there is none.
pub(crate) fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|known| known.key == name);
    let value = found.and_then(|known| known.value.as_ref()?.value.as_ref());
    match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(other) => panic!("{name} is {other:?}"),
        None => String::new(),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A house that tells a collector of its calls.
pub(crate) async fn traced(collector: &Collector, change: impl FnOnce(&mut Setup)) -> House {
    House::with(|setup| {
        setup.set("traces.endpoint", &collector.url);
        change(setup);
    })
    .await
}
